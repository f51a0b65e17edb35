#include "proxy/read_ahead.h"

#include <algorithm>
#include <bit>

namespace rowan::proxy {
namespace {

// A client sends several reads at once, and they overtake each other: this far from the expected place is
// still the same stream.
constexpr std::uint64_t disorder = 1u << 20;

}  // namespace

ReadAhead::Stream& ReadAhead::stream_for(std::uint64_t offset, std::uint64_t length) {
  Stream* oldest = &streams_[0];
  for (Stream& stream : streams_) {
    if (stream.used < oldest->used) oldest = &stream;
    if (stream.used == 0) continue;
    std::uint64_t end = offset + length;
    bool onward = offset >= stream.next && offset - stream.next <= std::min(disorder, stream.in_order);
    bool overtaken = end <= stream.next && stream.next - offset <= std::min(disorder, stream.in_order);
    bool overlapping = offset < stream.next && end > stream.next && stream.in_order > 0;
    if (onward || overtaken || overlapping) return stream;
  }
  *oldest = Stream();
  oldest->next = offset;
  return *oldest;
}

ReadAheadRange ReadAhead::on_read(const ReadAheadOptions& options, std::uint64_t offset,
                                  std::uint64_t length, std::uint64_t size) {
  Stream& stream = stream_for(offset, length);
  bool first = stream.used == 0;
  stream.used = ++reads_;
  std::uint64_t end = offset + length;
  bool again = end <= stream.next && !first;
  stream.next = std::max(stream.next, end);
  stream.ahead = std::max(stream.ahead, stream.next);
  if (!again) stream.in_order += length;
  if (first || again) return {};
  std::uint64_t window = std::bit_floor(std::min(options.most_window, stream.in_order / options.share));
  if (window < options.least_window) return {};
  // Half a window is left to go before the next is asked for, so that requests stay large.
  std::uint64_t lead = stream.ahead - stream.next;
  if (stream.ahead >= size || lead > window / 2) return {};
  ReadAheadRange range{stream.ahead, 0};
  range.length = std::min(stream.next + window, size) - stream.ahead;
  stream.ahead += range.length;
  return range;
}

}  // namespace rowan::proxy
