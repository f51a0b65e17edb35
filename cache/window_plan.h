// What of a window of a file must travel, from the extents of the two states. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cache/portable_change.h"

namespace rowan::cache {

// A block whose bytes are still to be read.
struct PlannedBlock {
  std::uint32_t index = 0;        // of the window's blocks
  std::vector<ByteRange> ranges;  // within the block
  DataPointer at;                 // one block
  std::uint64_t sum = 0;
  friend bool operator==(const PlannedBlock&, const PlannedBlock&) = default;
};
struct WindowPlan {
  std::uint32_t kept = 0;            // as in PortableWindow
  std::vector<PlannedBlock> blocks;  // by ascending index
  // The states have other local data in this window.
  bool changed = false;
};

// `before` and `now`: the live parts (store_extents.h) of all extents of the window in either
// state, in order. A block is kept if both have the same bytes of the same data block.
WindowPlan plan_window(std::uint64_t number, std::span<const StoredExtent> before,
                       std::span<const StoredExtent> now);

// The block as it travels; `content` is the data block's.
PortableBlock portable(const PlannedBlock& planned, ByteView content);

}  // namespace rowan::cache
