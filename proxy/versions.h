// The states of appliances: checkpoints of what runs, the way back to them, clones. One for a
// strand; each operation takes the same time whatever the store holds.
//
// `record` is the appliance's, of the moment. An appliance that is served goes on meanwhile; one
// that is not is opened for the operation. Afterwards what was asked for is on disk.
//
// Errors besides the stores': not_found (no such checkpoint, with the remedy), exists (the name is
// taken), busy (its appliance is being opened, closed or rolled back).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cache/checker.h"
#include "proxy/checkpoint_label.h"
#include "proxy/exports.h"
#include "proxy/pool_set.h"
#include "proxy/records.h"
#include "proxy/registry.h"

namespace rowan::proxy {

// One of an appliance's checkpoints.
struct Checkpoint {
  cache::StateId state{};
  cache::StateId parent{};  // the nearest of the same appliance it is above; no_state: none
  CheckpointLabel label;
};

struct History {
  std::vector<Checkpoint> checkpoints;  // newest first
  cache::StateId running_on{};          // the checkpoint that the running state is above
};

// The checkpoints of an appliance among the states of its pool.
History history_of(Pool& pool, const ApplianceRecord& record);

// The name, or another one made from it if the history has a checkpoint of that name.
std::string free_name(const History& history, const std::string& wanted);

// not_found, with the remedy.
Result<Checkpoint> find_checkpoint(const History& history, const ApplianceRecord& record,
                                   std::string_view name);

// Drops the states that a crash left without an owner: `users` are all appliances of the pool.
// Running states that are being received have one, unless nobody went on with them for
// receive_patience_seconds. `now`: seconds since 1970. Gives how many.
std::size_t drop_orphans(cache::StoreFamily& family, const std::vector<ApplianceRecord>& users,
                         std::int64_t now);

class Versions {
 public:
  // Who hears of checkpoints, once they are on disk as they are told.
  struct Watch {
    // One came to an appliance's. Costs the same however many it has.
    std::function<void(const ApplianceRecord&, const Checkpoint&)> made;
    // An appliance's are others now: these.
    std::function<void(const ApplianceRecord&, const History&)> changed;
  };
  // All outlive it.
  Versions(Loop& loop, DiskPool& disk, Registry& registry, PoolSet& pools, Exports& exports)
      : loop_(loop), disk_(disk), registry_(registry), pools_(pools), exports_(exports) {}
  void set_watch(Watch watch) { watch_ = std::move(watch); }

  struct NewCheckpoint {
    std::string name;     // empty: of the time
    std::string message;  // at most max_message_bytes
    CheckpointReason reason = CheckpointReason::asked;
  };
  // Atomic with respect to every operation: each is wholly in it, or wholly not.
  Task<Result<Checkpoint>> checkpoint(ApplianceRecord record, NewCheckpoint wanted);
  Task<Result<History>> history(ApplianceRecord record);
  // What only each of them needs, in bytes; nothing for one that is gone by now, or damaged. Costs
  // what they differ from one another.
  Task<Result<std::vector<std::optional<std::uint64_t>>>> unique_bytes(ApplianceRecord record,
                                                                       History history);
  // The running state goes on with the checkpoint's content; gives the checkpoint that keeps what
  // it held until now. Calls in flight end first, those that come meanwhile are told to wait.
  Task<Result<Checkpoint>> rollback(ApplianceRecord record, std::string checkpoint);
  // A running state of its own with the content of the checkpoint (empty: of the running state),
  // in the same pool. `adopt` makes an appliance of it; if it fails the state is dropped.
  using Adopt = std::function<Task<Result<void>>(cache::StateId head)>;
  Task<Result<void>> clone(ApplianceRecord record, std::string checkpoint, Adopt adopt);
  // Its space comes back in the background.
  Task<Result<void>> drop(ApplianceRecord record, std::string checkpoint);
  // The running state and all checkpoints of an appliance that is no more, in a pool that others
  // use.
  Task<Result<void>> drop_all(ApplianceRecord record);

  // Walks all that the appliance's states show, while they are served: a sentence for each finding.
  // try_later: stopped.
  Task<Result<std::vector<std::string>>> check(ApplianceRecord record,
                                               const cache::CheckOptions& options);

  // For whatever else is done with states: the pool stays open until release().
  Task<Result<Pool*>> acquire(const ApplianceRecord& record);
  Task<void> release(Pool& pool);

 private:
  CheckpointLabel new_label(const ApplianceRecord& record, const History& history,
                            CheckpointReason reason) const;
  Task<Result<Checkpoint>> checkpoint_in(Pool& pool, const ApplianceRecord& record,
                                         const NewCheckpoint& wanted);
  Task<Result<Checkpoint>> rollback_in(Pool& pool, const ApplianceRecord& record,
                                       const std::string& checkpoint);
  Task<Result<cache::StateId>> branch_in(Pool& pool, const ApplianceRecord& record,
                                         const std::string& checkpoint);
  using Pins = std::vector<std::unique_ptr<cache::StatePin>>;
  Task<Result<void>> pin_running(Pool& pool, const ApplianceRecord& record, Pins& into);
  Task<Result<std::vector<std::string>>> check_in(Pool& pool, const ApplianceRecord& record,
                                                  const cache::CheckOptions& options);
  void tell_changed(const ApplianceRecord& record, Pool& pool);

  Loop& loop_;
  DiskPool& disk_;
  Registry& registry_;
  PoolSet& pools_;
  Exports& exports_;
  Watch watch_;
  std::uint64_t changes_told_ = 0;
};

}  // namespace rowan::proxy
