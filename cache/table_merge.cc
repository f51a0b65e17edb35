#include "cache/table_merge.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "cache/digest.h"
#include "cache/table_superblock.h"
#include "cache/table_tree.h"
#include "rpc/base/check.h"

// Top down by ranges of edits: an inner page hands each child its part of the edits and gets back
// the pages that replace it. Neighbouring touched leaves of one parent form a run, which is packed
// evenly into new leaves; a run that came out small takes in the next leaf, so that a tree which
// loses entries also loses pages.
//
// A leaf that cannot be read is replaced by one that holds only the edits and the flag "lost base".
// A damaged page therefore stops neither the merge nor anybody else's keys, and still never reads
// as "not there".

namespace rowan::cache {
namespace {

constexpr std::size_t small_run = page_capacity / 4;
constexpr std::uint8_t precious_below = 2;  // keys that start with 0 or 1: leaves stored twice

struct EditRef {
  std::string_view key;
  std::optional<std::string_view> value;
};
using Edits = std::span<const EditRef>;

void append_edits(std::vector<EditRef>& out, const MemoryTable::Map& map) {
  for (const auto& [key, value] : map)
    out.push_back({key, value ? std::optional<std::string_view>(*value) : std::nullopt});
}

Edits take_below(Edits& edits, std::optional<std::string_view> upper) {
  if (!upper) return std::exchange(edits, {});
  const auto end = std::partition_point(edits.begin(), edits.end(),
                                        [&](const EditRef& edit) { return edit.key < *upper; });
  const Edits below = edits.first(static_cast<std::size_t>(end - edits.begin()));
  edits = edits.subspan(below.size());
  return below;
}

// Splits `entries` into parts that fit a page, of about the same size.
template <class Entry, class Emit>
Result<void> split_evenly(std::span<const Entry> entries, Emit emit) {
  std::size_t total = 0;
  for (const Entry& entry : entries) total += entry_size(entry);
  const std::size_t pages = (total + page_capacity - 1) / page_capacity;
  const std::size_t target = pages <= 1 ? page_capacity : total / pages;
  std::size_t begin = 0, bytes = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::size_t size = entry_size(entries[i]);
    if (i > begin && (bytes + size > page_capacity || bytes >= target)) {
      TRY_VOID(emit(entries.subspan(begin, i - begin)));
      begin = i;
      bytes = 0;
    }
    bytes += size;
  }
  if (begin < entries.size()) TRY_VOID(emit(entries.subspan(begin)));
  return {};
}

// Consecutive leaves being rewritten together. Entries borrow from the pages held here and from the
// edits.
struct Run {
  bool open = false, lost_base = false;
  std::string first_key;
  std::vector<Buffer> pages;
  std::vector<LeafEntry> entries;
  std::size_t bytes = 0;
};

class Merger {
 public:
  Merger(MergeSpace& space, const TreeChange& change) : space_(space), change_(change) {}

  Result<TreeRoot> run() {
    std::vector<EditRef> edits;
    edits.reserve(change_.changes->size());
    append_edits(edits, *change_.changes);
    return merge_root(edits);
  }

 private:
  Result<TreeRoot> merge_root(Edits edits) {
    std::vector<InnerEntry> pages;
    std::uint8_t level = 0;
    if (change_.root.pointer.absent()) {
      Run run{.open = true,
              .lost_base = false,
              .first_key = {},
              .pages = {},
              .entries = {},
              .bytes = 0};
      add_entries(run, nullptr, edits);
      TRY_VOID(flush(run, pages));
    } else {
      level = change_.root.level == 0 ? 0 : change_.root.level - 1;
      TRY(pages, change_.root.level == 0
                     ? merge_only_leaf(edits)
                     : merge_children(change_.root.pointer, change_.root.level, edits));
      // An unreadable inner root became leaves that hold the edits.
      if (replaced_by_leaves_) level = 0;
    }
    while (pages.size() > 1) {
      CHECK_LT(level, max_tree_level);
      TRY(pages, pack(pages, ++level));
    }
    return pages.empty() ? TreeRoot{} : TreeRoot{pages.front().child, level};
  }

  Result<std::vector<InnerEntry>> merge_only_leaf(Edits edits) {
    std::vector<InnerEntry> out;
    Run run;
    TRY_VOID(merge_leaf(run, change_.root.pointer, {}, edits, out));
    TRY_VOID(flush(run, out));
    return out;
  }

