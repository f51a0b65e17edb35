#include "cache/content_sum.h"

#include <string>
#include <vector>

#include "cache/digest.h"
#include "cache/disk_codec.h"
#include "cache/store_extents.h"

namespace rowan::cache {
namespace {

std::uint64_t sum_of(std::string_view key, std::string_view value) {
  return checksum64(as_bytes(value), checksum64(as_bytes(key)));
}

std::uint64_t sum_of_block(ObjectId object, const StoredExtent& extent, std::uint64_t block) {
  const std::uint64_t begin = block * data_block_size, end = begin + data_block_size;
  std::string text;
  DiskWriter out(text);
  out.u64(to_number(object));
  out.u64(block);
  std::uint64_t bytes = 0;
  for (const ByteRange& range : ranges_within(extent, begin, end)) {
    out.u64(range.begin);
    out.u64(range.end);
    bytes += range.end - range.begin;
  }
  out.u64(bytes == data_block_size ? extent.sums[block - extent.first_block()] : 0);
  return checksum64(as_bytes(text));
}

}  // namespace

Result<std::uint64_t> sum_of_record(std::string_view key, std::string_view value) {
  TRY(const ParsedKey parsed, parse_key(key));
  switch (parsed.kind) {
    case RecordKind::object: {
      TRY(ObjectRecord record, decode_object(value));
      record.data_blocks = 0;
      return sum_of(key, encode(record));
    }
    case RecordKind::name:
    case RecordKind::sequence:
      return sum_of(key, value);
    case RecordKind::counters:
    case RecordKind::extent:
    case RecordKind::purge:
      break;
  }
  return std::uint64_t{0};
}

std::uint64_t sum_of_extent(ObjectId object, const StoredExtent& extent) {
  std::uint64_t sum = 0;
  for (std::uint64_t block = extent.first_block(); block < extent.end_block(); ++block)
    sum += sum_of_block(object, extent, block);
  return sum;
}

}  // namespace rowan::cache
