// Changes that another store made, taken by this one: records as they are, data laid down anew.
// Every change says what is there afterwards, so making it twice is making it once.
#include <algorithm>
#include <cstring>
#include <utility>

#include "cache/digest.h"
#include "cache/portable_change.h"
#include "cache/store_stage.h"

namespace rowan::cache {
namespace {

// The first run of blocks from `from` on that are not kept; empty: none.
std::pair<std::uint32_t, std::uint32_t> next_run(std::uint32_t kept, std::uint32_t from) {
  const auto goes = [kept](std::uint32_t block) { return (kept >> block & 1) == 0; };
  while (from < window_blocks && !goes(from)) ++from;
  std::uint32_t end = from;
  while (end < window_blocks && goes(end)) ++end;
  return {from, end};
}

void copy_into(const PortableBlock& block, std::byte* to) {
  std::size_t at = 0;
  for (const ByteRange& range : block.ranges) {
    std::memcpy(to + range.begin, block.bytes.data() + at, range.end - range.begin);
    at += range.end - range.begin;
  }
}

}  // namespace

Result<void> StoreStage::forget_object(ObjectId id) {
  TRY(const auto before, record(id));
  counters.objects -= before && !before->removed ? 1 : 0;
  edits_[object_key(id)] = std::nullopt;
  return {};
}

Result<void> StoreStage::take_record(const std::string& key,
                                     const std::optional<std::string>& value) {
  TRY(const ParsedKey parsed, parse_key(key));
  switch (parsed.kind) {
    case RecordKind::counters: {
      if (!value) return Error(Errc::corrupt, "a store without counters");
      TRY(const Counters sent, decode_counters(*value));
      counters.next_object = std::max(counters.next_object, sent.next_object);
      counters.next_sequence = std::max(counters.next_sequence, sent.next_sequence);
      return {};
    }
    case RecordKind::object: {
      if (!value) return forget_object(parsed.id);
      TRY(const ObjectRecord record, decode_object(*value));
      return put_object(parsed.id, record);
    }
    case RecordKind::name:
    case RecordKind::sequence:
      edits_[key] = value;
      return {};
    case RecordKind::extent:
    case RecordKind::purge:
      break;
  }
  return Error(Errc::corrupt, "a record about data, which belongs to the store that has it");
}

Result<void> StoreStage::take_window(const PortableWindow& window) {
  const std::uint64_t base = window.number * extent_limit;
  for (std::uint32_t at = 0; at < window_blocks;) {
    const auto [from, end] = next_run(window.kept, at);
    at = end;
    if (from == end) break;
    const std::uint64_t begin = base + std::uint64_t{from} * data_block_size;
    const std::uint64_t to = base + std::uint64_t{end} * data_block_size;
    TRY(const auto old, overlapping(window.object, begin, to, window_blocks + 1));
    for (const Found& found : old) clear_blocks(found, window.object, begin, to);
  }
  const auto count = static_cast<std::uint32_t>(window.blocks.size());
  for (std::uint32_t first = 0; first < count;) {
    std::uint32_t end = first + 1;
    while (end < count && window.blocks[end].index == window.blocks[end - 1].index + 1) ++end;
    lay_blocks(window.object, base, std::span(window.blocks).subspan(first, end - first));
    first = end;
  }
  return {};
}

// Blocks one after the other, where there are none.
void StoreStage::lay_blocks(ObjectId id, std::uint64_t base,
                            std::span<const PortableBlock> blocks) {
  Buffer content(blocks.size() * data_block_size);
  std::memset(content.data(), 0, content.size());
  std::vector<std::uint64_t> sums;
  std::vector<ByteRange> ranges;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::uint64_t begin = base + std::uint64_t{blocks[i].index} * data_block_size;
    for (const ByteRange& range : blocks[i].ranges)
      ranges.push_back({begin + range.begin, begin + range.end});
    const ByteSpan block = content.span().subspan(i * data_block_size, data_block_size);
    copy_into(blocks[i], block.data());
    sums.push_back(checksum64(block));
  }
  const DataPointer pointer = batch_.add_data(Batch::Data::of(std::move(content), sums));
  counters.data_blocks += sums.size();
  block_changes_[id] += static_cast<std::int64_t>(sums.size());
  for (const StoredExtent& extent : lay_down(united(std::move(ranges)), pointer, sums))
    put_extent(id, extent);
}

}  // namespace rowan::cache
