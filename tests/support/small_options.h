// Tables that are small, so that merges, loads and ends of segments happen all the time. What a
// test is about it sets itself.
#pragma once

#include <cstdint>

#include "cache/table.h"

namespace rowan::test {

inline cache::TableOptions small_table(std::uint64_t memory_table_bytes = 64 << 10) {
  cache::TableOptions options;
  options.memory_table_bytes = memory_table_bytes;
  options.pending_bytes = 4 << 20;
  options.page_cache_bytes = 256 << 10;
  options.segment_bytes = 8 << 20;
  options.reserve_bytes = 0;
  return options;
}

// For lives of a few dozen small batches.
inline cache::TableOptions tiny_table(std::uint64_t memory_table_bytes) {
  cache::TableOptions options = small_table(memory_table_bytes);
  options.pending_bytes = 256 << 10;
  options.page_cache_bytes = 64 << 10;
  options.reserve_bytes = 64 << 10;
  return options;
}

}  // namespace rowan::test
