// Streams between hosts: cut anywhere they read the same, and memory stays within a frame. The
// first byte says whether the sums are made right, so that what is behind them is reached as well.
// sources: cache/frame_stream.cc cache/digest.cc
#include "cache/frame_stream.h"

#include <algorithm>

#include "tests/fuzz/fuzz.h"

namespace {

using rowan::cache::Frame;
using rowan::cache::FrameReader;
using rowan::cache::FrameWriter;

struct Outcome {
  std::string frames, error;
  bool ended = false;
  bool operator==(const Outcome&) const = default;
};

Outcome read(std::string_view stream, std::size_t piece) {
  FrameReader reader;
  Outcome outcome;
  for (std::size_t at = 0; at < stream.size() && outcome.error.empty(); at += piece) {
    reader.feed(stream.substr(at, piece));
    for (;;) {
      auto frame = reader.next();
      FUZZ_CHECK(reader.offset() <= at + std::min(piece, stream.size() - at));
      if (!frame) outcome.error = to_string(frame.error());
      if (!frame || !*frame) break;
      FUZZ_CHECK((*frame)->content.size() <= rowan::cache::max_frame_bytes);
      outcome.frames += std::to_string((*frame)->type) + ":" + (*frame)->content + ";";
    }
  }
  outcome.ended = reader.ended();
  return outcome;
}

std::string sample(std::string_view first, std::string_view second) {
  FrameWriter writer;
  std::string stream = writer.head();
  // One after the other: each frame's checksum covers those before it.
  stream += writer.frame(1, first);
  stream += writer.frame(2, second);
  return stream + writer.end();
}

// A sound stream whose contents are pieces of the input: what is written must be read back.
void round_trip(std::string_view text) {
  FrameWriter writer;
  std::string stream = writer.head(), expected;
  for (std::size_t at = 0; at < text.size(); at += 100) {
    const std::string_view content = text.substr(at, 100);
    stream += writer.frame(5, content);
    expected += "5:" + std::string(content) + ";";
  }
  stream += writer.end();
  const Outcome outcome = read(stream, 1 + text.size() / 3);
  FUZZ_CHECK(outcome.ended && outcome.error.empty() && outcome.frames == expected + "0:;");
}

}  // namespace

std::vector<std::string> rowan::fuzz::seeds() {
  return {"d" + sample("who", "what"), "d" + sample(std::string(5000, 'a'), ""),
          "r" + std::string(350, 'q')};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view stream = rowan::as_text(rowan::fuzz::view(data + 1, size - 1));
  if (data[0] == 'r') {
    round_trip(stream);
    return 0;
  }
  const Outcome whole = read(stream, stream.size() + 1);
  FUZZ_CHECK(read(stream, 1 + stream.size() / 4) == whole);
  if (stream.size() < 2000) FUZZ_CHECK(read(stream, 3) == whole);
  return 0;
}
