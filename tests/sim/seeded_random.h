// What the product draws at random, from a seed.
#pragma once

#include <cstdint>

namespace rowan::sim {

void seed_random(std::uint64_t seed);

}  // namespace rowan::sim
