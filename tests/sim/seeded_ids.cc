// Takes the place of proxy/random_id.cc in the program it is linked into: the same seed gives the
// same ids, and with them the same names of files in the same order.
#include "tests/sim/seeded_ids.h"

#include <random>

#include "proxy/random_id.h"

namespace rowan {
namespace {

std::mt19937_64 generator;

}  // namespace

namespace sim {

void seed_ids(std::uint64_t seed) { generator.seed(seed); }

}  // namespace sim

namespace proxy {

void fill_random(ByteSpan into) {
  for (std::byte& byte : into) byte = static_cast<std::byte>(generator());
}

std::uint64_t random_id() {
  std::uint64_t id = 0;
  while (id == 0) id = generator();
  return id;
}

}  // namespace proxy
}  // namespace rowan
