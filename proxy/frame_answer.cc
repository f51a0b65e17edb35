#include "proxy/frame_answer.h"

#include "cache/disk_codec.h"

// type u8 | cursor: length u16, bytes | content

namespace rowan::proxy {

std::string encode_frame_answer(const FrameAnswer& answer) {
  std::string text;
  cache::DiskWriter out(text);
  out.u8(static_cast<std::uint8_t>(answer.type));
  out.text(answer.cursor);
  out.raw(answer.content);
  return text;
}

Result<FrameAnswer> decode_frame_answer(std::string_view text) {
  cache::DiskReader in(text);
  FrameAnswer answer;
  const std::uint8_t type = in.u8();
  answer.cursor = in.text();
  if (in.failed() || type > static_cast<std::uint8_t>(cache::StreamFrame::totals))
    return Error(Errc::malformed, "a frame's envelope");
  answer.type = static_cast<cache::StreamFrame>(type);
  answer.content = in.raw(in.left());
  return answer;
}

}  // namespace rowan::proxy
