#include "rpc/base/clock.h"

#include <ctime>

namespace rowan {
namespace {

class RealClock final : public Clock {
 public:
  MonotonicTime now() const override {
    return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
  }
  WallTime wall() const override {
    timespec ts{};
    clock_gettime(CLOCK_REALTIME, &ts);
    return {ts.tv_sec, static_cast<std::uint32_t>(ts.tv_nsec)};
  }
};

}  // namespace

Clock& real_clock() {
  static RealClock clock;
  return clock;
}

}  // namespace rowan
