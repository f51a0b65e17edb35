#include "rpc/record.h"

#include <random>
#include <string>
#include <vector>

#include "rpc/base/bytes.h"
#include "tests/support/catch.h"

namespace rowan::rpc {
namespace {

using Bytes = std::vector<std::byte>;

void append_fragment(Bytes& stream, ByteView payload, bool last) {
  std::byte mark[4];
  store_be(mark, static_cast<std::uint32_t>(payload.size()) | (last ? 0x80000000u : 0));
  stream.insert(stream.end(), mark, mark + 4);
  stream.insert(stream.end(), payload.begin(), payload.end());
}

Bytes pattern(std::size_t size, std::uint32_t seed) {
  std::mt19937 random(seed);
  Bytes out(size);
  for (auto& byte : out) byte = static_cast<std::byte>(random());
  return out;
}

struct Outcome {
  std::vector<Bytes> records;
  std::optional<Error> error;
  std::size_t most_memory = 0;
};

// Feeds the stream as a socket would: at most `chunk(n)` bytes of what space() has room for.
template <class Chunk>
void feed(RecordReader& reader, ByteView stream, Chunk chunk, Outcome& out) {
  while (!stream.empty()) {
    ByteSpan space = reader.space();
    REQUIRE_FALSE(space.empty());
    std::size_t count = std::min({space.size(), stream.size(), chunk()});
    std::copy_n(stream.begin(), count, space.begin());
    stream = stream.subspan(count);
    reader.commit(count);
    out.most_memory = std::max(out.most_memory, reader.memory());
    for (;;) {
      auto next = reader.next();
      if (!next.has_value()) {
        out.error = next.error();
        return;
      }
      if (!next->has_value()) break;
      out.records.emplace_back((*next)->view().begin(), (*next)->view().end());
    }
    out.most_memory = std::max(out.most_memory, reader.memory());
  }
}

Outcome read_all(ByteView stream, std::size_t chunk, RecordLimits limits = {}) {
  RecordReader reader(limits);
  Outcome out;
  feed(reader, stream, [chunk] { return chunk; }, out);
  return out;
}

TEST_CASE("a mark has the last-fragment bit and the size") {
  auto mark = record_mark(0x01020304);
  CHECK(load_be<std::uint32_t>(mark.data()) == 0x81020304u);
}

TEST_CASE("records come out whole at every split of the stream into two reads") {
  Bytes stream;
  std::vector<Bytes> want = {pattern(40, 1), {}, pattern(1, 2), pattern(200, 3)};
  append_fragment(stream, want[0], true);
  append_fragment(stream, want[1], true);
  append_fragment(stream, want[2], true);
  append_fragment(stream, ByteView(want[3]).first(70), false);
  append_fragment(stream, {}, false);
  append_fragment(stream, ByteView(want[3]).subspan(70), true);
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    RecordReader reader;
    Outcome out;
    auto all = [] { return std::size_t{1} << 20; };
    feed(reader, ByteView(stream).first(cut), all, out);
    feed(reader, ByteView(stream).subspan(cut), all, out);
    REQUIRE(out.records == want);
    REQUIRE_FALSE(out.error);
    REQUIRE_FALSE(reader.inside_record());
    REQUIRE(reader.memory() == 0);
  }
}

TEST_CASE("records of every size around the thresholds survive every chunk size") {
  Bytes stream;
  std::vector<Bytes> want;
  std::uint32_t seed = 0;
  for (std::size_t size : {16383u, 16384u, 16385u, 65531u, 65532u, 65536u, 65537u, 262145u}) {
    want.push_back(pattern(size, ++seed));
    append_fragment(stream, want.back(), true);
    want.push_back(pattern(100, ++seed));
    append_fragment(stream, want.back(), true);
  }
  for (std::size_t chunk : {7u, 1448u, 16384u, 65536u, 1u << 20}) {
    auto out = read_all(stream, chunk);
    REQUIRE_FALSE(out.error);
    REQUIRE(out.records == want);
  }
}

TEST_CASE("random records in random fragments and random reads come out whole") {
  std::uint32_t seed = 20251;
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 50; ++round) {
    Bytes stream;
    std::vector<Bytes> want;
    for (int i = 0; i < 20; ++i) {
      want.push_back(pattern(random() % (random() % 8 == 0 ? 100'000 : 300), random()));
      ByteView rest = want.back();
      while (random() % 3 == 0) {
        std::size_t piece = rest.empty() ? 0 : random() % rest.size();
        append_fragment(stream, rest.first(piece), false);
        rest = rest.subspan(piece);
      }
      append_fragment(stream, rest, true);
    }
    RecordReader reader;
    reader.align(random() % 9000);
    Outcome out;
    feed(reader, stream, [&random] { return std::size_t{1} + random() % 40'000; }, out);
    REQUIRE_FALSE(out.error);
    REQUIRE(out.records == want);
  }
}

TEST_CASE("a record of exactly the limit passes and one byte more is refused") {
  for (bool split : {false, true}) {
    for (std::size_t extra : {0u, 1u}) {
      Bytes payload = pattern(max_record_size + extra, 5);
      Bytes stream;
      std::size_t first = split ? 1000 : 0;
      if (split) append_fragment(stream, ByteView(payload).first(first), false);
      append_fragment(stream, ByteView(payload).subspan(first), true);
      auto out = read_all(stream, 50'000);
      CHECK(out.error.has_value() == (extra == 1));
      if (extra == 0) CHECK(out.records == std::vector<Bytes>{payload});
      if (extra == 1) {
        CHECK(out.error->code == Errc::limit);
        CHECK(out.error->detail.find(std::to_string(max_record_size)) != std::string::npos);
      }
    }
  }
}

TEST_CASE("a large record lies so that the byte that was asked for starts a page") {
  for (std::size_t offset : {0u, 4u, 132u, 4096u, 5000u}) {
    for (std::size_t chunk : {1448u, 65'536u, 1u << 20}) {
      Bytes payload = pattern(max_record_size, 3), stream;
      append_fragment(stream, payload, true);
      RecordReader reader;
      reader.align(offset);
      ByteView rest = stream;
      std::optional<Buffer> record;
      while (!record) {
        ByteSpan space = reader.space();
        std::size_t count = std::min({space.size(), rest.size(), chunk});
        std::copy_n(rest.begin(), count, space.begin());
        rest = rest.subspan(count);
        reader.commit(count);
        record = std::move(*reader.next());
      }
      REQUIRE(std::equal(payload.begin(), payload.end(), record->view().begin(),
                         record->view().end()));
      REQUIRE(reinterpret_cast<std::uintptr_t>(record->data() + offset) % 4096 == 0);
      REQUIRE(record->capacity() < (1u << 20) + (128u << 10));
    }
  }
}

TEST_CASE("a claim of 2 GiB is refused at its mark and takes no memory") {
  auto out = read_all(Bytes{std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}}, 4);
  REQUIRE(out.error);
  CHECK(out.most_memory <= 64 << 10);
}

TEST_CASE("memory follows what came and not what was announced") {
  Bytes stream;
  append_fragment(stream, pattern(max_record_size, 9), true);
  for (std::size_t sent : {4u, 5u, 20'000u, 70'000u, 200'000u}) {
    RecordReader reader;
    Outcome out;
    feed(reader, ByteView(stream).first(sent), [] { return std::size_t{1} << 20; }, out);
    CHECK_FALSE(out.error);
    CHECK(reader.inside_record());
    CHECK(out.most_memory <= (sent < 32'768 ? 128u << 10 : (1u << 20) + (192u << 10)));
  }
}

TEST_CASE("three hundred thousand empty fragments are refused with flat memory") {
  Bytes stream;
  for (int i = 0; i < 300'000; ++i) append_fragment(stream, {}, false);
  auto out = read_all(stream, 65'536);
  REQUIRE(out.error);
  CHECK(out.error->code == Errc::limit);
  CHECK(out.records.empty());
  CHECK(out.most_memory <= 64 << 10);
}

TEST_CASE("a record in fragments of one byte is answered up to the fragment limit") {
  Bytes payload = pattern(1000, 6);
  Bytes stream;
  for (std::size_t i = 0; i < payload.size(); ++i) {
    append_fragment(stream, ByteView(payload).subspan(i, 1), i + 1 == payload.size());
  }
  CHECK(read_all(stream, 100).records == std::vector<Bytes>{payload});
  RecordLimits exact{.fragments = 1000};
  CHECK_FALSE(read_all(stream, 100, exact).error);
  RecordLimits few{.fragments = 999};
  auto out = read_all(stream, 100, few);
  REQUIRE(out.error);
  CHECK(out.error->detail.find("999 fragments") != std::string::npos);
}

TEST_CASE("the fragment limits count per record") {
  Bytes stream;
  for (int record = 0; record < 100; ++record) {
    for (int i = 0; i < 16; ++i) append_fragment(stream, {}, false);
    append_fragment(stream, pattern(4, 1), true);
  }
  auto out = read_all(stream, 1000);
  CHECK_FALSE(out.error);
  CHECK(out.records.size() == 100);
}

TEST_CASE("the first error stays and frees the memory") {
  RecordReader reader;
  Outcome out;
  Bytes stream(4, std::byte{0xff});
  feed(reader, stream, [] { return std::size_t{4}; }, out);
  REQUIRE(out.error);
  CHECK(reader.memory() == 0);
  CHECK(reader.next().failed_with(Errc::limit));
}

TEST_CASE("nothing read gives the memory of space() back") {
  RecordReader reader;
  CHECK_FALSE(reader.space().empty());
  reader.commit(0);
  CHECK(reader.memory() == 0);
}

TEST_CASE("a large record is read in place") {
  Bytes stream;
  append_fragment(stream, pattern(1 << 20, 4), true);
  RecordReader reader;
  Outcome out;
  feed(reader, ByteView(stream).first(65'536), [] { return std::size_t{65'536}; }, out);
  ByteSpan rest = reader.space();
  REQUIRE(rest.size() == stream.size() - 65'536);  // all of it: nothing is copied again
  std::copy(stream.begin() + 65'536, stream.end(), rest.begin());
  const std::byte* place = rest.data();
  reader.commit(rest.size());
  auto record = reader.next();
  REQUIRE(record.has_value());
  REQUIRE(record->has_value());
  CHECK((*record)->data() + 65'532 == place);
  CHECK(std::equal(stream.begin() + 4, stream.end(), (*record)->view().begin()));
}

}  // namespace
}  // namespace rowan::rpc
