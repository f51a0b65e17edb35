#include "tests/support/manual_loop.h"

#include <utility>

namespace rowan::test {

void ManualClock::advance(Duration by) {
  now_ += by;
  auto total = static_cast<std::int64_t>(wall_.nanoseconds) + by.count();
  wall_.seconds += total / 1'000'000'000;
  wall_.nanoseconds = static_cast<std::uint32_t>(total % 1'000'000'000);
}

Loop::TimerId ManualLoop::call_after(Duration delay, std::function<void()> work) {
  TimerId id = next_timer_++;
  timers_.emplace(clock_.now() + delay, id);
  timers_by_id_.emplace(id, std::move(work));
  return id;
}

bool ManualLoop::run() {
  bool any = false;
  while (!ready_.empty()) {
    auto work = std::move(ready_.front());
    ready_.pop_front();
    work();
    any = true;
  }
  return any;
}

std::optional<MonotonicTime> ManualLoop::next_timer() const {
  for (const auto& [when, id] : timers_) {
    if (timers_by_id_.contains(id)) return when;
  }
  return std::nullopt;
}

bool ManualLoop::fire_next_timer(MonotonicTime not_after) {
  while (!timers_.empty()) {
    auto [when, id] = *timers_.begin();
    auto found = timers_by_id_.find(id);
    if (found == timers_by_id_.end()) {
      timers_.erase(timers_.begin());
      continue;
    }
    if (when > not_after) return false;
    auto work = std::move(found->second);
    timers_by_id_.erase(found);
    timers_.erase(timers_.begin());
    if (when > clock_.now()) clock_.advance(when - clock_.now());
    work();
    return true;
  }
  return false;
}

void ManualLoop::run_until_idle(std::size_t limit) {
  run();
  for (std::size_t fired = 0; fired < limit && fire_next_timer(MonotonicTime::max()); ++fired)
    run();
}

void ManualLoop::advance(Duration by) {
  MonotonicTime end = clock_.now() + by;
  run();
  while (fire_next_timer(end)) run();
  if (end > clock_.now()) clock_.advance(end - clock_.now());
}

void ManualLoop::clear() {
  ready_.clear();
  timers_.clear();
  timers_by_id_.clear();
}

void ManualDiskPool::submit(Loop& home, std::unique_ptr<Job> job,
                            std::function<void(std::unique_ptr<Job>)> done) {
  waiting_.push_back({&home, std::move(job), std::move(done)});
}

bool ManualDiskPool::run_one() {
  if (waiting_.empty()) return false;
  std::size_t index = random_ ? (*random_)() % waiting_.size() : 0;
  Waiting chosen = std::move(waiting_[index]);
  waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(index));
  chosen.job->run();
  auto finish = [done = std::move(chosen.done),
                 job = std::make_shared<std::unique_ptr<Job>>(std::move(chosen.job))] {
    done(std::move(*job));
  };
  chosen.home->defer(finish);
  return true;
}

void settle(ManualLoop& loop, ManualDiskPool& disk, bool with_timers) {
  for (;;) {
    if (loop.run()) continue;
    if (disk.run_one()) continue;
    auto next = with_timers ? loop.next_timer() : std::nullopt;
    if (!next) return;
    loop.advance(*next - loop.clock().now());
  }
}

}  // namespace rowan::test
