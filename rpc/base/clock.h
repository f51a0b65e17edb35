// Time is a parameter. Monotonic time drives deadlines; wall time only fills file attributes and
// logs, so a clock that is set back or forward disturbs no lease, no back-off and no verifier.
#pragma once

#include <chrono>
#include <cstdint>

namespace rowan {

using Duration = std::chrono::nanoseconds;
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;

// Seconds and nanoseconds since 1970-01-01 00:00 UTC; nanoseconds in [0, 10^9).
struct WallTime {
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;
  friend auto operator<=>(const WallTime&, const WallTime&) = default;
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicTime now() const = 0;
  virtual WallTime wall() const = 0;
};

// The machine's clocks. Stateless; safe from every thread.
Clock& real_clock();

}  // namespace rowan
