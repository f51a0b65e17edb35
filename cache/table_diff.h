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
#include "cache/table.h"
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
  // On to the first record whose key is not less, opening no page that has only smaller ones.
  // Errors as open().
  Result<void> seek(std::string_view key);
  // All keys below the page are smaller than `key`: at_page().
  bool ends_before(std::string_view key) const;

 private:
  struct Frame {
    Buffer bytes;
    std::uint8_t level = 0;
    std::size_t index = 0;
    std::string lower;
    std::optional<std::string> upper;   // of the keys in it; nothing: the tree's end
    PageView view() const { return PageView(bytes.view()); }
  };
  void leave_finished();
  std::optional<std::string_view> upper() const;   // at_page(): no key below it reaches this

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

  // Leaves out all keys that are less. Before the first step.
  void start_at(std::string_view key) { start_ = key; }
  // Adds differences after reading about that many pages, or earlier once there are that many.
  // False: that was all. corrupt or io, naming the page: the diff ends here.
  Result<bool> step(std::size_t pages, std::size_t limit, std::vector<TableDifference>& into);

  // The first `limit` records of [from, to) in one of the states, whether the other has them or
  // not. Cheapest when called with ascending keys. corrupt or io, naming the page.
  enum class Side : std::uint8_t { before, after };
  Result<std::vector<TableEntry>> scan(Side side, std::string_view from, std::string_view to,
                                        std::size_t limit);

 private:
  Result<void> advance(std::vector<TableDifference>& into);
  Result<void> advance_pages();
  void compare_records(std::vector<TableDifference>& into);
  void only_in(TreeCursor& side, std::vector<TableDifference>& into);
  Result<void> open(TreeCursor& side);

  bool is_left_out(const TreeCursor& side) const;

  TreeCursor before_, after_;
  struct Scan {
    TreeRoot root;
    TreeCursor cursor;
    std::string reached;   // everything below this is behind the cursor
  };
  std::shared_ptr<const File> tree_;
  std::uint64_t epoch_;
  Scan before_scan_, after_scan_;
  std::string start_;
  std::size_t opened_ = 0;
};

}  // namespace rowan::cache
