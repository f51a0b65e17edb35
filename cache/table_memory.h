// What the journal has and the tree has not: by state, the newest value of each key; for all of
// them together, the data blocks that died and the journal blocks that a merge will make useless.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/table.h"

namespace rowan::cache {

// Blocks of a segment that nobody needs once the merge is durable.
struct DeadRange {
  std::uint32_t segment = 0, block = 0, count = 0;
  friend auto operator<=>(const DeadRange&, const DeadRange&) = default;
};

// Changes of one state.
class MemoryTable {
 public:
  using Value = std::optional<std::string>;   // nothing: erased
  using Map = std::map<std::string, Value, std::less<>>;

  void set(std::string key, Value value);
  // Null: this table says nothing about the key.
  const Value* find(std::string_view key) const;
  const Map& entries() const { return entries_; }

  std::uint64_t bytes() const { return bytes_; }
  bool empty() const { return entries_.empty(); }

  Ticket last = 0;                            // of the batches in here

 private:
  Map entries_;
  std::uint64_t bytes_ = 0;
};

// What batches of all states did to the blocks of the segments.
class BlockLedger {
 public:
  // Data that no state refers to any more.
  void release(const DataPointer& first, std::uint32_t blocks);
  void add_written(std::uint32_t segment, std::uint32_t data_blocks);
  // Head, overflow and copy of a group: useless after the merge.
  void add_spent(const DeadRange& range);

  // Useless once the merge is durable.
  const std::vector<DeadRange>& dead() const { return dead_; }
  // Change in the number of live data blocks, by segment.
  const std::map<std::uint32_t, std::int64_t>& live_changes() const { return live_changes_; }
  std::uint64_t bytes() const { return dead_.size() * sizeof(DeadRange); }
  // Of dead().
  std::uint64_t dead_blocks() const { return dead_blocks_; }

 private:
  std::vector<DeadRange> dead_;
  std::uint64_t dead_blocks_ = 0;
  std::map<std::uint32_t, std::int64_t> live_changes_;
};

// Sorted, with neighbours joined.
std::vector<DeadRange> join_ranges(std::vector<DeadRange> ranges);

}  // namespace rowan::cache
