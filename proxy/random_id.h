// Random numbers that name things for ever.
#pragma once

#include <cstdint>

#include "rpc/base/bytes.h"

namespace rowan::proxy {

// From the system's generator; waits for nothing but its start.
void fill_random(ByteSpan into);

// Never zero. 64 random bits do not meet by accident: nothing looks for duplicates.
std::uint64_t random_id();

}  // namespace rowan::proxy
