// Pools that somebody works on request by request: kept open between the requests, so that each
// does not open and close one, and let go when nobody asked for a while. On one strand; the caller
// sees to it that its requests take turns.
#pragma once

#include <map>
#include <memory>

#include "cache/store_family.h"
#include "proxy/pool_set.h"
#include "proxy/turn.h"
#include "proxy/versions.h"
#include "rpc/base/loop.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

class HeldPools {
 public:
  // `turn` is the one that the caller's requests take.
  HeldPools(Loop& loop, Versions& versions, Turn& turn)
      : loop_(loop), versions_(versions), turn_(turn) {}
  // close() first, if anything was ever asked for.
  ~HeldPools();

  Task<Result<Pool*>> pool(ApplianceRecord record);
  // The store of a state in a pool that is held.
  Task<Result<cache::Store*>> store(Pool& pool, cache::StateId state);
  // Nothing happens if it is not held.
  Task<void> let_go(PoolId id);
  // Lets all go; for good.
  Task<void> close();

 private:
  struct Held {
    Pool* pool = nullptr;
    std::map<cache::StateId, std::unique_ptr<cache::Store>> stores;
    MonotonicTime used;
  };
  void watch();
  Task<void> let_go_of_idle();

  Loop& loop_;
  Versions& versions_;
  Turn& turn_;
  std::map<PoolId, Held> held_;
  Loop::TimerId timer_ = 0;
  bool closing_ = false;
  TaskGroup tasks_;
};

}  // namespace rowan::proxy
