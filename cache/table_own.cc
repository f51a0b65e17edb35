#include "cache/table_own.h"

#include "cache/disk_codec.h"

namespace rowan::cache::own {
namespace {

constexpr char live_kind = 'S';
constexpr char dead_kind = 'D';
constexpr std::size_t range_size = 12;
constexpr std::size_t ranges_per_record = 512;

std::string key_of(char kind) { return std::string("\0", 1) + kind; }

}  // namespace

std::string segment_key(std::uint32_t segment) {
  std::string key = key_of(live_kind);
  append_be32(key, segment);
  return key;
}

std::string encode_live(std::uint64_t blocks) {
  std::string value;
  DiskWriter(value).u64(blocks);
  return value;
}

std::vector<std::pair<std::string, std::string>> encode_dead(Ticket merged_through,
                                                             const std::vector<DeadRange>& ranges) {
  std::vector<std::pair<std::string, std::string>> records;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (i % ranges_per_record == 0) {
      std::string key = key_of(dead_kind);
      append_be64(key, merged_through);
      append_be32(key, static_cast<std::uint32_t>(i / ranges_per_record));
      records.emplace_back(std::move(key), std::string());
    }
    DiskWriter out(records.back().second);
    out.u32(ranges[i].segment);
    out.u32(ranges[i].block);
    out.u32(ranges[i].count);
  }
  return records;
}

Result<void> decode(std::string_view key, std::string_view value, Records& into) {
  DiskReader in(value);
  if (key.size() == 6 && key[1] == live_kind) {
    into.live[be32_at(key, 2)] = in.u64();
    if (in.finished()) return {};
  } else if (key.size() == 14 && key[1] == dead_kind && value.size() % range_size == 0) {
    into.dead_keys.emplace_back(key);
    while (in.left() > 0) {
      DeadRange range;
      range.segment = in.u32();
      range.block = in.u32();
      range.count = in.u32();
      into.dead.push_back(range);
    }
    return {};
  }
  return Error(Errc::corrupt, "an unknown record of the table's own");
}

}  // namespace rowan::cache::own