  // The pages that replace the children of an inner page.
  Result<std::vector<InnerEntry>> merge_children(const PagePointer& pointer, std::uint8_t level,
                                                 Edits edits) {
    auto loaded = load_page(*space_.tree, pointer, level, space_.epoch);
    if (!loaded) {
      if (!loaded.failed_with(Errc::corrupt)) return std::move(loaded).error();
      return lose_subtree(loaded.error().detail, level, edits);
    }
    give_back(pointer);
    const PageView page(loaded->bytes.view());
    std::vector<InnerEntry> out;
    Run run;
    for (std::size_t i = 0; i < page.count(); ++i) {
      const auto upper = i + 1 < page.count() ? std::optional(page.key(i + 1)) : std::nullopt;
      const Edits mine = take_below(edits, upper);
      const InnerEntry child{std::string(page.key(i)), page.child(i)};
      if (level == 1) {
        TRY_VOID(merge_leaf_child(run, child, mine, out));
      } else if (mine.empty()) {
        out.push_back(child);
      } else {
        TRY_VOID(merge_inner_child(child, level, mine, out));
      }
    }
    TRY_VOID(flush(run, out));
    return out;
  }

  Result<void> merge_inner_child(const InnerEntry& child, std::uint8_t level, Edits edits,
                                 std::vector<InnerEntry>& out) {
    const std::uint8_t child_level = level - 1;
    TRY(std::vector<InnerEntry> pages, merge_children(child.child, child_level, edits));
    if (pages.empty()) return {};
    // Bounds stay where they were, so that a neighbour's range never grows by itself.
    pages.front().key = child.key;
    if (std::exchange(replaced_by_leaves_, false)) {
      for (std::uint8_t l = 1; l < child_level; ++l) {
        TRY(pages, pack(pages, l));
      }
    }
    TRY(std::vector<InnerEntry> packed, pack(pages, child_level));
    std::move(packed.begin(), packed.end(), std::back_inserter(out));
    return {};
  }

  Result<void> merge_leaf_child(Run& run, const InnerEntry& child, Edits edits,
                                std::vector<InnerEntry>& out) {
    if (!edits.empty()) return merge_leaf(run, child.child, child.key, edits, out);
    const bool absorb = run.open && run.bytes < small_run;
    if (absorb && load_page(*space_.tree, child.child, 0, space_.epoch)) {
      return merge_leaf(run, child.child, child.key, edits, out);
    }
    TRY_VOID(flush(run, out));
    out.push_back(child);
    return {};
  }

  // Adds a leaf and its edits to the run, or ends the run and writes the leaf alone if its base is
  // lost.
  Result<void> merge_leaf(Run& run, const PagePointer& pointer, const std::string& key, Edits edits,
                          std::vector<InnerEntry>& out) {
    auto loaded = load_page(*space_.tree, pointer, 0, space_.epoch);
    if (!loaded && !loaded.failed_with(Errc::corrupt)) return std::move(loaded).error();
    if (!loaded) space_.damage.push_back(loaded.error().detail);
    const bool lost = !loaded || PageView(loaded->bytes.view()).lost_base();
    if (lost) TRY_VOID(flush(run, out));
    if (!run.open) {
      run.open = true;
      run.first_key = key;
      run.lost_base = lost;
    }
    if (loaded) {
      // An unreadable page stays allocated: a repair may want to look at it.
      give_back(pointer);
      run.pages.push_back(std::move(loaded->bytes));
      const PageView page(run.pages.back().view());
      add_entries(run, &page, edits);
    } else {
      add_entries(run, nullptr, edits);
    }
    if (lost) TRY_VOID(flush(run, out));
    return {};
  }

  Result<std::vector<InnerEntry>> lose_subtree(const std::string& what, std::uint8_t level,
                                               Edits edits) {
    space_.damage.push_back(what + " (level " + std::to_string(level) + ", with all below it)");
    std::vector<InnerEntry> out;
    Run run{
        .open = true, .lost_base = true, .first_key = {}, .pages = {}, .entries = {}, .bytes = 0};
    add_entries(run, nullptr, edits);
    TRY_VOID(flush(run, out));
    replaced_by_leaves_ = true;
    return out;
  }

  static void add_entry(Run& run, std::string_view key, std::optional<std::string_view> value) {
    if (!value && !run.lost_base) return;
    run.entries.push_back({key, value});
    run.bytes += entry_size(run.entries.back());
  }

  static void add_entries(Run& run, const PageView* page, Edits edits) {
    std::size_t i = 0, e = 0;
    const std::size_t count = page == nullptr ? 0 : page->count();
    while (i < count || e < edits.size()) {
      const bool from_page = i < count && (e == edits.size() || page->key(i) < edits[e].key);
      if (from_page) {
        const LeafEntry entry = page->leaf_entry(i++);
        add_entry(run, entry.key, entry.value);
        continue;
      }
      if (i < count && page->key(i) == edits[e].key) ++i;
      add_entry(run, edits[e].key, edits[e].value);
      ++e;
    }
  }

