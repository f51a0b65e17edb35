// Changes of a redirect store in a form that another store can take: data goes along instead of
// pointers to it. What the frames of a stream between hosts hold (FORMAT.md, "streams").
//
// A store that has the state a stream begins from, and makes all of its changes in any order, has
// the state it ends with: the same objects, names, and local bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cache/store_records.h"

namespace rowan::cache {

inline constexpr std::uint32_t window_blocks = extent_limit / data_block_size;

// A record that holds no data: of any kind but extent and purge.
struct PutRecord {
  std::string key, value;
  friend bool operator==(const PutRecord&, const PutRecord&) = default;
};
struct EraseRecord {
  std::string key;
  friend bool operator==(const EraseRecord&, const EraseRecord&) = default;
};

// The local bytes of one block of a file; what it lacks shows what is below.
struct PortableBlock {
  std::uint32_t index = 0;        // of the window's blocks
  std::vector<ByteRange> ranges;  // within the block; sorted, apart, none of them empty
  std::string bytes;              // of the ranges, one after the other
  friend bool operator==(const PortableBlock&, const PortableBlock&) = default;
};
// The local data of `window_blocks` blocks of a file: those in `kept` stay as they were, those
// listed become what is told here, all others have no local data any more.
struct PortableWindow {
  ObjectId object = no_object;
  std::uint64_t number = 0;  // it begins at number * extent_limit
  std::uint32_t kept = 0;    // bit n: block n
  std::vector<PortableBlock> blocks;  // by ascending index
  friend bool operator==(const PortableWindow&, const PortableWindow&) = default;
};

using PortableChange = std::variant<PutRecord, EraseRecord, PortableWindow>;

// Appends the change; at most max_portable_bytes.
void encode(const PortableChange& change, std::string& out);
inline constexpr std::size_t max_portable_bytes = extent_limit + window_blocks * 8192 + 64;

// Changes one after the other. Nothing: the end. corrupt: outside the grammar, a record that no
// store would write included; the same again afterwards.
class PortableReader {
 public:
  explicit PortableReader(std::string_view bytes) : rest_(bytes) {}
  Result<std::optional<PortableChange>> next();

 private:
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace rowan::cache
