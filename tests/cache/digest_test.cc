#include "cache/digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <catch2/catch.hpp>
#include <string>

#include "rpc/base/buffer.h"

using namespace rowan;
using namespace rowan::cache;

namespace {

Buffer pattern(std::size_t size) {
  Buffer bytes(size);
  std::uint32_t state = 1;
  for (std::byte& byte : bytes.span()) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

}  // namespace

TEST_CASE("the checksum is XXH3-64 whatever the processor has") {
  Buffer bytes = pattern(10'000);
  for (std::size_t size = 0; size <= 5000; ++size) {
    // From an odd address too: vectors must not assume alignment.
    for (std::size_t skip : {0u, 1u}) {
      ByteView part = bytes.view().subspan(skip, size);
      CHECK(checksum64(part) == XXH3_64bits(part.data(), part.size()));
      CHECK(checksum64(part, 77) == XXH3_64bits_withSeed(part.data(), part.size(), 77));
    }
  }
}

TEST_CASE("what is on disk keeps its checksum") {
  CHECK(checksum64({}) == 0x2d06800538d394c2u);
  CHECK(checksum64(as_bytes("rowan")) == 0xfa69cf2b74d0b731u);
  CHECK(checksum64(pattern(4096).view()) == 0x436f521f6688c5edu);
}
