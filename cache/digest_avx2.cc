#include "cache/digest_wide.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace rowan::cache {

std::uint64_t checksum64_avx2(const void* bytes, std::size_t size, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes, size, seed);
}

}  // namespace rowan::cache
