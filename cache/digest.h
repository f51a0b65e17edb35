// Checksums of what lies on disk (XXH3-64; not against an adversary). The one door to xxHash here.
#pragma once

#include <cstdint>

#include "rpc/base/bytes.h"

namespace rowan::cache {

// XXH3-64 of `bytes` with `seed`. Little- and big-endian machines agree.
std::uint64_t checksum64(ByteView bytes, std::uint64_t seed = 0);

}  // namespace rowan::cache
