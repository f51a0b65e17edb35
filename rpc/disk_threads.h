// A few threads for work that blocks on files. Completions go home in batches: however many jobs
// finish while a loop is busy, it is woken once.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "rpc/base/loop.h"
#include "rpc/base/result.h"

namespace rowan {

struct DiskThreadsLimits {
  std::size_t threads = 4;
  // Jobs waiting for a thread. Beyond it submit() runs its job on the caller's thread: a loop that
  // outruns the disk becomes as slow as the disk, instead of growing a queue.
  std::size_t queue = 4096;
};

class DiskThreads final : public DiskPool {
 public:
  // Fails with Errc::limit if not even one thread can be made; fewer than asked is logged and
  // accepted.
  static Result<std::unique_ptr<DiskThreads>> start(DiskThreadsLimits limits);
  // Runs everything submitted, then ends the threads. Completions that their loop has not run yet
  // still belong to it, so loops may go before or after the pool, once nothing more is submitted.
  ~DiskThreads() override;
  DiskThreads(const DiskThreads&) = delete;
  DiskThreads& operator=(const DiskThreads&) = delete;

  // From any thread; `home` lives until `done` has run or the loop is destroyed with it.
  void submit(Loop& home, std::unique_ptr<Job> job,
              std::function<void(std::unique_ptr<Job>)> done) override;

  std::size_t thread_count() const { return threads_.size(); }

 private:
  struct Home;
  struct Item {
    std::unique_ptr<Job> job;
    std::function<void(std::unique_ptr<Job>)> done;
    std::shared_ptr<Home> home;
  };

  explicit DiskThreads(DiskThreadsLimits limits) : limits_(limits) {}
  bool add_thread();
  void work();
  static void finish(Item item);

  const DiskThreadsLimits limits_;
  std::mutex mutex_;  // guards queue_, homes_, stopping_
  std::condition_variable wake_;
  std::deque<Item> queue_;
  std::map<Loop*, std::shared_ptr<Home>> homes_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace rowan
