// What send and receive share: one way to the state for many requests, and a stream's progress.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "proxy/admin_http.h"
#include "proxy/offline.h"
#include "rpc/base/result.h"
#include "tools/command_line.h"

namespace rowan::tools {

// The daemon, or, where none runs, the state directory itself, locked as long as this lives.
class Connection {
 public:
  // `create`: the state directory may be made.
  static Result<std::unique_ptr<Connection>> open(const CommandLine& line, bool create);
  // The answer's body; an error's message is the daemon's.
  Result<std::string> ask(const proxy::HttpRequest& request);
  // Two threads may not ask at the same time, then.
  bool offline() const { return session_ != nullptr; }

 private:
  std::string socket_;
  std::unique_ptr<proxy::OfflineAdmin> session_;
};

// Bytes and rate on standard error, while it is a terminal.
class Meter {
 public:
  explicit Meter(std::string what);
  ~Meter();
  void add(std::uint64_t bytes);
  // "12.3M, 95M/s".
  std::string summary() const;

 private:
  void show() const;
  std::string what_;
  bool terminal_;
  std::uint64_t bytes_ = 0;
  std::chrono::steady_clock::time_point start_, shown_;
};

// A failed write or read is an error, whatever the signal's default is.
void ignore_broken_pipes();

}  // namespace rowan::tools
