// Reads a checkpoint for a stream to another host, a frame at a time, on disk threads: the
// appliance goes on meanwhile. Every frame is asked for by where the one before ended, so nothing
// has to be remembered here. On one strand; requests take turns.
#pragma once

#include <string>

#include "cache/stream_frames.h"
#include "proxy/held_pools.h"
#include "proxy/records.h"

namespace rowan::proxy {

class Sender {
 public:
  // All outlive it. A frame has about so many bytes of changes.
  Sender(Loop& loop, DiskPool& disk, HeldPools& pools,
         std::size_t frame_bytes = cache::changes_frame_bytes)
      : loop_(loop), disk_(disk), pools_(pools), frame_bytes_(frame_bytes) {}

  struct Changes {
    cache::ChangesFrame frame;
    bool more = true;   // may follow
  };
  // What leads from `base` (no_state: nothing) to `state`, both checkpoints of the appliance's
  // pool, behind a key of the frame before. stale: one of them was removed; corrupt and io name
  // what cannot be read.
  Task<Result<Changes>> changes(ApplianceRecord record, cache::StateId base, cache::StateId state,
                                std::string behind);

  // What leads from one to the other, counted only.
  Task<Result<cache::ChangeTotals>> difference(Pool& pool, cache::StateId base,
                                               cache::StateId state);

 private:
  struct Pins {
    std::unique_ptr<cache::StatePin> before, after;
  };
  Task<Result<Pins>> pin(Pool& pool, cache::StateId base, cache::StateId state);
  Task<Result<bool>> step(cache::ChangeWalk& walk, std::size_t bytes, std::string& into);

  Loop& loop_;
  DiskPool& disk_;
  HeldPools& pools_;
  std::size_t frame_bytes_;
};

}  // namespace rowan::proxy
