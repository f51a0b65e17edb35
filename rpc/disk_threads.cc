#include "rpc/disk_threads.h"

#include <pthread.h>
#include <signal.h>

#include <system_error>

#include "rpc/base/log.h"

namespace rowan {

// Finished items on their way to one loop. Shared with the loop's pending drain, so that pool and
// loop may be destroyed in either order.
struct DiskThreads::Home {
  explicit Home(Loop& l) : loop(l) {}
  Loop& loop;
  std::mutex mutex;  // guards finished; taken after no other lock
  std::vector<Item> finished;
};

Result<std::unique_ptr<DiskThreads>> DiskThreads::start(DiskThreadsLimits limits) {
  CHECK_LT(0u, limits.threads);
  std::unique_ptr<DiskThreads> pool(new DiskThreads(limits));
  while (pool->threads_.size() < limits.threads && pool->add_thread()) {
  }
  if (pool->threads_.empty()) {
    return Error(Errc::limit, "cannot start a disk thread; raise the process limit (ulimit -u)");
  }
  if (pool->threads_.size() < limits.threads) {
    log(Level::warn, "disk.threads", {{"wanted", limits.threads}, {"got", pool->threads_.size()}});
  }
  return pool;
}

bool DiskThreads::add_thread() {
  // Signals are the main thread's business; a new thread inherits the mask.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool made = true;
  try {
    threads_.emplace_back([this] { work(); });
    pthread_setname_np(threads_.back().native_handle(), "rowan-disk");
  } catch (const std::system_error&) {
    made = false;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return made;
}

DiskThreads::~DiskThreads() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void DiskThreads::submit(Loop& home, std::unique_ptr<Job> job,
                         std::function<void(std::unique_ptr<Job>)> done) {
  Item item{std::move(job), std::move(done), nullptr};
  {
    std::lock_guard lock(mutex_);
    CHECK(!stopping_);
    std::shared_ptr<Home>& place = homes_[&home];
    if (!place) place = std::make_shared<Home>(home);
    item.home = place;
    if (queue_.size() < limits_.queue) {
      queue_.push_back(std::move(item));
      wake_.notify_one();
      return;
    }
  }
  item.job->run();
  finish(std::move(item));
}

void DiskThreads::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Item item = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    item.job->run();
    finish(std::move(item));
    lock.lock();
  }
}

void DiskThreads::finish(Item item) {
  std::shared_ptr<Home> home = std::move(item.home);
  {
    std::lock_guard lock(home->mutex);
    home->finished.push_back(std::move(item));
    if (home->finished.size() > 1) return;  // a drain is on its way
  }
  home->loop.post([home] {
    std::vector<Item> batch;
    {
      std::lock_guard lock(home->mutex);
      batch.swap(home->finished);
    }
    for (Item& done : batch) done.done(std::move(done.job));
  });
}

}  // namespace rowan
