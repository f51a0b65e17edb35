#include "cache/table_check.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "cache/layout.h"
#include "cache/table_allocator.h"
#include "cache/table_merge.h"
#include "cache/table_own.h"
#include "cache/table_recover.h"
#include "cache/table_tree.h"

namespace rowan::cache {
namespace {

using Overrides = std::map<std::string_view, const MemoryTable::Value*>;

// What the journal says about a state's keys over its tree.
Overrides overrides_of(const State& state, TreeRoot& root) {
  Overrides found;
  auto add = [&](const MemoryTable& changes) {
    for (const auto& [key, value] : changes.entries()) found.try_emplace(key, &value);
  };
  if (state.active) add(*state.active);
  const Version* version = state.version.get();
  for (; !version->root; version = version->below.get()) add(*version->changes);
  root = *version->root;
  return found;
}

// Both places of the superblock, a page by itself and its copy by itself: a table that reads the
// healthy one of two never notices the other. Pages that states share are looked at once, unless
// the records of a head are wanted.
class TableCheck {
 public:
  TableCheck(Directory& directory, const TableCheckOptions& options, const TableCheckHooks& hooks)
      : directory_(directory), options_(options), hooks_(hooks) {}

  Result<TableCheckResult> run_pinned(const std::vector<PinnedState>& states) {
    TRY(tree_, directory_.open(layout::tree, OpenMode::read));
    TRY_VOID(measure_segments());
    for (const PinnedState& pinned : states) {
      superblock_.epoch = pinned.epoch;
      state_ = pinned.state;
      emits_ = pinned.as_head;
      if (!pinned.root.pointer.absent()) walk(pinned.root.pointer, pinned.root.level, {}, {});
    }
    return std::move(result_);
  }

  Result<TableCheckResult> run() {
    TRY(const auto lock, directory_.lock(layout::lock));
    TRY_VOID(read_superblock_copies());
    TRY(tree_, directory_.open(layout::tree, OpenMode::read));
    auto allocator =
        load_bitmap(*tree_, superblock_.bitmap, superblock_.page_count, superblock_.epoch);
    if (!allocator) report(allocator.error().detail);
    for (const PagePointer& page : superblock_.bitmap) (void)read(page, 0);
    TRY_VOID(load_states());
    TRY(Recovered recovered, recover_journal(directory_, superblock_, states_));
    if (!recovered.repaired.empty())
      report(std::to_string(recovered.repaired.size()) +
             " groups of the journal could only be read from their copy");
    TRY_VOID(measure_segments());
    for (const auto& [id, state] : states_.all()) result_.states.push_back(state.info);
    // Those without changes first: a page of theirs counts with all its records.
    walk_states(false);
    walk_states(true);
    if (allocator) compare(*allocator);
    add_ledger(recovered.ledger);
    if (options_.find_data != nullptr && result_.complete) compare_blocks();
    return std::move(result_);
  }

 private:
  void report(const std::string& text) { hooks_.finding(directory_.path() + "/" + text); }

  Result<void> read_superblock_copies() {
    TRY(const auto file, directory_.open(layout::superblock, OpenMode::read));
    TRY(FoundSuperblock found, read_superblock(*file, directory_.path()));
    superblock_ = std::move(found.superblock);
    if (!found.healthy)
      report("superblock: its two copies differ or one is damaged; opening heals it");
    return {};
  }

  Result<void> load_states() {
    auto records = own::load(*tree_, superblock_.meta, superblock_.epoch);
    if (!records)
      return Error(records.error().code, directory_.path() + "/" + records.error().detail);
    states_ = own::make_states(*records);
    result_.live_blocks = std::move(records->live);
    if (!superblock_.meta.pointer.absent())
      walk(superblock_.meta.pointer, superblock_.meta.level, {}, {});
    return {};
  }

