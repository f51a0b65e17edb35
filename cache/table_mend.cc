// A lost page becomes an empty one of the same birth, and so does every page above it, because they
// point at it: who shares a page with whom, which births tell, stays as it was. What the journal
// has is merged over that, as a merge would; the new superblock says that the journal is used up.
//
// The new bitmap calls used what can be reached from the new trees, and the old bitmap is not
// needed. Nor are the old counts of live data: what the records refer to is counted anew, and
// everything else in the segments is dead.
#include "cache/table_mend.h"

#include <algorithm>
#include <set>
#include <utility>

#include "cache/layout.h"
#include "cache/table_own.h"
#include "cache/table_tree.h"
#include "rpc/base/check.h"

namespace rowan::cache {
namespace {

constexpr Ticket keep_all = ~Ticket{0};

// Every page counts as used, so that new ones come behind the end.
PageAllocator growing_allocator(std::uint32_t page_count) {
  const std::size_t words = (std::size_t{page_count} + 63) / 64;
  return PageAllocator::from_bitmap(std::string(words * 8, '\xff'), page_count);
}

const Version* lowest(const Version* version) {
  while (!version->root) version = version->below.get();
  return version;
}

bool is_precious(std::string_view key) { return key < std::string_view("\2", 1); }

}  // namespace

Result<std::unique_ptr<TableMender>> TableMender::open(Directory& directory,
                                                       FindRecordData find_data) {
  std::unique_ptr<TableMender> mender(new TableMender(directory, find_data));
  TRY_VOID(mender->load());
  return mender;
}

Result<void> TableMender::load() {
  TRY(lock_, directory_.lock(layout::lock));
  TRY_VOID(load_files());
  auto own = own::load(*space_.tree, superblock_.meta, superblock_.epoch);
  if (!own)
    return Error(own.error().code, directory_.path() + "/" + own.error().detail +
                                       "; it says which states there are, so nothing can be "
                                       "repaired without it: restore a backup");
  states_ = own::make_states(*own);
  if (!superblock_.meta.pointer.absent())
    TRY_VOID(look_at_own(superblock_.meta.pointer, superblock_.meta.level));
  TRY(const Recovered recovered,
      recover_what_is_left(directory_, superblock_, states_, lost_));
  if (lost_.first != 0)
    findings_.push_back("the journal breaks off at " + lost_.place + ": batches " +
                        std::to_string(lost_.first) + " to " + std::to_string(lost_.through) +
                        " are lost");
  // Numbers of lost batches and states are never given out again.
  // The repair itself has one as well: what it adds to heads is younger than any checkpoint.
  superblock_.merged_through = std::max(recovered.last, lost_.through) + 1;
  superblock_.next_segment = recovered.next_segment;
  superblock_.replay = {recovered.next_segment, 0, recovered.end.chain};
  return mend_states();
}

Result<void> TableMender::load_files() {
  TRY(superblock_file_, directory_.open(layout::superblock, OpenMode::write));
  auto found = read_superblock(*superblock_file_, directory_.path());
  if (!found)
    return Error(found.error().code,
                 found.error().detail + (found.failed_with(Errc::corrupt)
                                             ? "; nothing can be repaired without it: restore a "
                                               "backup"
                                             : ""));
  superblock_ = std::move(found->superblock);
  if (!found->healthy) findings_.push_back("superblock: one of its copies is damaged");
  auto tree = directory_.open(layout::tree, OpenMode::write);
  if (!tree)
    return Error(tree.failed_with(Errc::not_found) ? Errc::corrupt : tree.error().code,
                 tree.error().detail + "; nothing can be repaired without it: restore a backup");
  space_.tree = std::move(*tree);
  space_.epoch = superblock_.epoch;
  auto bitmap =
      load_bitmap(*space_.tree, superblock_.bitmap, superblock_.page_count, superblock_.epoch);
  if (!bitmap) findings_.push_back(bitmap.error().detail);
  else
    for (const PagePointer& page : superblock_.bitmap) (void)both_whole(page, 0);
  // A crash during an earlier repair, or a merge, may have left more.
  TRY(const std::uint64_t size, space_.tree->size());
  const auto pages = static_cast<std::uint32_t>((size + page_size - 1) / page_size);
  space_.allocator = growing_allocator(std::max(superblock_.page_count, pages));
  return {};
}

// ---- pages

Result<void> TableMender::mend_states() {
  for (const auto& [id, state] : states_.all()) {
    const auto below = lowest(state.version.get());
    if (roots_.contains(below)) continue;
    const TreeRoot& root = *below->root;
    roots_[below] = root;
    if (root.pointer.absent()) continue;
    TRY(const Mended mended, mend(root.pointer, root.level, {}));
    roots_[below].pointer = mended.pointer;
    lost_keys_[below] = mended.lost;
  }
  states_.freeze_heads();
  for (const auto& version : states_.take_unmerged()) {
    const auto below = roots_.find(version->below.get());
    // Changes of a head over a tree that no state has by itself.
    CHECK(below != roots_.end());
    const TreeChange change{below->second, &version->changes->entries(), version->changes->last,
                            keep_all};
    TRY(roots_[version.get()], merge_tree(space_, change));
    const auto lost = lost_keys_.find(version->below.get());
    if (lost != lost_keys_.end()) lost_keys_[version.get()] = lost->second;
  }
  return {};
}

Result<TableMender::Mended> TableMender::mend(const PagePointer& pointer, std::uint8_t level,
                                              const Bounds& bounds) {
  const auto known = mended_.find(pointer.page);
  if (known != mended_.end()) return known->second;
  Mended mended;
  auto loaded = load_page(*space_.tree, pointer, level, superblock_.epoch);
  if (!loaded) {
    findings_.push_back(loaded.error().detail +
                        (level == 0 ? "" : " (with all pages below it)"));
    TRY(mended.pointer, write_empty(level, pointer.birth, bounds.lower));
    mended.lost.push_back({bounds.lower, bounds.upper});
  } else {
    const bool damaged = !both_whole(pointer, level);
    TRY(mended, level == 0 ? mend_leaf(pointer, loaded->bytes, bounds, damaged)
                           : mend_inner(pointer, loaded->bytes, bounds, damaged));
  }
  mended_[pointer.page] = mended;
  return mended;
}

bool TableMender::both_whole(const PagePointer& pointer, std::uint8_t level) {
  if (pointer.copy == 0) return true;
  for (const std::uint32_t place : {pointer.page, pointer.copy}) {
    PagePointer alone = pointer;
    alone.page = place;
    alone.copy = 0;
    // Both places hold the number of the first one.
    Buffer bytes(page_size);
    auto got = space_.tree->read_at(std::uint64_t{place} * page_size, bytes.span());
    if (got) bytes.resize_within(*got);
    if (got && check_page(bytes.view(), pointer, level, superblock_.epoch)) continue;
    findings_.push_back(describe(alone) + ": damaged, but there is a copy");
    return false;
  }
  return true;
}

Result<void> TableMender::look_at_own(const PagePointer& pointer, std::uint8_t level) {
  (void)both_whole(pointer, level);
  if (level == 0) return {};
  TRY(const LoadedPage loaded, load_page(*space_.tree, pointer, level, superblock_.epoch));
  const PageView page(loaded.bytes.view());
  for (std::size_t i = 0; i < page.count(); ++i)
    TRY_VOID(look_at_own(page.child(i), static_cast<std::uint8_t>(level - 1)));
  return {};
}

// Only a leaf that stands for a lost one, or of which one place is damaged, is written anew.
Result<TableMender::Mended> TableMender::mend_leaf(const PagePointer& pointer,
                                                   const Buffer& bytes, const Bounds& bounds,
                                                   bool damaged) {
  const PageView page(bytes.view());
  Mended mended{pointer, {}};
  if (!page.lost_base() && !damaged) return mended;
  if (page.lost_base()) {
    findings_.push_back(lost_base_error(pointer).detail);
    mended.lost.push_back({bounds.lower, bounds.upper});
  }
  std::vector<LeafEntry> entries;
  for (std::size_t i = 0; i < page.count(); ++i) {
    if (page.leaf_entry(i).value) entries.push_back(page.leaf_entry(i));
  }
  mended.pointer = space_.allocate(pointer.copy != 0, pointer.birth);
  const PageIdentity identity{mended.pointer.page, pointer.birth, superblock_.epoch};
  TRY_VOID(space_.write(mended.pointer, build_leaf(entries, 0, identity)));
  return mended;
}

Result<TableMender::Mended> TableMender::mend_inner(const PagePointer& pointer,
                                                    const Buffer& bytes, const Bounds& bounds,
                                                    bool damaged) {
  const PageView page(bytes.view());
  Mended mended{pointer, {}};
  std::vector<InnerEntry> entries;
  bool changed = damaged;
  for (std::size_t i = 0; i < page.count(); ++i) {
    Bounds inside{i == 0 ? bounds.lower : std::string(page.key(i)), bounds.upper};
    if (i + 1 < page.count()) inside.upper = std::string(page.key(i + 1));
    TRY(const Mended child,
        mend(page.child(i), static_cast<std::uint8_t>(page.level() - 1), inside));
    changed = changed || !(child.pointer == page.child(i));
    entries.push_back({std::string(page.key(i)), child.pointer});
    mended.lost.insert(mended.lost.end(), child.lost.begin(), child.lost.end());
  }
  if (!changed) return mended;
  mended.pointer = space_.allocate(true, pointer.birth);
  const PageIdentity identity{mended.pointer.page, pointer.birth, superblock_.epoch};
  TRY_VOID(space_.write(mended.pointer, build_inner(entries, page.level(), identity)));
  return mended;
}

// A page of this level with an empty leaf below.
Result<PagePointer> TableMender::write_empty(std::uint8_t level, Ticket birth,
                                             const std::string& lower) {
  PagePointer pointer = space_.allocate(level > 0 || is_precious(lower), birth);
  const PageIdentity identity{pointer.page, birth, superblock_.epoch};
  if (level == 0) {
    TRY_VOID(space_.write(pointer, build_leaf({}, 0, identity)));
    return pointer;
  }
  TRY(const PagePointer child, write_empty(static_cast<std::uint8_t>(level - 1), birth, lower));
  const InnerEntry entry{lower, child};
  TRY_VOID(space_.write(pointer, build_inner({&entry, 1}, level, identity)));
  return pointer;
}

// ---- records

std::vector<StateInfo> TableMender::states() const {
  std::vector<StateInfo> found;
  for (const auto& [id, state] : states_.all()) found.push_back(state.info);
  // Nothing is above a head, and a checkpoint is younger than what it is above.
  std::stable_sort(found.begin(), found.end(), [](const StateInfo& a, const StateInfo& b) {
    return std::pair(a.head, a.frozen_at) > std::pair(b.head, b.frozen_at);
  });
  return found;
}

std::vector<KeyRange> TableMender::lost_keys(StateId state) const {
  const auto found = lost_keys_.find(states_.all().at(state).version.get());
  return found == lost_keys_.end() ? std::vector<KeyRange>() : found->second;
}

Result<void> TableMender::walk_page(const PagePointer& pointer, std::uint8_t level,
                                    PageSet* seen,
                                    const See& see) const {
  if (seen != nullptr && !seen->emplace(pointer.page, pointer.copy).second) return {};
  TRY(const LoadedPage loaded, load_page(*space_.tree, pointer, level, superblock_.epoch));
  const PageView page(loaded.bytes.view());
  for (std::size_t i = 0; i < page.count(); ++i) {
    if (level > 0) {
      TRY_VOID(walk_page(page.child(i), static_cast<std::uint8_t>(level - 1), seen, see));
      continue;
    }
    const LeafEntry entry = page.leaf_entry(i);
    if (entry.value && see) see(entry.key, *entry.value);
  }
  return {};
}

Result<void> TableMender::walk(StateId state, const See& see) const {
  const TreeRoot& root = roots_.at(states_.all().at(state).version.get());
  if (root.pointer.absent()) return {};
  return walk_page(root.pointer, root.level, nullptr, see);
}

Result<void> TableMender::scan_page(const PagePointer& pointer, std::uint8_t level,
                                    const KeyRange& range,
                                    std::map<std::string, std::string>& into) const {
  TRY(const LoadedPage loaded, load_page(*space_.tree, pointer, level, superblock_.epoch));
  const PageView page(loaded.bytes.view());
  const std::size_t first = level > 0 ? page.child_for(range.from) : page.lower_bound(range.from);
  for (std::size_t i = first; i < page.count(); ++i) {
    if (range.to && (level == 0 || i > first) && page.key(i) >= *range.to) break;
    if (level > 0) {
      TRY_VOID(scan_page(page.child(i), static_cast<std::uint8_t>(level - 1), range, into));
      continue;
    }
    const LeafEntry entry = page.leaf_entry(i);
    if (entry.value) into.emplace(entry.key, *entry.value);
  }
  return {};
}

Result<std::map<std::string, std::string>> TableMender::scan(StateId state,
                                                             const KeyRange& range) const {
  std::map<std::string, std::string> found;
  const TreeRoot& root = roots_.at(states_.all().at(state).version.get());
  if (!root.pointer.absent()) TRY_VOID(scan_page(root.pointer, root.level, range, found));
  const auto changes = changes_.find(state);
  if (changes == changes_.end()) return found;
  for (const auto& [key, value] : changes->second.entries()) {
    if (!range.contains(key)) continue;
    if (value) found[key] = *value;
    else found.erase(key);
  }
  return found;
}

Result<void> TableMender::walk_all(const See& see) const {
  PageSet seen;
  for (const auto& [id, state] : states_.all()) {
    const TreeRoot& root = roots_.at(state.version.get());
    if (!root.pointer.absent()) TRY_VOID(walk_page(root.pointer, root.level, &seen, see));
  }
  return {};
}

Ticket TableMender::birth_in(StateId state) const {
  const StateInfo& info = states_.all().at(state).info;
  return info.head ? superblock_.merged_through : info.frozen_at;
}

void TableMender::change(StateId state, std::string key, MemoryTable::Value value) {
  changes_[state].set(std::move(key), std::move(value));
}

// ---- the end

Result<void> TableMender::add_changes() {
  for (const auto& [id, state] : states_.all()) {
    TreeRoot root = roots_.at(state.version.get());
    const auto changes = changes_.find(id);
    if (changes != changes_.end()) {
      const TreeChange change{root, &changes->second.entries(), birth_in(id), keep_all};
      TRY(root, merge_tree(space_, change));
    }
    final_roots_[id] = root;
  }
  return {};
}

// A page that is not younger than the parent must be the parent's as well: who gives it back
// follows from that. Where a parent was given other pages, its children get copies of theirs.
Result<void> TableMender::separate_states() {
  if (changes_.empty()) return {};
  std::vector<StateInfo> parents_first = states();
  std::reverse(parents_first.begin(), parents_first.end());
  for (const StateInfo& info : parents_first) {
    TreeRoot& root = final_roots_[info.id];
    if (info.parent == no_state || root.pointer.absent()) continue;
    const TreeRoot& parent = final_roots_.at(info.parent);
    PageSet pages;
    if (!parent.pointer.absent())
      TRY_VOID(walk_page(parent.pointer, parent.level, &pages, {}));
    TRY(root.pointer, separate(root.pointer, root.level, pages, states_.frozen_at(info.parent),
                               birth_in(info.id)));
  }
  return {};
}

Result<PagePointer> TableMender::separate(const PagePointer& pointer, std::uint8_t level,
                                          const PageSet& parents, Ticket after, Ticket birth) {
  const bool old = pointer.birth <= after;
  if (old && parents.contains(pointer.page)) return pointer;
  if (!old && level == 0) return pointer;
  TRY(const LoadedPage loaded, load_page(*space_.tree, pointer, level, superblock_.epoch));
  const PageView page(loaded.bytes.view());
  std::vector<LeafEntry> leaf;
  std::vector<InnerEntry> inner;
  bool changed = old;
  for (std::size_t i = 0; i < page.count(); ++i) {
    if (level == 0) {
      leaf.push_back(page.leaf_entry(i));
      continue;
    }
    TRY(const PagePointer child, separate(page.child(i), static_cast<std::uint8_t>(level - 1),
                                          parents, after, birth));
    changed = changed || !(child == page.child(i));
    inner.push_back({std::string(page.key(i)), child});
  }
  if (!changed) return pointer;
  PagePointer copy = space_.allocate(pointer.copy != 0, old ? birth : pointer.birth);
  const PageIdentity identity{copy.page, copy.birth, superblock_.epoch};
  TRY_VOID(space_.write(copy, level == 0 ? build_leaf(leaf, 0, identity)
                                         : build_inner(inner, level, identity)));
  return copy;
}

// Counts the data that records refer to; the rest of each segment is dead.
Result<MemoryTable::Map> TableMender::own_records() {
  std::vector<DeadRange> used;
  std::optional<Error> unreadable;
  PageSet seen;
  auto see = [&](std::string_view key, std::string_view value) {
    if (find_data_ == nullptr) return;
    auto data = find_data_(key, value);
    if (!data) unreadable = data.error();
    else if (data->blocks != 0)
      used.push_back({data->first.segment, data->first.block, data->blocks});
  };
  for (const auto& [id, root] : final_roots_) {
    if (!root.pointer.absent()) TRY_VOID(walk_page(root.pointer, root.level, &seen, see));
  }
  if (unreadable) return *unreadable;
  std::map<std::uint32_t, std::vector<DeadRange>> live;
  for (const DeadRange& range : join_ranges(std::move(used))) live[range.segment].push_back(range);
  MemoryTable::Map own;
  std::vector<DeadRange> dead;
  for (const auto& [segment, ranges] : live) {
    std::uint64_t count = 0;
    std::uint32_t at = 0;
    for (const DeadRange& range : ranges) {
      if (range.block > at) dead.push_back({segment, at, range.block - at});
      at = range.block + range.count;
      count += range.count;
    }
    own[own::segment_key(segment)] = own::encode_live(count);
    auto file = directory_.open(layout::segment(segment), OpenMode::read);
    if (!file) continue;
    TRY(const std::uint64_t size, (*file)->size());
    const auto blocks = static_cast<std::uint32_t>(size / data_block_size);
    if (blocks > at) dead.push_back({segment, at, blocks - at});
  }
  std::erase_if(dead, [](const DeadRange& range) { return range.segment == lost_segment; });
  for (auto& [key, value] : own::encode_dead(superblock_.merged_through, dead))
    own[key] = std::move(value);
  for (const auto& [id, state] : states_.all())
    own[own::state_key(id)] = own::encode_state(state.info, final_roots_.at(id));
  return own;
}

Result<void> TableMender::write_new_bitmap(const PageSet& in_use) {
  std::set<std::uint32_t> pages;
  for (const auto& [page, copy] : in_use) {
    pages.insert(page);
    pages.insert(copy);
  }
  for (std::uint32_t page = 1; page < space_.allocator.page_count(); ++page) {
    if (!pages.contains(page)) space_.allocator.release(page);
  }
  TRY(superblock_.bitmap, write_bitmap(space_, {}, superblock_.merged_through));
  superblock_.page_count = space_.allocator.page_count();
  return {};
}

Result<void> TableMender::finish() {
  TRY_VOID(add_changes());
  TRY_VOID(separate_states());
  TRY(const MemoryTable::Map own, own_records());
  const TreeChange change{{}, &own, superblock_.merged_through};
  TRY(superblock_.meta, merge_tree(space_, change));
  PageSet in_use;
  for (const auto& [id, root] : final_roots_) {
    if (!root.pointer.absent()) TRY_VOID(walk_page(root.pointer, root.level, &in_use, {}));
  }
  TRY_VOID(walk_page(superblock_.meta.pointer, superblock_.meta.level, &in_use, {}));
  TRY_VOID(write_new_bitmap(in_use));
  ++superblock_.generation;
  superblock_.durable_through = superblock_.merged_through;
  TRY_VOID(space_.tree->sync());
  TRY_VOID(directory_.sync());
  return write_superblock(*superblock_file_, superblock_);
}

}  // namespace rowan::cache
