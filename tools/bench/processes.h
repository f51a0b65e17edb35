// Child processes of the comparison, and the private network they live in.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "rpc/base/result.h"

namespace rowan::bench {

// A running program; ends with its owner, and with this process however that dies.
class ChildProcess {
 public:
  // Output and errors go to `log`. Errc::not_found when the program does not exist.
  static Result<ChildProcess> start(const std::vector<std::string>& arguments,
                                    const std::filesystem::path& log);
  ChildProcess() = default;
  ChildProcess(ChildProcess&& other) noexcept
      : pid_(std::exchange(other.pid_, 0)),
        name_(std::move(other.name_)),
        log_(std::move(other.log_)) {}
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess() { stop(); }

  pid_t pid() const { return pid_; }
  bool running();
  // SIGTERM; after ten seconds SIGKILL. Returns when it is gone.
  void stop();
  // Waits for its own end; an error names the exit status and the end of the log.
  Result<void> wait();
  // Waits until 127.0.0.1:port accepts a connection, at most 30 s and only while the program lives.
  Result<void> wait_for_port(std::uint16_t port);

 private:
  Error failure(const std::string& what) const;

  pid_t pid_ = 0;
  std::string name_;
  std::filesystem::path log_;
};

// Gives this process (one thread so far) a network of its own with a loopback, and a /run of its
// own, so that rpcbind and nfs-ganesha disturb nothing and several comparisons may run at once.
// Needs root.
Result<void> enter_private_network();

// A named line of /proc/PID/status in kilobytes (VmRSS, VmHWM); 0 when it is not there.
std::uint64_t status_kilobytes(pid_t pid, std::string_view key);

}  // namespace rowan::bench
