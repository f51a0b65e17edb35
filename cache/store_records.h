// The redirect store's records in its table: keys and values, encoded, decoded, described
// (FORMAT.md, "store").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/store.h"
#include "rpc/base/result.h"

namespace rowan::cache {

// Keys: a kind byte, then big-endian numbers.
enum class RecordKind : char {
  counters = '\1',   // precious: the table stores its leaf twice
  object = 'A',      // object
  extent = 'E',      // object, end offset
  name = 'N',        // directory, name
  sequence = 'Q',    // directory, sequence number
  purge = 'P',       // object
};
std::string counters_key();
std::string object_key(ObjectId id);
std::string extent_key(ObjectId id, std::uint64_t end);
std::string name_key(ObjectId directory, std::string_view name);
std::string sequence_key(ObjectId directory, std::uint64_t sequence);
std::string purge_key(ObjectId id);
std::string key_prefix(RecordKind kind, ObjectId id);
// The first key that does not start with the prefix.
std::string prefix_end(std::string prefix);

struct ParsedKey {
  RecordKind kind = RecordKind::counters;
  ObjectId id = no_object;
  std::uint64_t number = 0;   // end offset or sequence
  std::string name;
};
Result<ParsedKey> parse_key(std::string_view key);   // corrupt

struct Counters {
  std::uint64_t next_object = 1, next_sequence = 1;
  std::uint64_t data_blocks = 0, objects = 0;
  friend bool operator==(const Counters&, const Counters&) = default;
};
std::string encode(const Counters& counters);
Result<Counters> decode_counters(std::string_view value);

std::string encode(const ObjectRecord& record);
Result<ObjectRecord> decode_object(std::string_view value);
std::string describe(const ObjectRecord& record);

std::string encode(const NameRecord& record);
Result<NameRecord> decode_name(std::string_view value);

struct SequenceRecord {
  ObjectId child = no_object;
  std::string name;
};
std::string encode(const SequenceRecord& record);
Result<SequenceRecord> decode_sequence(std::string_view value);

// Extents beyond `from` of batches up to `through` are dead, though their records may still be
// there.
struct PurgeMark {
  std::uint64_t from = 0;
  Ticket through = 0;
};
inline constexpr std::size_t max_purge_marks = 8;   // per object
std::string encode(const std::vector<PurgeMark>& marks);
Result<std::vector<PurgeMark>> decode_purge(std::string_view value);

// A run of a file's bytes that lies in consecutive data blocks, one for each 4 KiB block of the
// file that it touches. A run in a single block may have holes: `ranges` are then the bytes it has.
struct ByteRange {
  std::uint64_t begin = 0, end = 0;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};
struct StoredExtent {
  std::uint64_t start = 0, end = 0;         // bytes of the file; end is in the key
  DataPointer data;                         // block of the byte at `start`
  std::vector<std::uint64_t> sums;          // one per block
  std::vector<ByteRange> ranges;            // at least two and sorted, or none: [start, end)

  std::uint64_t first_block() const { return start / data_block_size; }
  std::uint64_t end_block() const { return (end + data_block_size - 1) / data_block_size; }
};
inline constexpr std::uint64_t extent_limit = 128u << 10;   // no extent crosses a multiple of this
inline constexpr std::size_t extent_pointer_at = 8;         // of the DataPointer in the value
std::string encode(const StoredExtent& extent);
Result<StoredExtent> decode_extent(const ParsedKey& key, std::string_view value);
std::string describe(const StoredExtent& extent);

// TableOptions::find_data of a store: what an extent's record refers to. No extent and no part of
// one leaves its window of extent_limit bytes.
Result<RecordData> find_extent_data(std::string_view key, std::string_view value);

}  // namespace rowan::cache
