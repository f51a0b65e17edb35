// An ordered, durable map from byte strings to byte strings with atomic batches: the engine under the
// redirect store and the image catalogue. A journal takes each batch with one sync; a copy-on-write tree
// keeps the rest; a memory table in between holds what the tree does not have yet.
//
// Belongs to one strand and has no locks. It never waits for the disk: what needs the disk is handed out as
// a Job (rpc/base/loop.h) and handed back.
//
//   reading   get() and scan() say needs_load when a page is not in memory: run take_load()'s job on a disk
//             thread, give it to complete(), ask again.
//   writing   apply() changes memory at once and returns a ticket; durable() tells how far the disk has got.
//             Call want_durable() and then run next_job() until it gives nothing.
//   failure   a failed sync is sticky: failure() tells, every later apply() is refused with it until the
//             table is opened again. A full disk is not a failure: apply() refuses with no_space before
//             anything changes, and batches that free space (`Batch::frees_space`) still find room.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/file.h"
#include "cache/ids.h"
#include "rpc/base/loop.h"
#include "rpc/base/result.h"

namespace rowan::cache {

// Where a piece of data lies: a run of bytes in a journal segment, starting on a 4 KiB boundary. `sums` are
// checksums of its 4 KiB blocks (the last may be short), kept beside the pointer and so in another file.
struct DataPointer {
  std::uint32_t segment = 0;
  std::uint32_t block = 0;    // offset / 4096 in the segment
  std::uint32_t length = 0;   // bytes
  std::uint64_t birth = 0;    // ticket of the batch that wrote it: who may still need it (FORMAT.md)
};

struct TableOptions {
  std::uint64_t memory_table_bytes = 32u << 20;   // then it is frozen and merged into the tree
  std::uint64_t pending_bytes = 16u << 20;        // not yet written; apply() answers try_later beyond
  std::uint64_t page_cache_bytes = 32u << 20;
  bool sync = true;                               // false: durable() follows the write, not the sync
};

class Batch {
 public:
  void put(std::string key, std::string value);
  void erase(std::string key);
  // Appends data; `pointer` is filled in by apply(), before `place` is called to make the put that refers to it.
  // See store.cc for the one user.
  bool frees_space = false;
  // (the implementation's members)
};

}  // namespace rowan::cache
