#include "cache/frame_stream.h"

#include <random>

#include "tests/support/catch.h"

namespace rowan::cache {
namespace {

using Frames = std::vector<std::pair<std::uint8_t, std::string>>;

const Frames sample{{1, "who this is"}, {7, std::string(100000, 'z')}, {2, ""}, {9, "last"}};

std::string written(const Frames& frames) {
  FrameWriter writer;
  std::string stream = writer.head();
  for (const auto& [type, content] : frames) stream += writer.frame(type, content);
  return stream + writer.end();
}

struct Outcome {
  Frames frames;
  std::optional<Error> error;
  bool ended = false;
};

Outcome read(std::string_view stream, std::size_t piece) {
  FrameReader reader;
  Outcome outcome;
  for (std::size_t at = 0; at < stream.size() && !outcome.error; at += piece) {
    reader.feed(stream.substr(at, piece));
    while (true) {
      auto frame = reader.next();
      if (!frame) outcome.error = frame.error();
      if (!frame || !*frame) break;
      if ((*frame)->type != end_frame)
        outcome.frames.emplace_back((*frame)->type, (*frame)->content);
    }
  }
  outcome.ended = reader.ended();
  return outcome;
}

std::string noise(std::size_t size) {
  std::mt19937_64 random(5);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

TEST_CASE("frames come back as they were, wherever the bytes are cut") {
  const std::string stream = written(sample);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{24}, stream.size()}) {
    const Outcome outcome = read(stream, piece);
    CHECK_FALSE(outcome.error);
    CHECK(outcome.ended);
    CHECK(outcome.frames == sample);
  }
}

TEST_CASE("content that repeats is packed, noise grows by its head only") {
  CHECK(written({{1, std::string(1 << 20, 'a')}}).size() < 2000);
  const std::string random = noise(1 << 20);
  CHECK(written({{1, random}}).size() <= random.size() + 64);
  CHECK(read(written({{1, random}}), 100000).frames == Frames{{1, random}});
}

TEST_CASE("the largest frame goes through") {
  const Frames largest{{3, noise(max_frame_bytes)}};
  CHECK(read(written(largest), 65536).frames == largest);
}

TEST_CASE("any flipped bit is found, and nothing behind it is given out") {
  const std::string stream = written({{1, "who"}, {2, "what"}, {3, "where"}});
  for (std::size_t bit = 0; bit < stream.size() * 8; ++bit) {
    std::string damaged = stream;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    const Outcome outcome = read(damaged, damaged.size());
    INFO("bit " << bit);
    // A length that became greater looks like a stream that was cut.
    CHECK((outcome.error || !outcome.ended));
    CHECK(outcome.frames.size() <= (bit / 8 < 16 ? 0 : (bit / 8 - 16) / 24));
  }
}

TEST_CASE("a stream that is cut anywhere has not ended") {
  const std::string stream = written({{1, "who"}, {2, "what"}});
  for (std::size_t size = 0; size < stream.size(); ++size) {
    const Outcome outcome = read(std::string_view(stream).substr(0, size), 5);
    CHECK_FALSE(outcome.error);
    CHECK_FALSE(outcome.ended);
  }
}

TEST_CASE("where a stream was cut is said, and that nothing came when nothing did") {
  FrameReader reader;
  CHECK(reader.cut_short().detail == "the stream is empty: nothing arrived");
  const std::string stream = written(sample).substr(0, 60);
  reader.feed(stream);
  REQUIRE(reader.next());
  CHECK(reader.cut_short().detail.find("ends at byte 60, in the middle") != std::string::npos);
}

TEST_CASE("frames that are missing, repeated or swapped are found") {
  FrameWriter writer;
  const std::string head = writer.head(), one = writer.frame(1, "a"), two = writer.frame(1, "b"),
                    end = writer.end();
  CHECK(read(head + one + two + end, 9).ended);
  for (const std::string& stream : {head + two + end, head + one + end, head + one + one + two,
                                    head + two + one + end, one + two + end})
    CHECK(read(stream, 9).error);
  CHECK(read(head + one + two + end + "x", 9).error);
}

TEST_CASE("the place of the damage is named, and it stays damaged") {
  std::string stream = written(sample);
  stream[stream.size() - 30] ^= 1;
  FrameReader reader;
  reader.feed(stream);
  Result<std::optional<Frame>> frame = reader.next();
  while (frame && *frame) frame = reader.next();
  REQUIRE(frame.failed_with(Errc::corrupt));
  CHECK(frame.error().detail.find("byte " + std::to_string(reader.offset())) != std::string::npos);
  CHECK(reader.next().failed_with(Errc::corrupt));
}

TEST_CASE("a later format is refused as such") {
  std::string stream = written(sample);
  stream[8] = 2;
  CHECK(read(stream, 16).error->code == Errc::not_supported);
}

TEST_CASE("a lying length does not make the reader hold more than a frame") {
  FrameWriter writer;
  std::string stream = writer.head() + writer.frame(1, "abc");
  stream[16 + 4] = '\xff';
  stream[16 + 7] = '\xff';
  CHECK(read(stream, 40).error->code == Errc::corrupt);
}

}  // namespace
}  // namespace rowan::cache
