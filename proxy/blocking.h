// A blocking piece of work, done on a disk thread, as a task.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "rpc/base/loop.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

// `work` runs on a disk thread: what it touches, nobody else touches until the task is done.
template <class Work>
auto run_blocking(DiskPool& disk, Loop& loop, Work work) -> Task<decltype(work())> {
  using Value = decltype(work());
  struct WorkJob final : Job {
    explicit WorkJob(Work w) : work(std::move(w)) {}
    void run() noexcept override { value.emplace(work()); }
    Work work;
    std::optional<Value> value;
  };
  std::unique_ptr<Job> job = std::make_unique<WorkJob>(std::move(work));
  job = co_await run_job(disk, loop, std::move(job));
  co_return std::move(*static_cast<WorkJob&>(*job).value);
}

}  // namespace rowan::proxy
