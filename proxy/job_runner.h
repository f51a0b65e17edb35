// Runs the disk jobs of one engine (Catalog, BlockCache, Store) on a disk pool and wakes who waits
// for them.
//
// An engine never waits for the disk (rpc/base/loop.h): it hands out jobs and takes them back. The
// runner is the short loop in between. Everything here runs on the engine's strand.
#pragma once

#include <algorithm>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rpc/base/check.h"
#include "rpc/base/loop.h"
#include "rpc/base/result.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

// Loads one answer may need before it is put off with try_later: more means that the engine's page
// cache is too small for the question, or that the engine never gets satisfied.
inline constexpr std::uint32_t max_loads_per_answer = 10'000;

inline constexpr Duration stall_retry = std::chrono::seconds(1);

template <class Engine>
class JobRunner {
 public:
  // All three outlive the runner.
  JobRunner(Loop& loop, DiskPool& pool, Engine& engine)
      : loop_(loop), pool_(pool), engine_(engine) {}
  JobRunner(const JobRunner&) = delete;
  JobRunner& operator=(const JobRunner&) = delete;
  // drain() first: a job that is out refers to the runner.
  ~JobRunner() {
    CHECK(idle());
    loop_.cancel(retry_timer_);
  }

  // Hands out, at the end of this turn of the loop, whatever the engine has to do; so that the
  // changes of one turn share a job. Call it after everything that may have given the engine work.
  void pump() {
    if (pump_scheduled_) return;
    pump_scheduled_ = true;
    loop_.defer([this] {
      pump_scheduled_ = false;
      hand_out();
      if (idle()) wake_drainers();
    });
  }

  // Completes once the disk has `ticket`, or with the engine's failure. Concurrent callers share
  // one sync. While the engine is stalled (a full disk, too few descriptors) they wait, and it is
  // asked again every `stall_retry`. try_later: after stop_waiting().
  Task<Result<void>> durable(std::uint64_t ticket) {
    if (engine_.durable() < ticket && !engine_.failure()) {
      engine_.want_durable(ticket);
      pump();
      TicketAwaiter awaiter{*this, ticket};
      co_await awaiter;
    }
    if (engine_.durable() >= ticket) co_return Result<void>();
    if (!engine_.failure()) co_return put_off();
    co_return *engine_.failure();
  }

  // From that time on nobody waits for a stalled engine any more; with a try each for what comes
  // later. For a shutdown.
  void stop_waiting(MonotonicTime from) { patience_ends_ = from; }

  // Runs every job the engine has, and whatever those lead to. For a clean shutdown, and before
  // destruction.
  Task<void> drain() {
    pump();
    while (!idle()) {
      DrainAwaiter awaiter{*this};
      co_await awaiter;
    }
  }

  // question() -> Result<T>; asked again after each load while it says needs_load. Name the
  // question before the co_await (task.h: no capturing lambda inside the expression); references it
  // captures live in the awaiting coroutine.
  template <class Question>
  auto with_loads(Question question) -> Task<decltype(question())> {
    for (std::uint32_t loads = 0;; ++loads) {
      auto answer = question();
      if (!answer.failed_with(Errc::needs_load)) co_return answer;
      if (loads == max_loads_per_answer) {
        Error error(Errc::try_later, "gave up after " + std::to_string(loads) + " loads from disk");
        co_return error;
      }
      std::unique_ptr<Job> job = engine_.take_load();
      if (job != nullptr) {
        OwnJobAwaiter awaiter{*this, std::move(job)};
        co_await awaiter;
        continue;
      }
      // Without a job of its own the question waits for one that is out already.
      if (in_flight_ == 0) hand_out();
      CHECK(in_flight_ > 0);
      CompletionAwaiter awaiter{*this};
      co_await awaiter;
    }
  }

  // Completes when a job that is out, or handed out now, has come back; false: there is none. For
  // questions that say try_later: something must be written first.
  Task<bool> progress() {
    hand_out();
    if (in_flight_ == 0) co_return false;
    CompletionAwaiter awaiter{*this};
    co_await awaiter;
    co_return true;
  }

  std::size_t jobs_in_flight() const { return in_flight_; }