  Result<void> measure_segments() {
    TRY(const auto names, directory_.list());
    for (const std::string& name : names) {
      const auto number = layout::parse_segment(name);
      if (!number) continue;
      const auto file = directory_.open(name, OpenMode::read);
      // Of an open table: nothing needs it any more.
      if (file.failed_with(Errc::not_found)) continue;
      if (!file) return file.error();
      TRY(result_.segments[*number], (*file)->size());
    }
    return {};
  }

  // ---- pages

  // The page, from whichever place is whole; each damaged place is a finding, once.
  std::optional<Buffer> read(const PagePointer& pointer, std::uint8_t level) {
    const auto known = seen_.find(pointer.page);
    if (known != seen_.end() && known->second == pointer.checksum) {
      auto again = load_page(*tree_, pointer, level, superblock_.epoch);
      return again ? std::optional(std::move(again->bytes)) : std::nullopt;
    }
    std::optional<Buffer> good;
    for (const std::uint32_t page : {pointer.page, pointer.copy}) {
      if (page == 0) continue;
      if (!seen_.emplace(page, pointer.checksum).second)
        report("tree page " + std::to_string(page) + " is used twice");
      Buffer bytes(page_size);
      auto got = tree_->read_at(std::uint64_t{page} * page_size, bytes.span());
      if (got) bytes.resize_within(*got);
      auto checked = got ? check_page(bytes.view(), pointer, level, superblock_.epoch)
                         : Result<void>(got.error());
      if (checked)
        good = std::move(bytes);
      else
        report("tree page " + std::to_string(page) + ", offset " +
               std::to_string(std::uint64_t{page} * page_size) + ": " + checked.error().detail);
    }
    ++result_.pages;
    if (hooks_.progress) hooks_.progress({result_.pages, superblock_.page_count, false});
    if (!good) {
      result_.complete = false;
      report(describe(pointer) + ": lost, with all records in it");
    }
    return good;
  }

  void check_entries(const PagePointer& pointer, const PageView& page, std::string_view lower,
                     std::optional<std::string_view> upper) {
    if (auto order = check_order(page); !order)
      report(describe(pointer) + ": " + order.error().detail);
    if (page.lost_base()) {
      result_.complete = false;
      report(describe(pointer) + ": stands for a page that was lost");
    }
    for (std::size_t i = page.level() > 0 ? 1 : 0; i < page.count(); ++i) {
      if (page.key(i) < lower || (upper && page.key(i) >= *upper))
        report(describe(pointer) + ": a key lies outside the page's range");
    }
  }

  void walk(const PagePointer& pointer, std::uint8_t level, std::string_view lower,
            std::optional<std::string_view> upper) {
    if (hooks_.stopped && hooks_.stopped()) return;
    const bool counted = counted_.contains(pointer.page);
    if (counted && !emits_) return;
    const bool first = !seen_.contains(pointer.page);
    const auto bytes = read(pointer, level);
    if (!bytes) return;
    const PageView page(bytes->view());
    if (first) check_entries(pointer, page, lower, upper);
    for (std::size_t i = 0; i < page.count(); ++i) {
      if (level == 0) {
        take(page.leaf_entry(i), counted);
        continue;
      }
      walk(page.child(i), level - 1, i == 0 ? lower : page.key(i),
           i + 1 < page.count() ? std::optional(page.key(i + 1)) : upper);
    }
    if (overrides_.empty()) counted_.insert(pointer.page);
  }

  // ---- records of the state being walked, its tree's merged with the journal's

  void walk_states(bool with_changes) {
    for (const auto& [id, state] : states_.all()) {
      TreeRoot root;
      overrides_ = overrides_of(state, root);
      if (overrides_.empty() == with_changes) continue;
      state_ = id;
      emits_ = state.info.head;
      next_ = overrides_.begin();
      if (!root.pointer.absent()) walk(root.pointer, root.level, {}, {});
      take_overrides_until({});
    }
    overrides_.clear();
  }

