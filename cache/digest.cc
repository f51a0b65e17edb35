#include "cache/digest.h"

// Inlined: the packaged shared library is built for SSE2 and measures 2.5 times slower.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cache/digest_wide.h"

namespace rowan::cache {

std::uint64_t checksum64(ByteView bytes, std::uint64_t seed) {
#ifdef ROWAN_DIGEST_AVX2
  // Below, XXH3 does not use vectors.
  constexpr std::size_t vectors_from = XXH3_MIDSIZE_MAX + 1;
  if (bytes.size() >= vectors_from && __builtin_cpu_supports("avx2")) {
    return checksum64_avx2(bytes.data(), bytes.size(), seed);
  }
#endif
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace rowan::cache