  Result<void> flush(Run& run, std::vector<InnerEntry>& out) {
    if (!run.open) return {};
    const std::size_t first = out.size();
    const std::uint8_t flags = run.lost_base ? page_flag_lost_base : 0;
    auto emit = [&](std::span<const LeafEntry> entries) -> Result<void> {
      const std::string_view key = entries.empty() ? std::string_view() : entries.front().key;
      const bool twice = key.empty() || static_cast<std::uint8_t>(key[0]) < precious_below;
      PagePointer pointer = space_.allocate(twice, change_.birth);
      TRY_VOID(space_.write(pointer, build_leaf(entries, flags, identity(pointer))));
      out.push_back({std::string(key), pointer});
      return {};
    };
    TRY_VOID(split_evenly<LeafEntry>(run.entries, emit));
    if (run.entries.empty() && run.lost_base) TRY_VOID(emit({}));
    if (out.size() > first) out[first].key = run.first_key;
    run = Run{};
    return {};
  }

  Result<std::vector<InnerEntry>> pack(const std::vector<InnerEntry>& entries, std::uint8_t level) {
    std::vector<InnerEntry> out;
    auto emit = [&](std::span<const InnerEntry> part) -> Result<void> {
      PagePointer pointer = space_.allocate(true, change_.birth);
      TRY_VOID(space_.write(pointer, build_inner(part, level, identity(pointer))));
      out.push_back({part.front().key, pointer});
      return {};
    };
    TRY_VOID(split_evenly<InnerEntry>(entries, emit));
    return out;
  }

  void give_back(const PagePointer& pointer) {
    if (pointer.birth > change_.keep) return space_.give_back(pointer);
    if (change_.kept != nullptr) change_.kept->push_back(pointer);
  }
  PageIdentity identity(const PagePointer& pointer) const {
    return {pointer.page, pointer.birth, space_.epoch};
  }

  MergeSpace& space_;
  const TreeChange& change_;
  bool replaced_by_leaves_ = false;  // the last merge_children() gave leaves, whatever the level
};

// A page of the bitmap has the header of a leaf without entries, and bits behind it.
constexpr std::size_t bits_per_page = page_capacity * 8;

}  // namespace

void MergeSpace::give_back(const PagePointer& pointer) {
  allocator.release(pointer.page);
  allocator.release(pointer.copy);
}

PagePointer MergeSpace::allocate(bool twice, Ticket birth) {
  PagePointer pointer;
  pointer.page = allocator.allocate();
  if (twice) pointer.copy = allocator.allocate();
  pointer.birth = birth;
  return pointer;
}

Result<void> MergeSpace::write(PagePointer& pointer, const Buffer& bytes) {
  pointer.checksum = checksum64(bytes.view());
  for (const std::uint32_t page : {pointer.page, pointer.copy}) {
    if (page == 0) continue;
    const std::uint64_t offset = std::uint64_t{page} * page_size;
    auto written = tree->write_at(offset, bytes.view());
    if (written.failed_with(Errc::no_space) && make_room && make_room())
      written = tree->write_at(offset, bytes.view());
    TRY_VOID(std::move(written));
    ++pages_written;
  }
  return {};
}

Result<TreeRoot> merge_tree(MergeSpace& space, const TreeChange& change) {
  if (change.changes->empty()) return change.root;
  return Merger(space, change).run();
}

Result<std::vector<PagePointer>> write_bitmap(MergeSpace& space,
                                              const std::vector<PagePointer>& old, Ticket birth) {
  for (const PagePointer& page : old) space.give_back(page);
  // Allocating the bitmap's own pages may need one more page of it; two rounds settle that.
  std::vector<PagePointer> pages;
  while (std::uint64_t{pages.size()} * bits_per_page < space.allocator.page_count() + 64u)
    pages.push_back(space.allocate(true, birth));
  if (pages.size() > max_bitmap_pages)
    return Error(Errc::no_space, "the tree file has reached its largest size");
  const std::string bits = space.allocator.bitmap();
  for (std::size_t i = 0; i < pages.size(); ++i) {
    Buffer bytes = build_leaf({}, 0, {pages[i].page, birth, space.epoch});
    const std::string_view part =
        std::string_view(bits).substr(std::min(bits.size(), i * page_capacity), page_capacity);
    if (!part.empty()) std::memcpy(bytes.data() + page_header_size, part.data(), part.size());
    TRY_VOID(space.write(pages[i], bytes));
  }
  return pages;
}

Result<PageAllocator> load_bitmap(const File& tree, const std::vector<PagePointer>& bitmap,
                                  std::uint32_t page_count, std::uint64_t epoch) {
  std::string bits;
  for (const PagePointer& pointer : bitmap) {
    TRY(const LoadedPage page, load_page(tree, pointer, 0, epoch));
    bits += as_text(page.bytes.view().subspan(page_header_size));
  }
  const std::size_t words = (std::size_t{page_count} + 63) / 64;
  if (!bitmap.empty() && bits.size() < words * 8)
    return Error(Errc::corrupt, "the bitmap of tree pages is too short");
  bits.resize(words * 8, '\0');
  return PageAllocator::from_bitmap(bits, page_count);
}

}  // namespace rowan::cache
