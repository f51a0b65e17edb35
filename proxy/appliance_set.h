// The appliances of a running daemon, on one strand: opened a few at a time, opened again with
// growing pauses when that failed (the disk may come back, a lock may be given up), closed.
//
// From the moment that one is known until it is forgotten its clients are told to wait (Exports),
// whether it is still being opened, cannot be opened or is being checked.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/exports.h"
#include "proxy/checkpoint_views.h"
#include "proxy/image_set.h"
#include "proxy/pool_set.h"
#include "proxy/registry.h"
#include "rpc/base/loop.h"

namespace rowan::proxy {

struct OpeningLimits {
  // Fewer than there are disk threads (DiskThreadsLimits): what is being served needs one too.
  std::size_t at_once = 3;
  Duration first_pause = std::chrono::seconds(1);
  Duration longest_pause = std::chrono::seconds(60);
};

// What appliances are made of, and shown in.
struct ServingParts {
  ImageSet& images;
  PoolSet& pools;
  CheckpointViews& views;
  Exports& exports;
};

class ApplianceSet {
 public:
  // All outlive the set. close_all() is done before it is destroyed.
  ApplianceSet(Loop& loop, DiskPool& disk, Registry& registry, const ServingParts& parts,
               OpeningLimits limits)
      : loop_(loop),
        disk_(disk),
        registry_(registry),
        images_(parts.images),
        pools_(parts.pools),
        views_(parts.views),
        exports_(parts.exports),
        limits_(limits) {}

  // Makes all of the registry's known, at once, and opens them. Done when each was tried once.
  Task<void> open_all();
  // Makes known and opens one that is new. After an error it is tried again all the same.
  Task<Result<void>> open(ApplianceRecord record);
  // Closes it and forgets it; nothing happens if it is not known.
  Task<void> close(std::string name);
  // Opens nothing more.
  void stop_opening();
  // After stop_opening() and when no call comes any more. Errors are logged by appliance.
  Task<void> close_all();
  // Does `work` on a disk thread while all appliances of the one's pool are closed, and then serves
  // them again. Their clients wait meanwhile. not_found: no such appliance.
  using Work = std::function<Result<std::vector<std::string>>()>;
  Task<Result<std::vector<std::string>>> while_closed(std::string name, Work work);

  // Its record was changed: later openings go by it, and so does what of the settings can change
  // while it is served.
  void update(const ApplianceRecord& record);
  // It has one more, or its checkpoints are others now.
  void checkpoint_made(const ApplianceRecord& record, const Checkpoint& checkpoint);
  void checkpoints_changed(const ApplianceRecord& record, const History& history);
  // Those that are served and make checkpoints by themselves. Until the next change.
  std::vector<const ApplianceRecord*> scheduled() const;
  // The one of that name; null: none of them.
  const ApplianceRecord* scheduled(std::string_view name) const;
  // All that are known and have their store in the pool.
  std::vector<ApplianceRecord> users(PoolId pool) const;

  std::size_t serving() const;
  std::size_t failed() const;
  // Nothing is known to be wrong with it, but it is not served yet.
  bool opening(std::string_view name) const;
  // Why it is not served; empty: it is, or will be.
  std::string trouble(std::string_view name) const;

 private:
  // waiting: to be tried for the first time; busy: opening, closing or something that needs it
  // closed is under way
  enum class State : std::uint8_t { waiting, busy, open, failed };
  struct Entry {
    ApplianceRecord record;
    // Looked up at once: later the registry may be in use on another thread.
    Result<ImageVersion> version;
    State state = State::waiting;
    std::string why{};                                    // it failed
    std::string unclean{};                              // why it was not closed well, just now
    Duration pause{};                                   // before it is tried again
    MonotonicTime retry_at{};
  };

  Entry& know(const ApplianceRecord& record);
  const Entry* find_open(std::string_view name) const;
  Entry* find(std::string_view name);
  const Entry* find(std::string_view name) const;
  std::size_t count(State state) const;
  static bool is_scheduled(const Entry& entry);
  Task<Result<void>> attempt(Entry& entry);
  Task<Result<void>> open_entry(Entry& entry);
  void note_failure(Entry& entry, const Error& error);
  Task<void> shut(Entry& entry, std::unique_ptr<Appliance> appliance);
  Task<void> end_calls(Entry& entry);
  static void note_unclean(Entry& entry, const Error& error);
  Task<void> release(Entry& entry);
  Task<void> until_idle(std::string name);
  void start_workers();
  Task<void> work();
  void arm();
  void retry_due();

  Loop& loop_;
  DiskPool& disk_;
  Registry& registry_;
  ImageSet& images_;
  PoolSet& pools_;
  CheckpointViews& views_;
  Exports& exports_;
  OpeningLimits limits_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::deque<std::string> due_;  // to be opened by the workers
  std::size_t workers_ = 0;
  bool stopping_ = false;
  Loop::TimerId timer_ = 0;
  TaskGroup tasks_;
};

}  // namespace rowan::proxy
