#include "tools/bench/driver.h"

#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

#include "tools/bench/histogram.h"

// A slot is one call in flight. Its callback measures, and puts the next call into the same slot,
// so the depth stays constant until the run is over; then the slots fall idle one by one (drain).
namespace rowan::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr auto silence_limit = std::chrono::seconds(10);
constexpr int poll_milliseconds = 100;

double seconds_between(SteadyClock::time_point from, SteadyClock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

class Driver {
 public:
  Driver(Load& load, const RunOptions& options) : load_(load), options_(options) {}

  Result<void> connect(const Target& target);
  Result<RunResult> run();

 private:
  struct Slot {
    Driver* driver;
    RawClient* client;
    Ticket ticket;
    SteadyClock::time_point started;
  };

  static void on_reply(rpc_context*, int status, void* data, void* user);
  void complete(Slot& slot, int status, void* data);
  void start(Slot& slot, SteadyClock::time_point now);
  bool over(SteadyClock::time_point now) const;
  Result<void> turn();
  Result<void> check_time();
  void begin_measuring(SteadyClock::time_point now);
  RunResult summary(SteadyClock::time_point end) const;

  Load& load_;
  RunOptions options_;
  std::vector<std::unique_ptr<RawClient>> clients_;
  std::vector<Slot> slots_;  // never resized while calls are in flight
  std::vector<pollfd> polled_;

  std::uint64_t issued_ = 0;
  std::size_t in_flight_ = 0;
  std::optional<Error> failure_;
  bool measuring_ = false;
  Histogram latencies_;
  std::uint64_t bytes_ = 0;
  SteadyClock::time_point begin_, last_reply_;
  std::optional<double> cpu_at_begin_;
};

Result<void> Driver::connect(const Target& target) {
  for (unsigned i = 0; i < options_.connections; ++i) {
    TRY(auto client, RawClient::connect(target, target.nfs_port));
    // Connections from one address share the server's table of replayed calls: keep their ids
    // apart.
    rpc_set_next_xid(client->context(),
                     (static_cast<std::uint32_t>(getpid()) << 16) + (i << 24) + 1);
    clients_.push_back(std::move(client));
  }
  slots_.reserve(std::size_t{options_.connections} * options_.depth);
  for (auto& client : clients_) {
    for (unsigned i = 0; i < options_.depth; ++i) {
      Slot slot{.driver = this, .client = client.get(), .ticket = {}, .started = {}};
      slot.ticket.slot = static_cast<std::uint32_t>(slots_.size());
      slots_.push_back(slot);
    }
  }
  return {};
}

void Driver::on_reply(rpc_context*, int status, void* data, void* user) {
  auto& slot = *static_cast<Slot*>(user);
  slot.driver->complete(slot, status, data);
}

void Driver::complete(Slot& slot, int status, void* data) {
  --in_flight_;
  if (failure_) return;
  auto now = SteadyClock::now();
  last_reply_ = now;
  if (status != RPC_STATUS_SUCCESS) {
    bool text = status == RPC_STATUS_ERROR && data != nullptr;
    failure_ =
        Error(Errc::disconnected, text ? static_cast<const char*>(data) : "the call was cancelled");
    return;
  }
  auto moved = load_.check(slot.ticket, data);
  if (!moved) {
    failure_ = moved.error();
    return;
  }
  if (measuring_) {
    auto latency = std::chrono::duration_cast<std::chrono::nanoseconds>(now - slot.started);
    latencies_.add(static_cast<std::uint64_t>(latency.count()));
    bytes_ += *moved;
  }
  if (!over(now)) start(slot, now);
}

void Driver::start(Slot& slot, SteadyClock::time_point now) {
  slot.ticket.index = issued_++;
  slot.started = now;
  ++in_flight_;
  load_.issue(slot.client->context(), slot.ticket, on_reply, &slot);
}

bool Driver::over(SteadyClock::time_point now) const {
  if (options_.count != 0) return issued_ >= options_.count;
  return measuring_ && seconds_between(begin_, now) >= options_.seconds;
}

void Driver::begin_measuring(SteadyClock::time_point now) {
  latencies_.clear();
  bytes_ = 0;
  begin_ = now;
  measuring_ = true;
  if (options_.server_pid) cpu_at_begin_ = cpu_seconds(*options_.server_pid);
}

Result<void> Driver::turn() {
  polled_.clear();
  for (auto& client : clients_) {
    polled_.push_back({.fd = client->fd(), .events = client->events(), .revents = 0});
  }
  poll(polled_.data(), polled_.size(), poll_milliseconds);
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    if (polled_[i].revents != 0) TRY_VOID(clients_[i]->service(polled_[i].revents));
  }
  if (failure_) return *failure_;
  return {};
}

