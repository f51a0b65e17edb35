#include "proxy/read_ahead.h"

#include <algorithm>
#include <bit>

namespace rowan::proxy {
namespace {

// A client sends several reads at once, and they overtake each other: this far from the expected
// place is still the same stream.
constexpr std::uint64_t most_disorder = 1u << 20;
constexpr std::uint64_t least_disorder = 128u << 10;   // of a stream that has only just begun

}  // namespace

ReadAhead::Stream& ReadAhead::stream_for(std::uint64_t offset, std::uint64_t length) {
  Stream* oldest = &streams_[0];
  for (Stream& stream : streams_) {
    if (stream.used < oldest->used) oldest = &stream;
    if (stream.used == 0) continue;
    std::uint64_t disorder = std::min(most_disorder, stream.in_order + least_disorder);
    bool onward = offset >= stream.next && offset - stream.next <= disorder;
    bool overtaken = offset < stream.next && stream.next - offset <= disorder + length;
    if (onward || overtaken) return stream;
  }
  *oldest = Stream();
  oldest->start = oldest->next = offset;
  return *oldest;
}

ReadAheadRange ReadAhead::on_read(const ReadAheadOptions& options, std::uint64_t offset,
                                  std::uint64_t length, std::uint64_t size) {
  Stream& stream = stream_for(offset, length);
  bool first = stream.used == 0;
  stream.used = ++reads_;
  std::uint64_t end = offset + length;
  stream.start = std::min(stream.start, offset);
  stream.next = std::max(stream.next, end);
  stream.ahead = std::max(stream.ahead, stream.next);
  // What is read again, or jumped over, does not count.
  stream.in_order = std::min(stream.in_order + length, stream.next - stream.start);
  if (first) return {};
  std::uint64_t window =
      std::bit_floor(std::min(options.most_window, stream.in_order / options.share));
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
