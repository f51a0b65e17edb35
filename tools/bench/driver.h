// Runs one load from one thread over several connections, with a fixed number of calls in flight on
// each.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "rpc/base/result.h"
#include "tools/bench/load.h"
#include "tools/bench/target.h"

namespace rowan::bench {

inline constexpr unsigned max_connections = 256;
inline constexpr unsigned max_depth = 1024;

struct RunOptions {
  unsigned connections = 2;         // TCP connections, 1 to max_connections
  unsigned depth = 16;              // calls in flight on each, 1 to max_depth
  double seconds = 3;               // length of the measured part, unless `count` is set
  std::uint64_t count = 0;          // calls to send; 0: bounded by time
  double warmup_seconds = 0.3;      // before the measured part of a run bounded by time
  bool keep = false;                // leave what the load made
  std::optional<pid_t> server_pid;  // whose processor time is reported
};

struct RunResult {
  double seconds = 0;  // from the first measured call to the end of the last COMMIT
  std::uint64_t calls = 0;
  std::uint64_t bytes = 0;
  double calls_per_second = 0;
  double megabytes_per_second = 0;  // 10^6 bytes
  double p50_us = 0, p99_us = 0;    // of single calls
  std::optional<double> server_cpu_us_per_call;
};

// Errors: the server's refusal of any call ends the run; ten seconds without a reply are
// Errc::timed_out.
Result<RunResult> run_load(const Target& target, Load& load, const RunOptions& options);

// User plus system time of a process in seconds; nothing when it is gone.
std::optional<double> cpu_seconds(pid_t pid);

}  // namespace rowan::bench
