#include "cache/table_check.h"

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

// Both places of the superblock, a page by itself and its copy by itself: a table that reads the
// healthy one of two never notices the other.
class TableCheck {
 public:
  TableCheck(Directory& directory, const TableCheckHooks& hooks)
      : directory_(directory), hooks_(hooks) {}

  Result<TableCheckResult> run() {
    TRY(const auto lock, directory_.lock(layout::lock));
    TRY_VOID(read_superblock_copies());
    TRY(tree_, directory_.open(layout::tree, OpenMode::read));
    auto allocator =
        load_bitmap(*tree_, superblock_.bitmap, superblock_.page_count, superblock_.epoch);
    if (!allocator) report(allocator.error().detail);
    TRY(Recovered recovered, recover_journal(directory_, superblock_));
    if (!recovered.repaired.empty())
      report(std::to_string(recovered.repaired.size()) +
             " groups of the journal could only be read from their copy");
    memory_ = std::move(recovered.memory);
    next_ = memory_->entries().begin();
    TRY_VOID(measure_segments());
    for (const PagePointer& page : superblock_.bitmap) (void)read(page, 0);
    if (!superblock_.root.pointer.absent())
      walk(superblock_.root.pointer, superblock_.root.level, {}, {});
    emit_memory_until({});
    if (allocator) compare(*allocator);
    add_memory_changes();
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

  Result<void> measure_segments() {
    TRY(const auto names, directory_.list());
    for (const std::string& name : names) {
      const auto number = layout::parse_segment(name);
      if (!number) continue;
      TRY(const auto file, directory_.open(name, OpenMode::read));
      TRY(result_.segments[*number], file->size());
    }
    return {};
  }

  // The page, from whichever place is whole; each damaged place is a finding.
  std::optional<Buffer> read(const PagePointer& pointer, std::uint8_t level) {
    std::optional<Buffer> good;
    for (const std::uint32_t page : {pointer.page, pointer.copy}) {
      if (page == 0) continue;
      if (!seen_.insert(page).second)
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
    if (hooks_.progress) hooks_.progress({result_.pages, superblock_.page_count});
    if (!good) {
      result_.complete = false;
      report(describe(pointer) + ": lost, with all records in it");
    }
    return good;
  }

  void walk(const PagePointer& pointer, std::uint8_t level, std::string_view lower,
            std::optional<std::string_view> upper) {
    const auto bytes = read(pointer, level);
    if (!bytes) return;
    const PageView page(bytes->view());
    if (auto order = check_order(page); !order)
      report(describe(pointer) + ": " + order.error().detail);
    if (page.lost_base()) {
      result_.complete = false;
      report(describe(pointer) + ": stands for a page that was lost");
    }
    for (std::size_t i = 0; i < page.count(); ++i) {
      const bool bound = level > 0 && i == 0;  // its key says nothing
      if (!bound && (page.key(i) < lower || (upper && page.key(i) >= *upper)))
        report(describe(pointer) + ": a key lies outside the page's range");
      if (level == 0) {
        emit(page.leaf_entry(i));
        continue;
      }
      const std::string_view from = i == 0 ? lower : page.key(i);
      walk(page.child(i), level - 1, from,
           i + 1 < page.count() ? std::optional(page.key(i + 1)) : upper);
    }
  }

  // ---- records, merged with what the journal has

  void emit(const LeafEntry& entry) {
    if (entry.key < own::end_key) {
      own::Records records;
      if (!entry.value || !own::decode(entry.key, *entry.value, records))
        report("tree: an unreadable record of the table's own");
      result_.live_blocks.merge(records.live);
      return;
    }
    emit_memory_until(entry.key);
    // the journal's is newer
    if (next_ != memory_->entries().end() && next_->first == entry.key) return;
    if (entry.value) give(entry.key, *entry.value);
  }

  void emit_memory_until(std::optional<std::string_view> key) {
    while (next_ != memory_->entries().end() && (!key || next_->first < *key)) {
      if (next_->second) give(next_->first, *next_->second);
      ++next_;
    }
  }

  void give(std::string_view key, std::string_view value) {
    ++result_.records;
    hooks_.record(key, value);
  }

  void add_memory_changes() {
    for (const auto& [segment, change] : memory_->live_changes()) {
      const auto blocks = static_cast<std::int64_t>(result_.live_blocks[segment]) + change;
      if (blocks < 0)
        report(layout::segment(segment) + ": more data was given back than was there");
      result_.live_blocks[segment] = blocks > 0 ? static_cast<std::uint64_t>(blocks) : 0;
    }
  }

  void compare(const PageAllocator& allocator) {
    std::uint64_t leaked = 0;
    for (std::uint32_t page = 1; page < allocator.page_count(); ++page)
      leaked += allocator.is_used(page) && !seen_.contains(page) ? 1 : 0;
    for (const std::uint32_t page : seen_) {
      if (!allocator.is_used(page))
        report("tree page " + std::to_string(page) + " is in use, but the bitmap calls it free");
    }
    // Pages of damaged subtrees stay allocated on purpose.
    if (leaked != 0 && result_.complete)
      report("tree: " + std::to_string(leaked) +
             " pages are allocated, but nothing refers to them");
  }

  Directory& directory_;
  const TableCheckHooks& hooks_;
  Superblock superblock_;
  std::unique_ptr<File> tree_;
  std::unique_ptr<MemoryTable> memory_;
  MemoryTable::Map::const_iterator next_;
  std::set<std::uint32_t> seen_;
  TableCheckResult result_;
};

}  // namespace

Result<TableCheckResult> check_table(Directory& directory, const TableCheckHooks& hooks) {
  return TableCheck(directory, hooks).run();
}

}  // namespace rowan::cache