  void take(const LeafEntry& entry, bool counted) {
    if (entry.key < own::end_key) return;
    take_overrides_until(entry.key);
    // the journal's is newer
    if (next_ != overrides_.end() && next_->first == entry.key) return;
    if (entry.value) give(entry.key, *entry.value, counted);
  }

  void take_overrides_until(std::optional<std::string_view> key) {
    while (next_ != overrides_.end() && (!key || next_->first < *key)) {
      if (*next_->second) give(next_->first, **next_->second, false);
      ++next_;
    }
  }

  void give(std::string_view key, std::string_view value, bool counted) {
    if (!counted) count_data(key, value);
    if (!counted && hooks_.any_record) hooks_.any_record(key, value);
    if (!emits_) return;
    ++result_.records;
    hooks_.record(state_, key, value);
  }

  // ---- sums

  void count_data(std::string_view key, std::string_view value) {
    if (options_.find_data == nullptr) return;
    auto data = options_.find_data(key, value);
    if (!data) report("a record that refers to data cannot be read: " + data.error().detail);
    else if (data->blocks != 0)
      used_.push_back({data->first.segment, data->first.block, data->blocks});
  }

  void add_ledger(const BlockLedger& ledger) {
    for (const auto& [segment, change] : ledger.live_changes()) {
      const auto blocks = static_cast<std::int64_t>(result_.live_blocks[segment]) + change;
      if (blocks < 0)
        report(layout::segment(segment) + ": more data was given back than was there");
      result_.live_blocks[segment] = blocks > 0 ? static_cast<std::uint64_t>(blocks) : 0;
    }
  }

  void compare_blocks() {
    std::map<std::uint32_t, std::uint64_t> live;
    for (const DeadRange& range : join_ranges(std::move(used_))) live[range.segment] += range.count;
    for (const auto& [segment, blocks] : result_.live_blocks) {
      if (blocks != live[segment])
        report(layout::segment(segment) + ": counted with " + std::to_string(blocks) +
               " live blocks, but " + std::to_string(live[segment]) + " are in use");
    }
    for (const auto& [segment, blocks] : live) {
      if (blocks != 0 && !result_.live_blocks.contains(segment))
        report(layout::segment(segment) + ": holds data, but is not counted");
    }
  }

  void compare(const PageAllocator& allocator) {
    std::uint64_t leaked = 0;
    for (std::uint32_t page = 1; page < allocator.page_count(); ++page)
      leaked += allocator.is_used(page) && !seen_.contains(page) ? 1 : 0;
    for (const auto& [page, checksum] : seen_) {
      if (!allocator.is_used(page))
        report("tree page " + std::to_string(page) + " is in use, but the bitmap calls it free");
    }
    // Pages of damaged subtrees stay allocated on purpose.
    if (leaked != 0 && result_.complete)
      report("tree: " + std::to_string(leaked) +
             " pages are allocated, but nothing refers to them");
  }

  Directory& directory_;
  const TableCheckOptions& options_;
  const TableCheckHooks& hooks_;
  Superblock superblock_;
  std::unique_ptr<File> tree_;
  StateSet states_;
  StateId state_ = no_state;
  bool emits_ = false;
  Overrides overrides_;
  Overrides::const_iterator next_ = overrides_.end();
  std::map<std::uint32_t, std::uint64_t> seen_;   // pages, and the sums of their contents
  std::set<std::uint32_t> counted_;               // whose records, with all below, are in used_
  std::vector<DeadRange> used_;
  TableCheckResult result_;
};

}  // namespace

Result<TableCheckResult> check_pinned(Directory& directory, const std::vector<PinnedState>& states,
                                      const TableCheckHooks& hooks) {
  const TableCheckOptions options;
  return TableCheck(directory, options, hooks).run_pinned(states);
}

Result<TableCheckResult> check_table(Directory& directory, const TableCheckOptions& options,
                                     const TableCheckHooks& hooks) {
  return TableCheck(directory, options, hooks).run();
}

}  // namespace rowan::cache
