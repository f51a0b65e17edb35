#include "cache/table_diff.h"

#include <algorithm>
#include <utility>

#include "cache/table_tree.h"
#include "rpc/base/check.h"

namespace rowan::cache {

TreeCursor::TreeCursor(std::shared_ptr<const File> tree, std::uint64_t epoch, const TreeRoot& root)
    : tree_(std::move(tree)), epoch_(epoch), root_(root), at_root_(!root.pointer.absent()) {}

bool TreeCursor::at_page() const {
  return at_root_ || (!frames_.empty() && frames_.back().level > 0);
}

PagePointer TreeCursor::page() const {
  return at_root_ ? root_.pointer : frames_.back().view().child(frames_.back().index);
}

std::uint8_t TreeCursor::level() const {
  return at_root_ ? root_.level : static_cast<std::uint8_t>(frames_.back().level - 1);
}

std::string_view TreeCursor::lower() const {
  if (at_root_) return {};
  const Frame& frame = frames_.back();
  return frame.index == 0 ? std::string_view(frame.lower) : frame.view().key(frame.index);
}

LeafEntry TreeCursor::record() const {
  CHECK(!at_end() && !at_page());
  return frames_.back().view().leaf_entry(frames_.back().index);
}

void TreeCursor::skip() {
  if (at_root_) {
    at_root_ = false;
    return;
  }
  ++frames_.back().index;
  leave_finished();
}

void TreeCursor::leave_finished() {
  while (!frames_.empty() && frames_.back().index >= frames_.back().view().count()) {
    frames_.pop_back();
    if (!frames_.empty()) ++frames_.back().index;
  }
}

Result<void> TreeCursor::open() {
  CHECK(at_page());
  const PagePointer pointer = page();
  Frame frame;
  frame.level = level();
  frame.lower = lower();
  if (const auto end = upper()) frame.upper = std::string(*end);
  TRY(LoadedPage loaded, load_page(*tree_, pointer, frame.level, epoch_));
  frame.bytes = std::move(loaded.bytes);
  if (frame.view().lost_base()) return lost_base_error(pointer);
  at_root_ = false;
  frames_.push_back(std::move(frame));
  leave_finished();
  return {};
}

std::optional<std::string_view> TreeCursor::upper() const {
  if (at_root_) return {};
  const Frame& frame = frames_.back();
  if (frame.index + 1 < frame.view().count()) return frame.view().key(frame.index + 1);
  if (!frame.upper) return {};
  return *frame.upper;
}

bool TreeCursor::ends_before(std::string_view key) const {
  const auto end = upper();
  return end && *end <= key;
}

Result<void> TreeCursor::seek(std::string_view key) {
  while (!at_end()) {
    if (at_page()) {
      if (ends_before(key)) skip();
      else TRY_VOID(open());
      continue;
    }
    if (record().key >= key) return {};
    Frame& leaf = frames_.back();
    leaf.index = std::max(leaf.index, leaf.view().lower_bound(key));
    leave_finished();
  }
  return {};
}

// ---- the difference

TableDiff::TableDiff(std::shared_ptr<const File> tree, std::uint64_t epoch, const TreeRoot& before,
                     const TreeRoot& after)
    : before_(tree, epoch, before),
      after_(tree, epoch, after),
      tree_(std::move(tree)),
      epoch_(epoch),
      before_scan_{before, TreeCursor(tree_, epoch, before), {}},
      after_scan_{after, TreeCursor(tree_, epoch, after), {}} {}

Result<bool> TableDiff::step(std::size_t pages, std::size_t limit,
                             std::vector<TableDifference>& into) {
  const std::size_t end = opened_ + pages, full = into.size() + limit;
  while (opened_ < end && into.size() < full) {
    if (before_.at_end() && after_.at_end()) return false;
    TRY_VOID(advance(into));
  }
  return true;
}

Result<void> TableDiff::open(TreeCursor& side) {
  ++opened_;
  return side.open();
}

bool TableDiff::is_left_out(const TreeCursor& side) const {
  if (side.at_end()) return false;
  return side.at_page() ? side.ends_before(start_) : side.record().key < start_;
}

Result<void> TableDiff::advance(std::vector<TableDifference>& into) {
  for (TreeCursor* side : {&before_, &after_}) {
    if (!is_left_out(*side)) continue;
    side->skip();
    return {};
  }
  if (before_.at_page() && after_.at_page()) return advance_pages();
  for (auto [one, other] : {std::pair(&before_, &after_), std::pair(&after_, &before_)}) {
    if (!one->at_page()) continue;
    if (!other->at_end() && other->record().key < one->lower()) {
      only_in(*other, into);
      return {};
    }
    return open(*one);
  }
  compare_records(into);
  return {};
}

Result<void> TableDiff::advance_pages() {
  if (before_.page() == after_.page()) {
    before_.skip();
    after_.skip();
    return {};
  }
  if (before_.level() != after_.level())
    return open(before_.level() > after_.level() ? before_ : after_);
  return open(before_.lower() <= after_.lower() ? before_ : after_);
}

void TableDiff::compare_records(std::vector<TableDifference>& into) {
  if (after_.at_end() || (!before_.at_end() && before_.record().key < after_.record().key))
    return only_in(before_, into);
  if (before_.at_end() || after_.record().key < before_.record().key) return only_in(after_, into);
  const LeafEntry old = before_.record(), now = after_.record();
  if (old.value != now.value) {
    const auto copy = [](const std::optional<std::string_view>& value) {
      return value ? std::optional<std::string>(*value) : std::nullopt;
    };
    into.push_back({std::string(old.key), copy(old.value), copy(now.value)});
  }
  before_.skip();
  after_.skip();
}

void TableDiff::only_in(TreeCursor& side, std::vector<TableDifference>& into) {
  const LeafEntry entry = side.record();
  if (entry.value) {
    TableDifference difference{std::string(entry.key), std::nullopt, std::nullopt};
    (&side == &before_ ? difference.before : difference.after) = std::string(*entry.value);
    into.push_back(std::move(difference));
  }
  side.skip();
}

// ---- one state

Result<std::vector<TableEntry>> TableDiff::scan(Side side, std::string_view from,
                                                std::string_view to, std::size_t limit) {
  Scan& scan = side == Side::before ? before_scan_ : after_scan_;
  if (from < scan.reached) scan.cursor = TreeCursor(tree_, epoch_, scan.root);
  scan.reached = from;
  std::vector<TableEntry> found;
  TreeCursor& at = scan.cursor;
  TRY_VOID(at.seek(from));
  while (found.size() < limit && !at.at_end()) {
    if (at.at_page()) {
      if (at.lower() >= to) break;
      TRY_VOID(at.open());
      continue;
    }
    const LeafEntry entry = at.record();
    if (entry.key >= to) break;
    if (entry.value) found.push_back({std::string(entry.key), std::string(*entry.value)});
    scan.reached = std::string(entry.key) + '\0';
    at.skip();
  }
  return found;
}

}  // namespace rowan::cache
