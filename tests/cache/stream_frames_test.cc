#include "cache/stream_frames.h"

#include "cache/frame_stream.h"
#include "tests/support/catch.h"

namespace rowan::cache {
namespace {

std::vector<KnownName> sample_names() {
  return {{image_root, "bin", ObjectId{7}, image_root, "bin"},
          {ObjectId{7}, "perl5", ObjectId{9}, ObjectId{7}, "perl"},
          {ObjectId{7}, std::string(255, '\xff'), ObjectId{10}, ObjectId{8}, "x"}};
}

TEST_CASE("names come back as they were, and nothing that is cut does") {
  const std::string content = encode_names(sample_names());
  CHECK((*decode_names(content) == sample_names()));
  CHECK(decode_names("")->empty());
  const std::size_t first = encode_names({sample_names()[0]}).size();
  const std::size_t second = encode_names({sample_names()[0], sample_names()[1]}).size();
  for (std::size_t size = 1; size < content.size(); ++size) {
    INFO(size);
    CHECK(decode_names(content.substr(0, size)).has_value() == (size == first || size == second));
  }
  std::string odd = content;
  odd[16] = 2;
  CHECK(decode_names(odd).failed_with(Errc::corrupt));
}

TEST_CASE("changes and totals come back as they were") {
  const ChangesFrame frame{std::string("key\0of", 6), {1, 2, 3, ~std::uint64_t{0}}, "changes"};
  CHECK((*decode_changes(encode(frame)) == frame));
  for (std::size_t size = 0; size < 2 + frame.reached.size() + 32; ++size)
    CHECK(decode_changes(encode(frame).substr(0, size)).failed_with(Errc::corrupt));
  CHECK(decode_changes(encode(ChangesFrame{std::string(max_key_bytes + 1, 'k'), {}, {}}))
            .failed_with(Errc::corrupt));
  CHECK((*decode_totals(encode(frame.totals)) == frame.totals));
  CHECK(decode_totals(encode(frame.totals) + "x").failed_with(Errc::corrupt));
  CHECK(decode_totals("").failed_with(Errc::corrupt));
}

TEST_CASE("totals add up, the sum modulo 2^64") {
  ChangeTotals totals{1, 2, 3, ~std::uint64_t{0}};
  totals.add({10, 20, 30, 5});
  CHECK((totals == ChangeTotals{11, 22, 33, 4}));
}

TEST_CASE("a frame of changes keeps within a frame of the stream") {
  CHECK(changes_frame_bytes + max_portable_bytes + max_key_bytes + 64 <= max_frame_bytes);
}

}  // namespace
}  // namespace rowan::cache
