// What `send` writes to a pipe and `receive` reads: frames, compressed, each with a checksum that
// covers all frames before it too, so that a frame which is damaged, missing, repeated or moved is
// found where it happened. No I/O: bytes in, frames out, and the reverse. (FORMAT.md, "streams")
//
//   stream: magic u64 "ROWANSTR" | format u32 = 1 | zero u32 | frames, the last of type 0
//   frame:  type u8 | packing u8 (0 plain, 1 zstd) | zero u16 | stored u32 | plain u32 | number u32
//           chain u64 | stored bytes
//
// `chain` is XXH3-64 of the 16 bytes before it and the stored bytes, seeded with the chain of the
// frame before (of the first: the checksum of the stream's head).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rpc/base/result.h"

namespace rowan::cache {

inline constexpr std::size_t max_frame_bytes = 4u << 20;  // of content
inline constexpr std::uint8_t end_frame = 0;              // without content

struct Frame {
  std::uint8_t type = end_frame;
  std::string content;
};

class FrameWriter {
 public:
  // The stream's head, then frame by frame; everything after the end frame is a mistake.
  std::string head();
  // `content` has at most max_frame_bytes. Types other than end_frame belong to the caller.
  std::string frame(std::uint8_t type, std::string_view content);
  std::string end() { return frame(end_frame, {}); }

 private:
  std::uint64_t chain_ = 0;
  std::uint32_t number_ = 0;
};

class FrameReader {
 public:
  // Takes the next bytes of the stream, cut anywhere. Holds at most one frame more than next() has
  // given out, if next() is asked until it gives nothing.
  void feed(std::string_view bytes);
  // Nothing: more bytes are needed, or the end frame has been given out. corrupt: names the offset
  // in the stream and stays. not_supported: of a later format.
  Result<std::optional<Frame>> next();
  // The end frame has been given out.
  bool ended() const { return ended_; }
  // Bytes of the stream that next() has dealt with.
  std::uint64_t offset() const { return offset_; }
  std::uint32_t frames() const { return number_; }
  // What to say when the bytes end and ended() is false.
  Error cut_short() const;

 private:
  Result<bool> take_head();
  Result<std::optional<Frame>> take_frame();
  std::string_view rest() const { return std::string_view(buffer_).substr(taken_); }
  void take(std::size_t count);
  Error damaged(std::string_view what) const;

  std::string buffer_;
  std::size_t taken_ = 0;  // of buffer_
  std::uint64_t offset_ = 0, chain_ = 0;
  std::uint32_t number_ = 0;
  bool headed_ = false, ended_ = false;
  std::optional<Error> failure_;
};

}  // namespace rowan::cache
