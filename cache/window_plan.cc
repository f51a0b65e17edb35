#include "cache/window_plan.h"

#include <array>
#include <optional>
#include <utility>

#include "cache/store_extents.h"
#include "rpc/base/check.h"

namespace rowan::cache {
namespace {

using Blocks = std::array<std::optional<PlannedBlock>, window_blocks>;

PlannedBlock block_of(const StoredExtent& extent, std::uint64_t block, std::uint32_t index) {
  const std::uint64_t begin = block * data_block_size;
  const std::uint64_t skip = block - extent.first_block();
  PlannedBlock found{index, ranges_within(extent, begin, begin + data_block_size), extent.data,
                     extent.sums[skip]};
  found.at.block += static_cast<std::uint32_t>(skip);
  for (ByteRange& range : found.ranges) range = {range.begin - begin, range.end - begin};
  return found;
}

Blocks blocks_of(std::uint64_t number, std::span<const StoredExtent> extents) {
  const std::uint64_t first = number * window_blocks;
  Blocks blocks;
  for (const StoredExtent& extent : extents) {
    CHECK_LE(first, extent.first_block());
    CHECK_LE(extent.end_block(), first + window_blocks);
    for (std::uint64_t block = extent.first_block(); block < extent.end_block(); ++block) {
      const auto index = static_cast<std::uint32_t>(block - first);
      blocks[index] = block_of(extent, block, index);
    }
  }
  return blocks;
}

}  // namespace

WindowPlan plan_window(std::uint64_t number, std::span<const StoredExtent> before,
                       std::span<const StoredExtent> now) {
  const Blocks old = blocks_of(number, before);
  Blocks fresh = blocks_of(number, now);
  WindowPlan plan;
  for (std::uint32_t index = 0; index < window_blocks; ++index) {
    plan.changed = plan.changed || old[index] != fresh[index];
    if (!fresh[index]) continue;
    if (old[index] == fresh[index]) plan.kept |= 1u << index;
    else plan.blocks.push_back(std::move(*fresh[index]));
  }
  return plan;
}

PortableBlock portable(const PlannedBlock& planned, ByteView content) {
  CHECK_EQ(content.size(), data_block_size);
  PortableBlock block{planned.index, planned.ranges, {}};
  for (const ByteRange& range : planned.ranges)
    block.bytes += as_text(content.subspan(range.begin, range.end - range.begin));
  return block;
}

}  // namespace rowan::cache
