// Pages of the tree file: sorted entries behind a header (FORMAT.md, "tree"). Building, checking,
// reading.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/base/buffer.h"
#include "rpc/base/bytes.h"
#include "rpc/base/result.h"

namespace rowan::cache {

inline constexpr std::size_t page_size = 16u << 10;
inline constexpr std::size_t page_header_size = 48;
// of entries and their slots
inline constexpr std::size_t page_capacity = page_size - page_header_size;
inline constexpr std::uint8_t max_tree_level = 12;

// Where a page lies and what it must sum to. `copy` (0: none) is a second page with the same bytes.
struct PagePointer {
  std::uint32_t page = 0, copy = 0;
  std::uint64_t birth = 0;  // ticket up to which the merge that wrote it went
  std::uint64_t checksum = 0;
  static constexpr std::size_t encoded_size = 24;
  bool absent() const { return page == 0; }
  void encode(std::byte* to) const;
  static PagePointer decode(const std::byte* from);
  friend bool operator==(const PagePointer&, const PagePointer&) = default;
};

struct TreeRoot {
  PagePointer pointer;     // absent: an empty tree
  std::uint8_t level = 0;  // 0: the root is a leaf
};

// An entry of a leaf. Without a value it says "erased", which only leaves with a lost base need.
struct LeafEntry {
  std::string_view key;
  std::optional<std::string_view> value;
};
struct InnerEntry {
  // no key of the child is smaller (the first child of a page: ignored)
  std::string key;
  PagePointer child;
};
std::size_t entry_size(const LeafEntry& entry);
std::size_t entry_size(const InnerEntry& entry);

struct PageIdentity {
  std::uint32_t page = 0;
  std::uint64_t birth = 0, epoch = 0;  // epoch: the table's random number
};

// The leaf replaces a page that could not be read: a key that is not here may have been there.
inline constexpr std::uint8_t page_flag_lost_base = 1;

// Entries are sorted and fit (sum of entry_size() <= page_capacity).
Buffer build_leaf(std::span<const LeafEntry> entries, std::uint8_t flags,
                  const PageIdentity& identity);
Buffer build_inner(std::span<const InnerEntry> entries, std::uint8_t level,
                   const PageIdentity& identity);

// A page that passed check_page().
class PageView {
 public:
  explicit PageView(ByteView bytes) : bytes_(bytes) {}
  std::uint8_t level() const { return load_le<std::uint8_t>(bytes_.data() + 6); }
  bool lost_base() const {
    return (load_le<std::uint8_t>(bytes_.data() + 7) & page_flag_lost_base) != 0;
  }
  std::size_t count() const { return load_le<std::uint16_t>(bytes_.data() + 28); }
  std::string_view key(std::size_t index) const;
  LeafEntry leaf_entry(std::size_t index) const;
  PagePointer child(std::size_t index) const;
  // First entry whose key is not less than `key`; count() if none.
  std::size_t lower_bound(std::string_view key) const;
  // The child that `key` belongs to.
  std::size_t child_for(std::string_view key) const;

 private:
  ByteView bytes_;
};

// Checksum against the pointer, then header and entries against their grammar. The text says what
// is wrong, without the place.
Result<void> check_page(ByteView bytes, const PagePointer& pointer, std::uint8_t level,
                        std::uint64_t epoch);
// Keys strictly ascending: for the checker; costs a comparison per entry.
Result<void> check_order(const PageView& page);

// What a page says of itself, for tools that look at it without its parent: the checksum is that of
// the bytes as they are. Nothing if they are not a page's.
struct PageClaim {
  PagePointer pointer;
  std::uint8_t level = 0;
  std::uint64_t epoch = 0;
};
std::optional<PageClaim> claim_of(ByteView bytes);

std::string describe(const PagePointer& pointer);

}  // namespace rowan::cache
