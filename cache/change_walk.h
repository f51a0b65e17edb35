// The changes that lead from one state of a family to another, in the order of their keys and in
// bounded steps: what `send` writes, and what `receive` compares its own result with. Dead parts of
// files whose removal is not worked off yet do not show. The cost follows the size of the
// difference. For a disk thread; the states are pinned meanwhile (table_versions.h).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/file.h"
#include "cache/portable_change.h"
#include "cache/store_stage.h"
#include "cache/table_diff.h"
#include "cache/window_plan.h"
#include "rpc/base/result.h"

namespace rowan::cache {

struct ChangeTotals {
  std::uint64_t records = 0, windows = 0;   // changes
  std::uint64_t data_bytes = 0;             // that travel with them
  std::uint64_t sum = 0;                    // what the content's sum grows by (content_sum.h)
  void add(const ChangeTotals& other);
  friend bool operator==(const ChangeTotals&, const ChangeTotals&) = default;
};

class ChangeWalk {
 public:
  // Of StoreFamily::diff(). `directory`: the family's, outlives this; null: no data is read, and
  // the changes are only counted and summed up.
  ChangeWalk(Directory* directory, std::unique_ptr<TableDiff> diff)
      : directory_(directory), diff_(std::move(diff)) {}

  // Goes on behind reached() of an earlier walk between the same states. Before the first step.
  void start_after(std::string_view reached);

  // Appends changes (PortableReader takes them) until there are `bytes` of them, at most
  // max_portable_bytes more, or some work is done. False: that was all. corrupt, io: name the place
  // here; the walk ends.
  Result<bool> step(std::size_t bytes, std::string& into);

  // Everything up to this key has been given out.
  const std::string& reached() const { return reached_; }
  // Since this walk began.
  const ChangeTotals& totals() const { return totals_; }

 private:
  using Side = TableDiff::Side;
  struct Window {
    ObjectId object = no_object;
    std::uint64_t number = 0;
    std::string key() const;   // in the order of keys its place: behind its last extent
    friend bool operator==(const Window&, const Window&) = default;
  };
  static std::optional<Window> window_of(const TableDifference& difference);

  Result<void> load_marks();
  Result<void> load_marks(Side side, PurgeMarks& into);
  Result<bool> refill();
  Result<std::optional<Window>> next_marked();
  Result<bool> advance(std::string& into);
  Result<void> take_record(const TableDifference& difference, std::string& into);
  Result<void> take_window(const Window& window, std::string& into);
  Result<void> skip_window(const Window& window);
  Result<std::vector<StoredExtent>> extents(Side side, const Window& window);
  Result<std::string> read(const Window& window, const WindowPlan& plan);
  Result<void> read_run(const PlannedBlock* first, std::size_t count, ByteSpan into);
  void put(const PortableChange& change, std::string& into);

  Directory* directory_;
  std::unique_ptr<TableDiff> diff_;
  bool prepared_ = false, diff_over_ = false;
  PurgeMarks marks_before_, marks_after_;
  std::set<ObjectId> marked_;              // objects whose marks differ: all of their extents may
  std::deque<TableDifference> ready_;      // of the diff, not dealt with yet
  std::optional<Window> next_marked_;
  std::pair<std::uint32_t, std::unique_ptr<File>> segment_;   // the last one read
  std::string reached_;
  ChangeTotals totals_;
};

}  // namespace rowan::cache
