// What names things for ever, from a seed.
#pragma once

#include <cstdint>

namespace rowan::sim {

void seed_ids(std::uint64_t seed);

}  // namespace rowan::sim
