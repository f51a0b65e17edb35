// When to fetch image bytes that nobody has asked for yet. Pure: reads in, ranges out.
//
// Only a file that is read from one place onwards is read ahead, and the window is a share of what
// that stream has read: fetching more than the client reads is worse, over a slow link, than
// waiting for it. A reader that stops in the middle has cost a quarter of what it read at most; one
// that goes to the end of the file, nothing.
#pragma once

#include <array>
#include <cstdint>

namespace rowan::proxy {

struct ReadAheadOptions {
  std::uint64_t least_window = 64u << 10;   // bytes; a smaller share is none
  std::uint64_t most_window = 2u << 20;
  std::uint64_t share = 4;                  // window = bytes read in order / share
};

struct ReadAheadRange {
  std::uint64_t offset = 0, length = 0;     // length 0: nothing
};

// The streams of one file: a few readers, or one that jumps back and forth between two places.
class ReadAhead {
 public:
  // A read of [offset, offset + length) of a file of `size` bytes: what should be on its way now.
  ReadAheadRange on_read(const ReadAheadOptions& options, std::uint64_t offset,
                         std::uint64_t length, std::uint64_t size);

 private:
  struct Stream {
    std::uint64_t start = 0;     // where it began
    std::uint64_t next = 0;      // where the reader is expected
    std::uint64_t in_order = 0;  // bytes read in order so far
    std::uint64_t ahead = 0;     // fetched or on its way up to here
    std::uint64_t used = 0;      // for replacement
  };
  Stream& stream_for(std::uint64_t offset, std::uint64_t length);

  std::array<Stream, 4> streams_;
  std::uint64_t reads_ = 0;
};

}  // namespace rowan::proxy
