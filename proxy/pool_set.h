// The pools of redirect stores that are in use, on one strand. A pool holds the stores of
// appliances that were cloned from one another, which share what they have in common: one
// directory, one family (cache/store_family.h), one runner for its disk jobs. Opened when the first
// user needs it, closed after the last.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "cache/store_family.h"
#include "proxy/appliance.h"
#include "proxy/job_runner.h"
#include "proxy/label_cache.h"
#include "proxy/records.h"
#include "proxy/turn.h"
#include "rpc/base/loop.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

class Pool {
 public:
  Pool(Loop& loop, DiskPool& disk, PoolId id, std::unique_ptr<cache::Directory> directory,
       std::unique_ptr<cache::StoreFamily> family)
      : id_(id),
        directory_(std::move(directory)),
        family_(std::move(family)),
        jobs_(loop, disk, *family_) {}

  PoolId id() const { return id_; }
  cache::StoreFamily& family() { return *family_; }
  cache::Directory& directory() { return *directory_; }
  StoreJobs& jobs() { return jobs_; }
  LabelCache& labels() { return labels_; }
  // The store of a state; errors as StoreFamily::store(), but for needs_load.
  Task<Result<std::unique_ptr<cache::Store>>> store(cache::StateId state);
  // Errors as pin_state().
  Task<Result<std::unique_ptr<cache::StatePin>>> pin(cache::StateId checkpoint);
  // What a running state is at this moment, as a checkpoint that is no appliance's: nobody sees it,
  // and what a crash leaves of it goes with the pool's orphans. drop() it when it has served.
  Task<Result<cache::StateId>> moment(cache::StateId head);
  // Errors as StoreFamily::drop().
  Task<Result<void>> drop(cache::StateId state);
  // Completes once all that was applied so far is on disk, or with the failure.
  Task<Result<void>> settle();

 private:
  PoolId id_;
  std::unique_ptr<cache::Directory> directory_;
  std::unique_ptr<cache::StoreFamily> family_;
  StoreJobs jobs_;
  LabelCache labels_;
};

class PoolSet {
 public:
  // Done with each pool that was just opened, before anybody uses it: what an earlier life left
  // behind is cleared away. What it applies need not be durable.
  using Prepare = std::function<void(Pool& pool)>;

  // Loop and disk outlive the set.
  PoolSet(Loop& loop, DiskPool& disk, cache::StoreOptions options = {})
      : loop_(loop), disk_(disk), options_(std::move(options)) {}
  void set_prepare(Prepare prepare) { prepare_ = std::move(prepare); }

  // For one more user; opened if it is not, in `directory`, which is kept if it is needed. After an
  // error there is nothing to release.
  Task<Result<Pool*>> acquire(PoolId id, std::unique_ptr<cache::Directory> directory);
  // One user less, whose stores are gone; after the last one all is made durable and closed. An
  // error says what may be lost; it is closed all the same.
  Task<Result<void>> release(PoolId id);
  // JobRunner::stop_waiting() for all of them, also those that are opened later.
  void stop_waiting(MonotonicTime from);
  // Null: not open.
  Pool* find(PoolId id);
  std::size_t open_pools() const;

 private:
  struct Entry {
    explicit Entry(Loop& loop) : turn(loop) {}
    std::unique_ptr<Pool> pool;
    std::size_t users = 0;  // those that wait for their turn to open it included
    Turn turn;
  };
  Task<Result<void>> open(Entry& entry, PoolId id, std::unique_ptr<cache::Directory> directory);
  static Task<Result<void>> close(Entry& entry);

  Loop& loop_;
  DiskPool& disk_;
  cache::StoreOptions options_;
  Prepare prepare_;
  MonotonicTime patience_ends_ = MonotonicTime::max();
  std::map<PoolId, Entry> entries_;
};

}  // namespace rowan::proxy
