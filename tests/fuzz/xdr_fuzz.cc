// The XDR cursor under any sequence of reads: the input's first half is the program, the second the
// data.
// sources: rpc/xdr_cursor.cc
#include "rpc/xdr_cursor.h"
#include "tests/fuzz/fuzz.h"

namespace {

using rowan::ByteView;
using rowan::xdr::Reader;

enum class Small : std::uint32_t { a = 1, b = 2 };

void step(Reader& in, unsigned operation) {
  std::size_t before = in.left();
  bool was_ok = in.ok();
  std::size_t limit = operation >> 3;
  switch (operation & 7) {
    case 0: in.u32(); break;
    case 1: in.u64(); break;
    case 2: in.boolean(); break;
    case 3: in.enumeration(Small::a, Small::b); break;
    case 4: FUZZ_CHECK(in.fixed_opaque(limit).size() == (in.ok() ? limit : 0)); break;
    case 5: {
      ByteView bytes = in.opaque(limit);
      FUZZ_CHECK(bytes.size() <= limit);
      for (std::byte byte : bytes) FUZZ_CHECK(byte == byte);  // touches each
      break;
    }
    case 6: {
      std::uint32_t count = in.count(limit, 4);
      FUZZ_CHECK(count <= limit && count * std::size_t{4} <= in.left());
      break;
    }
    default: FUZZ_CHECK(in.text(limit * 64).size() <= limit * 64); break;
  }
  FUZZ_CHECK(in.left() <= before);
  FUZZ_CHECK(was_ok || !in.ok());
  FUZZ_CHECK(in.ok() || in.left() == 0);
  FUZZ_CHECK(in.ok() == (in.failure() == nullptr));
}

}  // namespace

std::vector<std::string> rowan::fuzz::seeds() {
  std::vector<std::string> all;
  for (char operation = 0; operation < 64; ++operation) {
    std::string program(16, operation);
    all.push_back(program + std::string("\0\0\0\1\0\0\0\2\0\0\0\3abc\0", 16));
  }
  return all;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::size_t half = size / 2;
  Reader in(rowan::fuzz::view(data + half, size - half));
  for (std::size_t i = 0; i < half; ++i) step(in, data[i]);
  bool nothing_left = in.left() == 0;
  FUZZ_CHECK(in.finish() == (nothing_left && in.ok()));
  return 0;
}
