// Takes the place of rpc/base/random.cc in the program it is linked into: the same seed gives the
// same ids, and with them the same bytes and the same names of files in the same order.
#include "tests/sim/seeded_random.h"

#include <random>

#include "rpc/base/random.h"

namespace rowan {
namespace {

std::mt19937_64 generator;

}  // namespace

namespace sim {

void seed_random(std::uint64_t seed) { generator.seed(seed); }

}  // namespace sim

void fill_random(ByteSpan into) {
  for (std::byte& byte : into) byte = static_cast<std::byte>(generator());
}

std::uint64_t random_number() {
  std::uint64_t number = 0;
  while (number == 0) number = generator();
  return number;
}

}  // namespace rowan
