// What a state alone refers to: its tree compared with those of its children, in bounded steps.
// Touches no strand: each step is for a disk thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "cache/file.h"
#include "cache/table.h"
#include "cache/table_memory.h"
#include "cache/table_page.h"
#include "rpc/base/buffer.h"
#include "rpc/base/result.h"

namespace rowan::cache {

struct DropInput {
  std::shared_ptr<const File> tree;   // whose pages stay as they are meanwhile (a pin)
  std::uint64_t epoch = 0;
  TreeRoot state;
  std::vector<TreeRoot> children;
  Ticket after = 0;                   // frozen_at of the parent: older ones are the parent's too
  Ticket through = 0;                 // frozen_at of the state: younger ones are a child's own
  FindRecordData find_data = nullptr;
};

class DropWalk {
 public:
  explicit DropWalk(DropInput input);

  // Reads about that many pages. True: over. corrupt or io, naming the page: then nothing may be
  // given back, because what refers to it is not known.
  Result<bool> step(std::size_t pages);

  // Once over. Pages of the state's tree that are in no child's, and data blocks that only the
  // state's records refer to; both younger than `after`.
  const std::vector<PagePointer>& pages() const { return pages_; }
  const std::vector<DeadRange>& blocks() const { return blocks_; }

 private:
  struct Place {
    PagePointer pointer;
    std::uint8_t level = 0;
  };
  Result<Buffer> load(const Place& place);
  void push_children(std::vector<Place>& stack, const PageView& page);
  Result<void> find_shared(const Place& place);
  Result<void> take_own(const Place& place);
  Result<void> take_records(const PageView& leaf);
  Result<void> look_at_group(const RecordData& data);
  Result<void> scan_child(const Place& place, std::string_view from, std::string_view to);
  Result<void> take_child_records(const PageView& leaf, std::string_view from,
                                  std::string_view to);
  void take_blocks(const RecordData& data);

  DropInput in_;
  std::vector<Place> child_left_, state_left_;
  // pages that a child's tree has too, without what is below them
  std::unordered_set<std::uint32_t> shared_;
  std::map<std::uint32_t, Buffer> child_pages_;   // read lately; bounded
  std::string group_from_, group_to_;             // the group that child_blocks_ is about
  std::vector<DeadRange> child_blocks_;           // sorted
  std::size_t loads_ = 0;
  std::vector<PagePointer> pages_;
  std::vector<DeadRange> blocks_;
};

}  // namespace rowan::cache
