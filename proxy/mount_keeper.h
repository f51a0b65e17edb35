// Keeps the list of mounts over restarts: each change is written soon, on a disk thread, and many
// changes at once together. No call waits for it; after a crash the last moments may be missing.
#pragma once

#include "cache/file.h"
#include "proxy/mount_table.h"
#include "rpc/base/loop.h"

namespace rowan::proxy {

class MountKeeper {
 public:
  // All outlive the keeper; `root` is the state directory.
  MountKeeper(Loop& loop, DiskPool& disk, cache::Directory& root, MountTable& table)
      : loop_(loop), disk_(disk), root_(root), table_(table) {}

  // Reads what was kept; synchronous, before the first call. From then on changes are written.
  void start();
  // Everything is written. No change comes any more.
  Task<void> close();

 private:
  void changed();
  Task<void> write();

  Loop& loop_;
  DiskPool& disk_;
  cache::Directory& root_;
  MountTable& table_;
  bool dirty_ = false, failing_ = false;
  TaskGroup writing_;
};

}  // namespace rowan::proxy
