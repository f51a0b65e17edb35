// Two sources, merged by key: the records that differ, and the windows of objects whose purge marks
// differ. A mark hides data without touching the extents' records, so a difference of marks alone
// is a difference of content.
//
// Extents are looked at by whole windows, in both states: only so can be told which blocks a record
// that was cut or joined still shares with the one before.
#include "cache/change_walk.h"

#include <algorithm>

#include "cache/content_sum.h"
#include "cache/digest.h"
#include "cache/layout.h"
#include "cache/store_extents.h"
#include "rpc/base/check.h"

namespace rowan::cache {
namespace {

constexpr std::size_t pages_per_step = 64, differences_per_step = 256;
constexpr std::size_t scan_page = 256;
constexpr std::size_t most_in_window = 2 * window_blocks;   // more than there can be

Error about(const Error& error, ObjectId id) {
  return Error(error.code, "object " + std::to_string(to_number(id)) + ": " + error.detail);
}

Error damaged_data(const DataPointer& at) {
  return Error(Errc::corrupt,
               "damaged data in " + layout::segment(at.segment) + " at offset " +
                   std::to_string(std::uint64_t{at.block} * data_block_size) +
                   "; 'rowan check --data' lists all damage");
}

Result<std::uint64_t> sum_of_side(std::string_view key, const std::optional<std::string>& value) {
  if (!value) return std::uint64_t{0};
  return sum_of_record(key, *value);
}

bool follows(const PlannedBlock& second, const PlannedBlock& first) {
  return second.at.segment == first.at.segment && second.at.block == first.at.block + 1;
}

}  // namespace

void ChangeTotals::add(const ChangeTotals& other) {
  records += other.records;
  windows += other.windows;
  data_bytes += other.data_bytes;
  sum += other.sum;
}

std::string ChangeWalk::Window::key() const {
  return extent_key(object, (number + 1) * extent_limit);
}

std::optional<ChangeWalk::Window> ChangeWalk::window_of(const TableDifference& difference) {
  if (difference.key[0] != static_cast<char>(RecordKind::extent)) return {};
  auto parsed = parse_key(difference.key);
  if (!parsed || parsed->number == 0) return {};
  return Window{parsed->id, (parsed->number - 1) / extent_limit};
}

void ChangeWalk::start_after(std::string_view reached) {
  CHECK(!prepared_);
  reached_ = reached;
  if (!reached_.empty()) diff_->start_at(reached_ + '\0');
}

// ---- what to look at next

Result<void> ChangeWalk::load_marks(Side side, PurgeMarks& into) {
  std::string from(1, static_cast<char>(RecordKind::purge));
  const std::string to = prefix_end(from);
  while (true) {
    TRY(const auto records, diff_->scan(side, from, to, scan_page));
    for (const TableEntry& record : records) {
      TRY(const ParsedKey key, parse_key(record.key));
      TRY(into[key.id], decode_purge(record.value));
    }
    if (records.size() < scan_page) return {};
    from = records.back().key + '\0';
  }
}

Result<void> ChangeWalk::load_marks() {
  TRY_VOID(load_marks(Side::before, marks_before_));
  TRY_VOID(load_marks(Side::after, marks_after_));
  const auto same = [](const PurgeMarks& marks, const PurgeMarks::value_type& wanted) {
    const auto found = marks.find(wanted.first);
    return found != marks.end() && encode(found->second) == encode(wanted.second);
  };
  for (const auto& mark : marks_before_) {
    if (!same(marks_after_, mark)) marked_.insert(mark.first);
  }
  for (const auto& mark : marks_after_) {
    if (!same(marks_before_, mark)) marked_.insert(mark.first);
  }
  prepared_ = true;
  return {};
}

// False: there are no more differences.
Result<bool> ChangeWalk::refill() {
  while (ready_.empty() && !diff_over_) {
    std::vector<TableDifference> found;
    TRY(const bool more, diff_->step(pages_per_step, differences_per_step, found));
    diff_over_ = !more;
    std::move(found.begin(), found.end(), std::back_inserter(ready_));
  }
  return !ready_.empty();
}

// The first window behind reached_ of an object in marked_ that has extents in either state.
Result<std::optional<ChangeWalk::Window>> ChangeWalk::next_marked() {
  if (next_marked_ && next_marked_->key() > reached_) return next_marked_;
  next_marked_.reset();
  while (!marked_.empty() && !next_marked_) {
    const ObjectId object = *marked_.begin();
    const std::string prefix = key_prefix(RecordKind::extent, object);
    const std::string from = std::max(prefix, reached_ + '\0'), to = prefix_end(prefix);
    for (const Side side : {Side::before, Side::after}) {
      if (from >= to) break;
      TRY(const auto found, diff_->scan(side, from, to, 1));
      if (found.empty()) continue;
      const auto window = window_of({found[0].key, {}, {}});
      if (!window) return Error(Errc::corrupt, "a damaged key");
      if (!next_marked_ || window->number < next_marked_->number) next_marked_ = window;
    }
    if (!next_marked_) marked_.erase(marked_.begin());
  }
  return next_marked_;
}

Result<bool> ChangeWalk::advance(std::string& into) {
  TRY(const bool differs, refill());
  TRY(const auto marked, next_marked());
  if (!differs && !marked) return false;
  const auto window = differs ? window_of(ready_.front()) : std::nullopt;
  const std::string key = window ? window->key() : differs ? ready_.front().key : std::string();
  if (marked && (!differs || marked->key() <= key)) {
    TRY_VOID(take_window(*marked, into));
  } else if (window) {
    TRY_VOID(take_window(*window, into));
  } else {
    TRY_VOID(take_record(ready_.front(), into));
    reached_ = std::move(ready_.front().key);
    ready_.pop_front();
  }
  return true;
}

Result<bool> ChangeWalk::step(std::size_t bytes, std::string& into) {
  if (!prepared_) TRY_VOID(load_marks());
  const std::size_t end = into.size() + bytes;
  for (std::size_t done = 0; done < differences_per_step && into.size() < end; ++done) {
    TRY(const bool more, advance(into));
    if (!more) return false;
  }
  return true;
}

// ---- changes

void ChangeWalk::put(const PortableChange& change, std::string& into) {
  if (directory_ != nullptr) encode(change, into);
}

Result<void> ChangeWalk::take_record(const TableDifference& difference, std::string& into) {
  TRY(const ParsedKey key, parse_key(difference.key));
  // Which blocks are dead yet is this store's affair.
  if (key.kind == RecordKind::purge) return {};
  TRY(const std::uint64_t before, sum_of_side(difference.key, difference.before));
  TRY(const std::uint64_t after, sum_of_side(difference.key, difference.after));
  // Only the number of its data blocks is another one.
  if (key.kind == RecordKind::object && before == after) return {};
  totals_.sum += after - before;
  ++totals_.records;
  if (!difference.after) {
    put(EraseRecord{difference.key}, into);
    return {};
  }
  PutRecord record{difference.key, *difference.after};
  if (key.kind == RecordKind::object) {
    TRY(ObjectRecord object, decode_object(record.value));
    object.data_blocks = 0;
    record.value = encode(object);
  }
  put(record, into);
  return {};
}

// What the diff has to say about a window that is dealt with.
Result<void> ChangeWalk::skip_window(const Window& window) {
  while (true) {
    TRY(const bool differs, refill());
    if (!differs || window_of(ready_.front()) != window) return {};
    ready_.pop_front();
  }
}

Result<std::vector<StoredExtent>> ChangeWalk::extents(Side side, const Window& window) {
  const std::uint64_t begin = window.number * extent_limit;
  const PurgeMarks& marks = side == Side::before ? marks_before_ : marks_after_;
  const auto own = marks.find(window.object);
  std::vector<StoredExtent> found;
  TRY(const auto records, diff_->scan(side, extent_key(window.object, begin + 1),
                                      window.key() + '\0', most_in_window));
  for (const TableEntry& record : records) {
    TRY(const ParsedKey key, parse_key(record.key));
    TRY(StoredExtent extent, decode_extent(key, record.value));
    std::optional<StoredExtent> live = std::move(extent);
    if (own != marks.end()) live = live_part(*live, own->second);
    if (live) found.push_back(std::move(*live));
  }
  return found;
}

Result<void> ChangeWalk::take_window(const Window& window, std::string& into) {
  auto before = extents(Side::before, window), after = extents(Side::after, window);
  if (!before) return about(before.error(), window.object);
  if (!after) return about(after.error(), window.object);
  TRY_VOID(skip_window(window));
  reached_ = window.key();
  const WindowPlan plan = plan_window(window.number, *before, *after);
  if (!plan.changed) return {};
  for (const StoredExtent& extent : *before) totals_.sum -= sum_of_extent(window.object, extent);
  for (const StoredExtent& extent : *after) totals_.sum += sum_of_extent(window.object, extent);
  ++totals_.windows;
  for (const PlannedBlock& block : plan.blocks) {
    for (const ByteRange& range : block.ranges) totals_.data_bytes += range.end - range.begin;
  }
  if (directory_ == nullptr) return {};
  TRY(const std::string bytes, read(window, plan));
  PortableWindow change{window.object, window.number, plan.kept, {}};
  for (std::size_t i = 0; i < plan.blocks.size(); ++i) {
    const std::string_view block(bytes.data() + i * data_block_size, data_block_size);
    change.blocks.push_back(portable(plan.blocks[i], as_bytes(block)));
  }
  put(change, into);
  return {};
}

// ---- data

// The data blocks of the plan, one after the other.
Result<std::string> ChangeWalk::read(const Window& window, const WindowPlan& plan) {
  std::string bytes(plan.blocks.size() * data_block_size, '\0');
  auto* to = reinterpret_cast<std::byte*>(bytes.data());
  for (std::size_t first = 0; first < plan.blocks.size();) {
    std::size_t end = first + 1;
    while (end < plan.blocks.size() && follows(plan.blocks[end], plan.blocks[end - 1])) ++end;
    const ByteSpan run{to + first * data_block_size, (end - first) * data_block_size};
    auto got = read_run(&plan.blocks[first], end - first, run);
    if (!got) return about(got.error(), window.object);
    first = end;
  }
  return bytes;
}

Result<void> ChangeWalk::read_run(const PlannedBlock* first, std::size_t count, ByteSpan into) {
  const DataPointer& at = first->at;
  if (!segment_.second || segment_.first != at.segment) {
    auto opened = directory_->open(layout::segment(at.segment), OpenMode::read);
    if (opened.failed_with(Errc::not_found))
      return Error(Errc::corrupt, layout::segment(at.segment) + " is missing; restore it");
    if (!opened) return std::move(opened).error();
    segment_ = {at.segment, std::move(*opened)};
  }
  TRY(const std::size_t got,
      segment_.second->read_at(std::uint64_t{at.block} * data_block_size, into));
  if (got != into.size()) return damaged_data(at);
  for (std::size_t i = 0; i < count; ++i) {
    const ByteView block = into.subspan(i * data_block_size, data_block_size);
    if (checksum64(block) != first[i].sum) return damaged_data(first[i].at);
  }
  return {};
}

}  // namespace rowan::cache
