#include "cache/window_plan.h"

#include <random>

#include "cache/store_extents.h"
#include "tests/support/catch.h"

namespace rowan::cache {
namespace {

constexpr std::uint64_t window = 3, base = window * extent_limit;

// An extent of whole or partial blocks whose data lies at `block`; sums tell the data block.
StoredExtent extent(std::uint64_t from, std::uint64_t to, std::uint32_t block,
                    std::vector<ByteRange> ranges = {}) {
  StoredExtent made{base + from, base + to, {7, block, 1}, {}, {}};
  for (const ByteRange& range : ranges)
    made.ranges.push_back({base + range.begin, base + range.end});
  for (std::uint64_t at = made.first_block(); at < made.end_block(); ++at)
    made.sums.push_back(1000 + block + (at - made.first_block()));
  return made;
}

using Extents = std::vector<StoredExtent>;

TEST_CASE("without a state before, every block travels") {
  const Extents now{extent(4096, 4096 * 3, 50)};
  const WindowPlan plan = plan_window(window, {}, now);
  CHECK(plan.changed);
  CHECK(plan.kept == 0);
  CHECK(plan.blocks == std::vector<PlannedBlock>{{1, {{0, 4096}}, {7, 50, 1}, 1050},
                                                 {2, {{0, 4096}}, {7, 51, 1}, 1051}});
}

TEST_CASE("the same data under other records does not travel") {
  const Extents before{extent(0, 4096 * 4, 50)};
  const Extents now{extent(0, 4096, 50), extent(4096, 4096 * 4, 51)};
  const WindowPlan plan = plan_window(window, before, now);
  CHECK_FALSE(plan.changed);
  CHECK(plan.kept == 15);
  CHECK(plan.blocks.empty());
}

TEST_CASE("a block that was cut shorter travels, its neighbours stay") {
  const Extents before{extent(0, 4096 * 2, 50)}, now{extent(0, 4096 + 100, 50)};
  const WindowPlan plan = plan_window(window, before, now);
  CHECK(plan.changed);
  CHECK(plan.kept == 1);
  CHECK(plan.blocks == std::vector<PlannedBlock>{{1, {{0, 100}}, {7, 51, 1}, 1051}});
}

TEST_CASE("a window that lost its data is a change without blocks") {
  const Extents before{extent(0, 4096, 50)};
  const WindowPlan plan = plan_window(window, before, {});
  CHECK(plan.changed);
  CHECK(plan.kept == 0);
  CHECK(plan.blocks.empty());
}

TEST_CASE("holes of a block travel as holes") {
  const std::vector<ByteRange> bytes{{10, 20}, {30, 40}};
  const Extents now{extent(10, 40, 9, bytes)};
  const WindowPlan plan = plan_window(window, {}, now);
  REQUIRE(plan.blocks.size() == 1);
  CHECK(plan.blocks[0].ranges == bytes);
  std::string content(data_block_size, '.');
  content.replace(10, 10, "0123456789").replace(30, 10, "abcdefghij");
  const PortableBlock block = portable(plan.blocks[0], as_bytes(content));
  CHECK(block.bytes == "0123456789abcdefghij");
  CHECK(block.ranges == bytes);
}

// Random windows of blocks, each absent, old or new, as one record a block or as joined runs.
TEST_CASE("what is kept and what travels is the state, however its records are cut") {
  std::mt19937 random(11);
  for (int round = 0; round < 500; ++round) {
    Extents before, now;
    std::uint32_t kept = 0, fresh = 0;
    for (std::uint32_t i = 0; i < window_blocks; ++i) {
      const std::uint64_t at = std::uint64_t{i} * data_block_size;
      const unsigned was = random() % 2, is = random() % 3;
      if (was == 1) before.push_back(extent(at, at + data_block_size, 100 + i));
      if (is == 1) now.push_back(extent(at, at + data_block_size, 100 + i));
      if (is == 2) now.push_back(extent(at, at + data_block_size, 500 + i));
      if (is == 1 && was == 1) kept |= 1u << i;
      else if (is != 0) fresh |= 1u << i;
    }
    const WindowPlan plan = plan_window(window, before, now);
    std::uint32_t travels = 0;
    for (const PlannedBlock& block : plan.blocks) travels |= 1u << block.index;
    CHECK(plan.kept == kept);
    CHECK(travels == fresh);
  }
}

}  // namespace
}  // namespace rowan::cache
