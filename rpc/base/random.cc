#include "rpc/base/random.h"

#include <sys/random.h>

#include <cerrno>

#include "rpc/base/check.h"

namespace rowan {

void fill_random(ByteSpan into) {
  while (!into.empty()) {
    ssize_t got = ::getrandom(into.data(), into.size(), 0);
    // Only EINTR is possible for a valid buffer once the pool is up, and getrandom waits for that.
    CHECK(got > 0 || errno == EINTR);
    if (got > 0) into = into.subspan(static_cast<std::size_t>(got));
  }
}

std::uint64_t random_number() {
  std::uint64_t number = 0;
  while (number == 0) fill_random({reinterpret_cast<std::byte*>(&number), sizeof number});
  return number;
}

}  // namespace rowan
