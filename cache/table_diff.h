// The records in which two states differ, in key order and in bounded steps. What the two share is
// not read: the cost follows the size of the difference. For a disk thread; the states are pinned
// meanwhile (table_versions.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/file.h"
#include "cache/table_page.h"
#include "rpc/base/buffer.h"
#include "rpc/base/result.h"

namespace rowan::cache {

struct TableDifference {
  std::string key;
  std::optional<std::string> before, after;   // nothing: no such record there
  friend bool operator==(const TableDifference&, const TableDifference&) = default;
};

// A place in a tree: before a page that has not been looked into, before a record, or at the end.
class TreeCursor {
 public:
  TreeCursor(std::shared_ptr<const File> tree, std::uint64_t epoch, const TreeRoot& root);

  bool at_end() const { return frames_.empty() && !at_root_; }
  bool at_page() const;
  PagePointer page() const;                 // at_page()
  std::uint8_t level() const;               // at_page(): of that page
  std::string_view lower() const;           // at_page(): no key below it is smaller
  LeafEntry record() const;                 // neither at_end() nor at_page()
  void skip();                              // past the page or record
  // Goes into the page. io, or corrupt: also if what it holds may not be all.
  Result<void> open();

 private:
  struct Frame {
    Buffer bytes;
    std::uint8_t level = 0;
    std::size_t index = 0;
    std::string lower;
    PageView view() const { return PageView(bytes.view()); }
  };
  void leave_finished();

  std::shared_ptr<const File> tree_;
  std::uint64_t epoch_;
  TreeRoot root_;
  bool at_root_;
  std::vector<Frame> frames_;
};

class TableDiff {
 public:
  TableDiff(std::shared_ptr<const File> tree, std::uint64_t epoch, const TreeRoot& before,
            const TreeRoot& after);

  // Adds differences after reading about that many pages, or earlier once there are that many.
  // False: that was all. corrupt or io, naming the page: the diff ends here.
  Result<bool> step(std::size_t pages, std::size_t limit, std::vector<TableDifference>& into);

 private:
  Result<void> advance(std::vector<TableDifference>& into);
  Result<void> advance_pages();
  void compare_records(std::vector<TableDifference>& into);
  void only_in(TreeCursor& side, std::vector<TableDifference>& into);
  Result<void> open(TreeCursor& side);

  TreeCursor before_, after_;
  std::size_t opened_ = 0;
};

}  // namespace rowan::cache
