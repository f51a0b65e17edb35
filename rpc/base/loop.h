// What NFS logic asks of an event loop. One loop is one strand: everything that belongs to it runs
// on its thread, so nothing behind it needs a lock. Asio supplies the real one (rpc/asio_loop.h),
// the simulator a deterministic one (tests/support/manual_loop.h).
#pragma once

#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "rpc/base/clock.h"
#include "rpc/base/task.h"

namespace rowan {

class Loop {
 public:
  using TimerId = std::uint64_t;  // 0 is no timer

  virtual ~Loop() = default;

  virtual Clock& clock() = 0;
  // Runs `work` on this loop's thread, never inside the call. Only from this loop's thread.
  virtual void defer(std::function<void()> work) = 0;
  // The same from any thread.
  virtual void post(std::function<void()> work) = 0;
  // Runs `work` once, not before `delay` has passed, unless cancelled. Only from this loop's
  // thread.
  virtual TimerId call_after(Duration delay, std::function<void()> work) = 0;
  // After this the timer's work does not run any more. A timer that has fired may be cancelled
  // again.
  virtual void cancel(TimerId timer) = 0;
};

// Work for a disk thread: it touches files and its own members, nothing that belongs to a strand.
class Job {
 public:
  virtual ~Job() = default;
  virtual void run() noexcept = 0;
};

// Runs jobs away from the loop (a few threads; in the simulator at seeded moments).
class DiskPool {
 public:
  virtual ~DiskPool() = default;
  // Runs `job` on some thread, then `done` with the job on `home`'s thread.
  virtual void submit(Loop& home, std::unique_ptr<Job> job,
                      std::function<void(std::unique_ptr<Job>)> done) = 0;
};

// A one-shot event with any number of waiters, all on one loop. Waiters are resumed by the loop,
// never inside set(), so that who signals is not re-entered.
class Signal {
 public:
  explicit Signal(Loop& loop) : loop_(&loop) {}
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  ~Signal() { CHECK(waiters_.empty()); }

  bool is_set() const { return set_; }
  void set() {
    set_ = true;
    auto waiters = std::move(waiters_);
    waiters_.clear();
    for (std::coroutine_handle<> waiter : waiters) loop_->defer([waiter] { waiter.resume(); });
  }

  struct Awaiter {
    Signal& signal;
    bool await_ready() const noexcept { return signal.set_; }
    void await_suspend(std::coroutine_handle<> waiter) { signal.waiters_.push_back(waiter); }
    void await_resume() const noexcept {}
  };
  // `co_await signal.wait()`: several coroutines may wait for one signal, which outlives their
  // waiting.
  Awaiter wait() { return Awaiter{*this}; }

 private:
  Loop* loop_;
  bool set_ = false;
  std::vector<std::coroutine_handle<>> waiters_;
};

// A signal with a value: what single flight shares. Waiters read value() after waiting.
template <class T>
class Shared {
 public:
  explicit Shared(Loop& loop) : signal_(loop) {}
  void set(T value) {
    value_.emplace(std::move(value));
    signal_.set();
  }
  bool is_set() const { return signal_.is_set(); }
  Signal::Awaiter wait() { return signal_.wait(); }
  const T& value() const { return *value_; }
  T& value() { return *value_; }

 private:
  Signal signal_;
  std::optional<T> value_;
};

// co_await run_job(pool, loop, std::move(job)) gives the finished job back.
Task<std::unique_ptr<Job>> run_job(DiskPool& pool, Loop& home, std::unique_ptr<Job> job);

// co_await sleep_for(loop, delay).
Task<void> sleep_for(Loop& loop, Duration delay);

}  // namespace rowan
