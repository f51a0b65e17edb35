#include "rpc/base/loop.h"

namespace rowan {

Task<std::unique_ptr<Job>> run_job(DiskPool& pool, Loop& home, std::unique_ptr<Job> job) {
  // `done` runs on the loop as an event of its own, so it may resume this coroutine directly.
  struct Awaiter {
    DiskPool& pool;
    Loop& home;
    std::unique_ptr<Job> job;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> self) {
      pool.submit(home, std::move(job), [this, self](std::unique_ptr<Job> finished) {
        job = std::move(finished);
        self.resume();
      });
    }
    std::unique_ptr<Job> await_resume() { return std::move(job); }
  };
  Awaiter awaiter{pool, home, std::move(job)};
  co_return co_await awaiter;
}

Task<void> sleep_for(Loop& loop, Duration delay) {
  struct Awaiter {
    Loop& loop;
    Duration delay;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> self) {
      loop.call_after(delay, [self] { self.resume(); });
    }
    void await_resume() const noexcept {}
  };
  Awaiter awaiter{loop, delay};
  co_await awaiter;
}

}  // namespace rowan