 private:
  struct TicketWaiter {
    std::uint64_t ticket;
    std::coroutine_handle<> waiter;
  };
  struct TicketAwaiter {
    JobRunner& runner;
    std::uint64_t ticket;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
      runner.ticket_waiters_.push_back(TicketWaiter{ticket, waiter});
    }
    void await_resume() const noexcept {}
  };
  struct DrainAwaiter {
    JobRunner& runner;
    bool await_ready() const noexcept { return runner.idle(); }
    void await_suspend(std::coroutine_handle<> waiter) { runner.drainers_.push_back(waiter); }
    void await_resume() const noexcept {}
  };
  struct OwnJobAwaiter {
    JobRunner& runner;
    std::unique_ptr<Job> job;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) { runner.submit(std::move(job), waiter); }
    void await_resume() const noexcept {}
  };
  struct CompletionAwaiter {
    JobRunner& runner;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
      runner.completion_waiters_.push_back(waiter);
    }
    void await_resume() const noexcept {}
  };

  bool idle() const { return in_flight_ == 0 && !pump_scheduled_; }

  void hand_out() {
    while (std::unique_ptr<Job> job = engine_.next_job()) submit(std::move(job), nullptr);
    wake_durable();
    if (in_flight_ != 0 || !stalled()) return;
    if (loop_.clock().now() >= patience_ends_) {
      wake_ticket_waiters([](const TicketWaiter&) { return true; });
    } else if (retry_timer_ == 0) {
      retry_timer_ = loop_.call_after(stall_retry, [this] { retry(); });
    }
  }

  Error put_off() const {
    std::string why = "the disk does not take what was written";
    if constexpr (requires { engine_.stalled(); }) {
      if (engine_.stalled()) why = engine_.stalled()->detail;
    }
    return Error(Errc::try_later, why);
  }

  // With no job out, an engine for which somebody waits waits itself.
  bool stalled() const {
    if constexpr (requires { engine_.stalled(); }) {
      if (engine_.stalled()) return true;
    }
    return !ticket_waiters_.empty();
  }

  // Nobody tells when others have freed what was missing: only another attempt does.
  void retry() {
    retry_timer_ = 0;
    if constexpr (requires { engine_.durable(); }) {
      std::uint64_t wanted = 0;
      for (const TicketWaiter& waiting : ticket_waiters_) wanted = std::max(wanted, waiting.ticket);
      engine_.want_durable(wanted);
    }
    pump();
  }

  void submit(std::unique_ptr<Job> job, std::coroutine_handle<> waiter) {
    ++in_flight_;
    pool_.submit(loop_, std::move(job), [this, waiter](std::unique_ptr<Job> done) {
      take_back(std::move(done), waiter);
    });
  }

  void take_back(std::unique_ptr<Job> job, std::coroutine_handle<> waiter) {
    engine_.complete(std::move(job));
    --in_flight_;
    if (waiter) loop_.defer([waiter] { waiter.resume(); });
    wake(completion_waiters_);
    hand_out();
    if (idle()) wake_drainers();
  }

  void wake(std::vector<std::coroutine_handle<>>& waiters) {
    auto woken = std::exchange(waiters, {});
    for (std::coroutine_handle<> waiter : woken) loop_.defer([waiter] { waiter.resume(); });
  }
  void wake_drainers() { wake(drainers_); }

  void wake_durable() {
    if constexpr (requires { engine_.durable(); }) {
      wake_ticket_waiters([this](const TicketWaiter& waiting) {
        return waiting.ticket <= engine_.durable() || engine_.failure().has_value();
      });
    }
  }

  template <class Due>
  void wake_ticket_waiters(Due due) {
    auto rest = std::stable_partition(ticket_waiters_.begin(), ticket_waiters_.end(), due);
    for (auto at = ticket_waiters_.begin(); at != rest; ++at) {
      loop_.defer([waiter = at->waiter] { waiter.resume(); });
    }
    ticket_waiters_.erase(ticket_waiters_.begin(), rest);
  }

  Loop& loop_;
  DiskPool& pool_;
  Engine& engine_;
  std::size_t in_flight_ = 0;
  bool pump_scheduled_ = false;
  Loop::TimerId retry_timer_ = 0;
  MonotonicTime patience_ends_ = MonotonicTime::max();
  std::vector<TicketWaiter> ticket_waiters_;
  std::vector<std::coroutine_handle<>> completion_waiters_;
  std::vector<std::coroutine_handle<>> drainers_;
};

}  // namespace rowan::proxy
