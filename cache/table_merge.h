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

// The tree file during one merge, which may change several trees.
struct MergeSpace {
  std::shared_ptr<File> tree;
  std::uint64_t epoch = 0;
  // settled at the start: what it calls free may be overwritten; not settled at the end: what was
  // released is still in use
  PageAllocator allocator;
  MakeRoom make_room;
  std::vector<std::string> damage;         // pages that could not be read and were replaced
  std::uint64_t pages_written = 0;

  void give_back(const PagePointer& pointer);
  PagePointer allocate(bool twice, Ticket birth);
  // Sums the page, and puts it in its place or both.
  Result<void> write(PagePointer& pointer, const Buffer& bytes);
};

struct TreeChange {
  TreeRoot root;
  const MemoryTable::Map* changes = nullptr;
  Ticket birth = 0;                        // of the new pages
  // Replaced pages of a birth up to this are somebody else's too and not given back...
  Ticket keep = 0;
  std::vector<PagePointer>* kept = nullptr;   // ... but added here, if it is not null
};

// Written, not synced. no_space, io: the space is of no further use, the files are as they were.
Result<TreeRoot> merge_tree(MergeSpace& space, const TreeChange& change);

// Writes the bitmap of used pages and gives the old one's back; the last step of a merge.
Result<std::vector<PagePointer>> write_bitmap(MergeSpace& space,
                                              const std::vector<PagePointer>& old, Ticket birth);

// The allocator of a superblock's bitmap. corrupt names the page.
Result<PageAllocator> load_bitmap(const File& tree, const std::vector<PagePointer>& bitmap,
                                  std::uint32_t page_count, std::uint64_t epoch);

}  // namespace rowan::cache
