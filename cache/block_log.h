// The block cache's index on disk: a header and records of 64 bytes, each with its own checksum.
// Records are appended without syncs; a later one overrides an earlier one, and damaged ones are
// skipped: what they leave wrong is found by the checksum of the data, as the cached bytes of a key
// never change.
//
//   header   "rowanblk"  u32 format (1)  u32 unit size  u32 block size  zeros  u64 XXH3-64 of bytes
//            0..56
//   record   u8 kind  u8 zero  u16 length  u32 slot  u64 version  u64 object  u32 index  u32 zero
//            4 x u32 low, 4 x u16 high halves of the block sums  u64 XXH3-64 of bytes 0..56
// All numbers are little-endian.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cache/unit_index.h"
#include "rpc/base/bytes.h"

namespace rowan::cache {

inline constexpr std::size_t log_record_bytes = 64;

struct BlockLogRecord {
  enum class Kind : std::uint8_t {
    put = 1,           // the slot holds this unit now; whatever else held slot or key does not
    erase = 2,         // the slot is empty
    drop_version = 3,  // every unit of the version is gone
    drop_object = 4,   // every unit of the object in that version
  };
  Kind kind = Kind::put;
  Slot slot = 0;
  std::uint32_t length = 0;   // put: 1 to unit_size
  BlockKey key;
  BlockSums sums;

  void encode(std::byte* to) const;                                    // log_record_bytes
  static std::optional<BlockLogRecord> decode(const std::byte* from);  // nothing if damaged
  std::string describe() const;
  friend bool operator==(const BlockLogRecord&, const BlockLogRecord&) = default;
};

void encode_block_log_header(std::byte* to);          // log_record_bytes
bool valid_block_log_header(const std::byte* from);

}  // namespace rowan::cache
