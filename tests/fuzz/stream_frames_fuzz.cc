// What the frames of a stream between hosts hold: no input crashes a decoder, and what decodes
// also encodes to the same bytes where the format has one form. The first byte chooses the decoder.
// sources: cache/stream_frames.cc
#include "cache/stream_frames.h"

#include "tests/fuzz/stable.h"

namespace {

using namespace rowan;
using namespace rowan::cache;
using rowan::fuzz::check_stable_text;

std::string encode_known(const std::vector<KnownName>& names) { return encode_names(names); }
std::string encode_frame(const ChangesFrame& frame) { return encode(frame); }
std::string encode_totals(const ChangeTotals& totals) { return encode(totals); }

void try_changes(std::string_view bytes) {
  check_stable_text(bytes, decode_changes, encode_frame);
  auto frame = decode_changes(bytes);
  if (!frame) return;
  FUZZ_CHECK(frame->reached.size() <= max_key_bytes);
  FUZZ_CHECK(encode(*frame) == bytes);
}

}  // namespace

std::vector<std::string> rowan::fuzz::seeds() {
  const ObjectId root = image_root, etc{7};
  const std::vector<KnownName> names{{root, "etc", etc, root, "etc"},
                                     {root, "link", etc, root, "etc"},
                                     {etc, std::string(255, 'x'), ObjectId{9}, etc, "x"}};
  ChangesFrame frame{"key", {3, 2, 1 << 20, 0xfeed}, std::string(60, 'c')};
  return {"n" + encode_names(names), "n", "c" + encode(frame),
          "c" + encode(ChangesFrame{std::string(max_key_bytes, 'k'), {}, {}}),
          "t" + encode(ChangeTotals{1, 2, 3, 4})};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes = rowan::as_text(rowan::fuzz::view(data + 1, size - 1));
  switch (data[0]) {
    case 'n': check_stable_text(bytes, decode_names, encode_known); break;
    case 'c': try_changes(bytes); break;
    case 't': check_stable_text(bytes, decode_totals, encode_totals); break;
    default: break;
  }
  return 0;
}
