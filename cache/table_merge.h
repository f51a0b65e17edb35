// Writes a memory table into the tree: every touched page is written anew, nothing in use is
// overwritten. For a disk thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cache/file.h"
#include "cache/table_allocator.h"
#include "cache/table_memory.h"
#include "cache/table_page.h"
#include "rpc/base/result.h"

namespace rowan::cache {

// Writes that meet no_space ask for the reserve once, then are tried again.
using MakeRoom = std::function<bool()>;

struct MergeInput {
  std::shared_ptr<File> tree;
  TreeRoot root;
  PageAllocator allocator;                 // settled: what it calls free may be overwritten
  std::vector<PagePointer> old_bitmap;     // given back
  std::uint64_t epoch = 0;
  Ticket through = 0;                      // birth of the new pages
  // the table's own records: keys that start with a zero byte
  const MemoryTable::Map* own = nullptr;
  const MemoryTable::Map* edits = nullptr; // the callers'
  MakeRoom make_room;
};

struct MergeOutcome {
  TreeRoot root;
  PageAllocator allocator;                 // not settled: the old tree's pages are still in use
  std::vector<PagePointer> bitmap;
  std::vector<std::string> damage;         // pages that could not be read and were replaced
  std::uint64_t pages_written = 0;
};

// Written, not synced. no_space, io: nothing has changed.
Result<MergeOutcome> merge(MergeInput input);

// The allocator of a superblock's bitmap. corrupt names the page.
Result<PageAllocator> load_bitmap(const File& tree, const std::vector<PagePointer>& bitmap,
                                  std::uint32_t page_count, std::uint64_t epoch);

}  // namespace rowan::cache
