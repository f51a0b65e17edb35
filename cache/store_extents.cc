#include "cache/store_extents.h"

#include <algorithm>
#include <utility>

#include "rpc/base/check.h"

namespace rowan::cache {
namespace {

std::uint64_t block_of(std::uint64_t offset) { return offset / data_block_size; }

std::vector<std::uint64_t> slice(const std::vector<std::uint64_t>& sums, std::uint64_t skip,
                                 std::uint64_t count) {
  const auto first = sums.begin() + static_cast<std::ptrdiff_t>(skip);
  return {first, first + static_cast<std::ptrdiff_t>(count)};
}

std::vector<ByteRange> clipped(const std::vector<ByteRange>& ranges, std::uint64_t from,
                               std::uint64_t to) {
  std::vector<ByteRange> found;
  for (const ByteRange& range : ranges) {
    const ByteRange inside{std::max(range.begin, from), std::min(range.end, to)};
    if (inside.begin < inside.end) found.push_back(inside);
  }
  return found;
}

}  // namespace

std::optional<StoredExtent> cut(const StoredExtent& extent, std::uint64_t from, std::uint64_t to) {
  if (std::max(extent.start, from) >= std::min(extent.end, to)) return {};
  StoredExtent left = extent;
  left.start = std::max(extent.start, from);
  left.end = std::min(extent.end, to);
  if (!extent.ranges.empty()) {
    left.ranges = ranges_within(extent, from, to);
    if (left.ranges.empty()) return {};
    left.start = left.ranges.front().begin;
    left.end = left.ranges.back().end;
    if (left.ranges.size() == 1) left.ranges.clear();
  }
  const std::uint64_t skip = left.first_block() - extent.first_block();
  left.data.block += static_cast<std::uint32_t>(skip);
  left.sums = slice(extent.sums, skip, left.end_block() - left.first_block());
  return left;
}

std::optional<StoredExtent> live_part(const StoredExtent& extent,
                                      const std::vector<PurgeMark>& marks) {
  // Marks are about older batches than the one that is being put together.
  if (Batch::is_provisional(extent.data)) return extent;
  std::uint64_t end = extent.end;
  for (const PurgeMark& mark : marks) {
    if (extent.data.birth <= mark.through) end = std::min(end, mark.from);
  }
  if (end == extent.end) return extent;
  return cut(extent, extent.start, end);
}

std::vector<ByteRange> ranges_within(const StoredExtent& extent, std::uint64_t from,
                                     std::uint64_t to) {
  if (extent.ranges.empty()) return clipped({{extent.start, extent.end}}, from, to);
  return clipped(extent.ranges, from, to);
}

std::vector<ByteRange> united(std::vector<ByteRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const ByteRange& a, const ByteRange& b) { return a.begin < b.begin; });
  std::vector<ByteRange> joined;
  for (const ByteRange& range : ranges) {
    if (!joined.empty() && range.begin <= joined.back().end)
      joined.back().end = std::max(joined.back().end, range.end);
    else
      joined.push_back(range);
  }
  return joined;
}

bool add_mark(std::vector<PurgeMark>& marks, PurgeMark mark) {
  std::erase_if(marks, [&](const PurgeMark& old) {
    return old.from >= mark.from && old.through <= mark.through;
  });
  if (marks.size() >= max_purge_marks) return false;
  marks.push_back(mark);
  return true;
}

std::vector<StoredExtent> lay_down(const std::vector<ByteRange>& ranges, const DataPointer& data,
                                   const std::vector<std::uint64_t>& sums) {
  CHECK(!ranges.empty());
  std::vector<StoredExtent> extents;
  const std::uint64_t first = block_of(ranges.front().begin);
  auto add = [&](std::vector<ByteRange> here) {
    StoredExtent extent;
    extent.start = here.front().begin;
    extent.end = here.back().end;
    const std::uint64_t skip = extent.first_block() - first;
    extent.data = data;
    extent.data.block += static_cast<std::uint32_t>(skip);
    extent.sums = slice(sums, skip, extent.end_block() - extent.first_block());
    if (here.size() > 1) extent.ranges = std::move(here);
    extents.push_back(std::move(extent));
  };
  if (ranges.size() == 1) {   // nearly always
    add(ranges);
    return extents;
  }
  std::optional<ByteRange> run;
  auto end_run = [&] {
    if (run) add({*run});
    run.reset();
  };
  for (std::uint64_t block = first; block < first + sums.size(); ++block) {
    const std::uint64_t begin = block * data_block_size;
    std::vector<ByteRange> here = clipped(ranges, begin, begin + data_block_size);
    const bool whole_run = here.size() == 1;
    if (!(whole_run && run && run->end == here.front().begin)) end_run();
    if (whole_run) run = ByteRange{run ? run->begin : here.front().begin, here.front().end};
    else if (!here.empty()) add(std::move(here));
  }
  end_run();
  return extents;
}

}  // namespace rowan::cache
