// One frame of a stream on its way between daemon and command.
#pragma once

#include <string>
#include <string_view>

#include "cache/stream_frames.h"
#include "rpc/base/result.h"

namespace rowan::proxy {

struct FrameAnswer {
  cache::StreamFrame type = cache::StreamFrame::end;
  std::string cursor;    // for the next one; empty: this is the last
  std::string content;
};
std::string encode_frame_answer(const FrameAnswer& answer);
Result<FrameAnswer> decode_frame_answer(std::string_view text);   // malformed

}  // namespace rowan::proxy
