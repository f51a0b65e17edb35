#include "cache/table_memory.h"

#include <algorithm>
#include <utility>

namespace rowan::cache {
namespace {

// A map node with two strings, as the allocator rounds it.
constexpr std::uint64_t entry_overhead = 128;

std::uint64_t value_bytes(const MemoryTable::Value& value) { return value ? value->size() : 0; }

}  // namespace

void MemoryTable::set(std::string key, Value value) {
  bytes_ += value_bytes(value);
  const auto at = entries_.lower_bound(key);
  if (at != entries_.end() && at->first == key) {
    bytes_ -= value_bytes(at->second);
    at->second = std::move(value);
    return;
  }
  bytes_ += key.size() + entry_overhead;
  entries_.emplace_hint(at, std::move(key), std::move(value));
}

void BlockLedger::release(const DataPointer& first, std::uint32_t blocks) {
  live_changes_[first.segment] -= blocks;
  add_spent({first.segment, first.block, blocks});
}

void BlockLedger::add_written(std::uint32_t segment, std::uint32_t data_blocks) {
  if (data_blocks != 0) live_changes_[segment] += data_blocks;
}

void BlockLedger::add_spent(const DeadRange& range) {
  if (range.count == 0) return;
  dead_blocks_ += range.count;
  if (!dead_.empty()) {
    DeadRange& before = dead_.back();
    if (before.segment == range.segment && before.block + before.count == range.block) {
      before.count += range.count;
      return;
    }
  }
  dead_.push_back(range);
}

const MemoryTable::Value* MemoryTable::find(std::string_view key) const {
  const auto at = entries_.find(key);
  return at == entries_.end() ? nullptr : &at->second;
}

std::vector<DeadRange> join_ranges(std::vector<DeadRange> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<DeadRange> joined;
  for (const DeadRange& range : ranges) {
    if (!joined.empty() && joined.back().segment == range.segment &&
        joined.back().block + joined.back().count >= range.block) {
      DeadRange& before = joined.back();
      before.count =
          std::max(before.block + before.count, range.block + range.count) - before.block;
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

}  // namespace rowan::cache