Result<void> Driver::check_time() {
  auto now = SteadyClock::now();
  if (now - last_reply_ > silence_limit) {
    return Error(Errc::timed_out,
                 "no reply for ten seconds, " + std::to_string(in_flight_) + " calls in flight");
  }
  if (!measuring_ && seconds_between(begin_, now) >= options_.warmup_seconds) begin_measuring(now);
  return {};
}

RunResult Driver::summary(SteadyClock::time_point end) const {
  RunResult result;
  result.seconds = seconds_between(begin_, end);
  result.calls = latencies_.count();
  result.bytes = bytes_;
  double divisor = result.seconds > 0 ? result.seconds : 1;
  result.calls_per_second = static_cast<double>(result.calls) / divisor;
  result.megabytes_per_second = static_cast<double>(result.bytes) / divisor / 1e6;
  result.p50_us = static_cast<double>(latencies_.quantile(0.5)) / 1e3;
  result.p99_us = static_cast<double>(latencies_.quantile(0.99)) / 1e3;
  if (cpu_at_begin_ && result.calls > 0) {
    if (auto now = cpu_seconds(*options_.server_pid)) {
      result.server_cpu_us_per_call =
          (*now - *cpu_at_begin_) * 1e6 / static_cast<double>(result.calls);
    }
  }
  return result;
}

Result<RunResult> Driver::run() {
  begin_ = last_reply_ = SteadyClock::now();
  if (options_.count != 0) begin_measuring(begin_);
  for (auto& slot : slots_) {
    if (!over(begin_)) start(slot, begin_);
  }
  while (in_flight_ > 0) {
    TRY_VOID(turn());
    TRY_VOID(check_time());
  }
  TRY_VOID(load_.finish(*clients_.front()));
  return summary(SteadyClock::now());
}

Result<void> check_bounds(const RunOptions& options) {
  if (options.connections < 1 || options.connections > max_connections || options.depth < 1 ||
      options.depth > max_depth) {
    return Error(Errc::usage, "1 to 256 connections, 1 to 1024 calls in flight on each");
  }
  if (options.count == 0 && !(options.seconds > 0 && options.seconds <= 3600)) {
    return Error(Errc::usage, "a run lasts more than 0 and at most 3600 seconds");
  }
  return {};
}

}  // namespace

Result<RunResult> run_load(const Target& target, Load& load, const RunOptions& options) {
  TRY_VOID(check_bounds(options));
  FileHandle root;
  if (load.needs_export()) {
    TRY(auto mounted, mount_root(target));
    root = std::move(mounted);
  }
  TRY(auto control, RawClient::connect(target, target.nfs_port));
  TRY_VOID(load.prepare(*control, root));
  Result<RunResult> outcome = Error(Errc::io, "not run");
  {
    Driver driver(load, options);
    TRY_VOID(driver.connect(target));
    outcome = driver.run();
  }
  if (!options.keep) {
    auto cleaned = load.clean_up(*control);
    if (outcome && !cleaned) return cleaned.error();
  }
  return outcome;
}

std::optional<double> cpu_seconds(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  auto after_name = text.rfind(')');  // the name may hold spaces and parentheses
  if (after_name == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(after_name + 1));
  std::string skipped;
  for (int i = 3; i < 14; ++i) fields >> skipped;  // proc(5): utime is field 14, stime field 15
  std::uint64_t user = 0, system = 0;
  if (!(fields >> user >> system)) return std::nullopt;
  return static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace rowan::bench
