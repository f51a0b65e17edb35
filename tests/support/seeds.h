// Seeds of the randomised tests: 1 to `normal`, or to ROWAN_SIM_SEEDS if that is set (nightly). A
// failing test prints its seed; ROWAN_SIM_SEED runs that one alone.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <vector>

namespace rowan::test {

inline std::vector<std::uint64_t> seeds(std::uint64_t normal) {
  if (const char* one = std::getenv("ROWAN_SIM_SEED")) return {std::strtoull(one, nullptr, 10)};
  const char* many = std::getenv("ROWAN_SIM_SEEDS");
  const std::uint64_t count = many != nullptr ? std::strtoull(many, nullptr, 10) : normal;
  std::vector<std::uint64_t> all;
  for (std::uint64_t seed = 1; seed <= count; ++seed) all.push_back(seed);
  return all;
}

// True if enough seeds run that something rare must have come up in one of them.
inline bool many_seeds() { return seeds(50).size() >= 50; }

}  // namespace rowan::test
