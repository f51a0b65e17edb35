// Random numbers, of which some name things for ever. Simulations put a seeded source in the place
// of random.cc.
#pragma once

#include <cstdint>

#include "rpc/base/bytes.h"

namespace rowan {

// From the system's generator; waits for nothing but its start.
void fill_random(ByteSpan into);

// Never zero. 64 random bits do not meet by accident: nothing looks for duplicates.
std::uint64_t random_number();

}  // namespace rowan
