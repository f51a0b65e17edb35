#include "proxy/content_changes.h"

#include <algorithm>

#include "rpc/base/check.h"

namespace rowan::proxy {
namespace {

using cache::Extent;

constexpr std::uint64_t block = cache::data_block_size;
constexpr std::uint64_t first_piece = 1u << 20, smallest_piece = 128u << 10;
constexpr std::uint64_t largest_piece = std::uint64_t{1} << 40;
constexpr std::size_t few_runs = 64, many_runs = 1024;

struct Segment {
  std::uint64_t begin, end;
  const Extent& before;
  const Extent& after;
};

struct BlockOf {
  std::uint32_t segment, block;
  std::uint64_t sum;
};
BlockOf block_of(const Extent& run, std::uint64_t number) {
  const std::uint64_t index = number - run.offset / block;
  return {run.data.segment, run.data.block + static_cast<std::uint32_t>(index), run.sums[index]};
}

bool same_block(const Segment& segment, std::uint64_t number) {
  const BlockOf was = block_of(segment.before, number), is = block_of(segment.after, number);
  return (was.segment == is.segment && was.block == is.block) || was.sum == is.sum;
}

// Counts blocks, each once though several segments may touch it.
class BlockCounter {
 public:
  void add(std::uint64_t from, std::uint64_t to) {
    from = std::max(from, next_);
    if (to <= from) return;
    count_ += to - from;
    next_ = to;
  }
  std::uint64_t bytes() const { return count_ * block; }

 private:
  std::uint64_t next_ = 0, count_ = 0;
};

void count(const Segment& segment, bool same_base, BlockCounter& counter) {
  const std::uint64_t first = segment.begin / block, last = (segment.end - 1) / block;
  const Extent::Kind kind = segment.before.kind;
  if (kind != segment.after.kind) return counter.add(first, last + 1);
  if (kind == Extent::Kind::zero) return;
  if (kind == Extent::Kind::base) {
    if (!same_base) counter.add(first, last + 1);
    return;
  }
  for (std::uint64_t number = first; number <= last; ++number) {
    if (!same_block(segment, number)) counter.add(number, number + 1);
  }
}

Task<Result<std::vector<Extent>>> runs_of(cache::ObjectId file, const ContentSide& side,
                                          std::uint64_t offset, std::uint64_t length) {
  if (side.record) co_return co_await side.reader->extents(file, *side.record, offset, length);
  std::vector<Extent> runs;
  const std::uint64_t end = offset + length;
  const std::uint64_t base_end = std::clamp(side.size, offset, end);
  if (base_end > offset)
    runs.push_back({offset, base_end - offset, Extent::Kind::base, {}, {}, file});
  if (end > base_end) runs.push_back({base_end, end - base_end, Extent::Kind::zero, {}, {}, file});
  co_return runs;
}

}  // namespace

std::uint64_t differing_bytes(const std::vector<Extent>& before, const std::vector<Extent>& after,
                              bool same_base) {
  BlockCounter counter;
  auto was = before.begin(), is = after.begin();
  while (was != before.end() && is != after.end()) {
    const std::uint64_t was_end = was->offset + was->length, is_end = is->offset + is->length;
    const std::uint64_t begin = std::max(was->offset, is->offset), end = std::min(was_end, is_end);
    CHECK(begin < end);
    count({begin, end, *was, *is}, same_base, counter);
    if (was_end == end) ++was;
    if (is_end == end) ++is;
  }
  CHECK(was == before.end() && is == after.end());
  return counter.bytes();
}

Task<Result<std::uint64_t>> content_changes(cache::ObjectId file, const ContentSide& before,
                                            const ContentSide& after, bool same_base,
                                            const std::vector<cache::ByteRange>& ranges) {
  const std::uint64_t size = std::max(before.size, after.size);
  std::uint64_t bytes = 0, piece = first_piece;
  for (const cache::ByteRange& range : ranges) {
    std::uint64_t at = range.begin / block * block;
    const std::uint64_t end = (std::min(range.end, size) + block - 1) / block * block;
    while (at < end) {
      const std::uint64_t length = std::min(piece, end - at);
      auto was = co_await runs_of(file, before, at, length);
      if (!was) co_return std::move(was).error();
      auto is = co_await runs_of(file, after, at, length);
      if (!is) co_return std::move(is).error();
      bytes += differing_bytes(*was, *is, same_base);
      at += length;
      const std::size_t runs = was->size() + is->size();
      if (runs < few_runs) piece = std::min(piece * 2, largest_piece);
      if (runs > many_runs) piece = std::max(piece / 2, smallest_piece);
    }
  }
  co_return bytes;
}

}  // namespace rowan::proxy
