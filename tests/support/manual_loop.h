// A loop and a disk pool under the test's hand: one thread, no wall clock. run() does what is due;
// time moves only when nothing else is left (run_until_idle) or by advance(). With a seed, disk
// jobs finish in a random order among those outstanding; without, in the order of submission.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include "rpc/base/clock.h"
#include "rpc/base/loop.h"

namespace rowan::test {

class ManualClock final : public Clock {
 public:
  MonotonicTime now() const override { return now_; }
  WallTime wall() const override { return wall_; }
  void advance(Duration by);
  void set_wall(WallTime wall) { wall_ = wall; }

 private:
  MonotonicTime now_{std::chrono::seconds(1000)};
  WallTime wall_{1'700'000'000, 0};
};

class ManualLoop final : public Loop {
 public:
  ManualClock& clock() override { return clock_; }
  void defer(std::function<void()> work) override { ready_.push_back(std::move(work)); }
  void post(std::function<void()> work) override { ready_.push_back(std::move(work)); }
  TimerId call_after(Duration delay, std::function<void()> work) override;
  void cancel(TimerId timer) override { timers_by_id_.erase(timer); }

  // Runs everything that is ready (and what becomes ready by it). True if anything ran.
  bool run();
  // run(), then moves time to the next timer, until nothing is left or `limit` timers have fired.
  void run_until_idle(std::size_t limit = 1'000'000);
  // Moves time by `by`, running timers and work on the way.
  void advance(Duration by);
  std::optional<MonotonicTime> next_timer() const;
  bool has_ready() const { return !ready_.empty(); }
  // Forgets all ready work and timers (the process died).
  void clear();

 private:
  bool fire_next_timer(MonotonicTime not_after);

  ManualClock clock_;
  std::deque<std::function<void()>> ready_;
  std::multimap<MonotonicTime, TimerId> timers_;
  std::map<TimerId, std::function<void()>> timers_by_id_;
  TimerId next_timer_ = 1;
};

class ManualDiskPool final : public DiskPool {
 public:
  ManualDiskPool() = default;
  explicit ManualDiskPool(std::uint64_t seed) : random_(seed) {}
  void submit(Loop& home, std::unique_ptr<Job> job,
              std::function<void(std::unique_ptr<Job>)> done) override;
  std::size_t outstanding() const { return waiting_.size(); }
  // Runs one outstanding job and defers its completion to its loop. False if there is none.
  bool run_one();
  void clear() { waiting_.clear(); }

 private:
  struct Waiting {
    Loop* home;
    std::unique_ptr<Job> job;
    std::function<void(std::unique_ptr<Job>)> done;
  };
  std::deque<Waiting> waiting_;
  std::optional<std::mt19937_64> random_;
};

// Runs loop and disk until both are idle; timers fire only when nothing else can happen, and only
// if `with_timers`.
void settle(ManualLoop& loop, ManualDiskPool& disk, bool with_timers = false);

// Starts a task, settles, and gives its value: for tests of coroutines. CHECKs that it finished.
template <class T>
T run_task(ManualLoop& loop, ManualDiskPool& disk, Task<T> task, bool with_timers = true) {
  std::optional<T> value;
  TaskGroup group;
  auto body = [](Task<T> inner, std::optional<T>& out) -> Task<void> {
    T result = co_await inner;
    out.emplace(std::move(result));
  };
  group.start(body(std::move(task), value));
  settle(loop, disk, false);
  if (!value && with_timers) settle(loop, disk, true);
  CHECK(value.has_value());
  return std::move(*value);
}

}  // namespace rowan::test
