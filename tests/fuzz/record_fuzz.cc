// Record marking: the same stream read in pieces of any size gives the same records, and memory
// stays in proportion to what came, wherever they are to lie. The first byte seeds the sizes of the
// pieces and the places.
// sources: rpc/record.cc
#include "rpc/record.h"

#include <algorithm>
#include <random>

#include "tests/fuzz/fuzz.h"

namespace {

using rowan::ByteView;
using rowan::rpc::RecordReader;

struct Outcome {
  std::string records;  // each with its length before it
  std::string error;
  bool operator==(const Outcome&) const = default;
};

Outcome read(ByteView stream, std::minstd_rand random, std::size_t largest) {
  rowan::rpc::RecordLimits limits{.record_size = 100'000, .fragments = 64};
  RecordReader reader(limits);
  reader.align(random() % 9000);
  Outcome outcome;
  std::size_t came = 0;
  while (!stream.empty()) {
    auto space = reader.space();
    FUZZ_CHECK(!space.empty());
    std::size_t count = std::min({space.size(), stream.size(), 1 + random() % largest});
    std::copy_n(stream.begin(), count, space.begin());
    stream = stream.subspan(count);
    came += count;
    reader.commit(count);
    for (;;) {
      auto next = reader.next();
      FUZZ_CHECK(reader.memory() <= (192u << 10) + 8 * came);
      if (!next.has_value()) {
        FUZZ_CHECK(!reader.next().has_value());
        outcome.error = to_string(next.error());
        return outcome;
      }
      if (!next->has_value()) break;
      FUZZ_CHECK((*next)->size() <= limits.record_size);
      outcome.records += std::to_string((*next)->size()) + ":";
      outcome.records += rowan::as_text((*next)->view());
      reader.align(random() % 9000);
    }
  }
  return outcome;
}

std::string fragment(std::string_view payload, bool last) {
  std::byte mark[4];
  rowan::store_be(mark, static_cast<std::uint32_t>(payload.size()) | (last ? 0x80000000u : 0));
  return std::string(rowan::as_text(mark)) + std::string(payload);
}

}  // namespace

std::vector<std::string> rowan::fuzz::seeds() {
  std::string large(70'000, 'l');
  return {
      "1" + fragment("record", true) + fragment("second one", true),
      "2" + fragment("in ", false) + fragment("", false) + fragment("three", true),
      "3" + fragment("", true) + fragment(large, true) + fragment("after", true),
      "4" + fragment(large, false) + fragment("tail", true),
      "5" + fragment(std::string(17'000, 'm'), true) + fragment(std::string(16'384, 'n'), true),
  };
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  ByteView stream = rowan::fuzz::view(data + 1, size - 1);
  std::minstd_rand random(data[0] + 1u);
  Outcome whole = read(stream, random, 1u << 20);
  FUZZ_CHECK(read(stream, random, 1 + (size - 1) / 4) == whole);
  if (size < 2000) FUZZ_CHECK(read(stream, random, 3) == whole);
  return 0;
}
