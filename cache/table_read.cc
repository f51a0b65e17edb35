// Reading a state. The newest word on a key is in the head's active memory table, then in the
// versions that have no tree yet, from the newest down, then in the tree.
#include <algorithm>
#include <cstring>
#include <utility>

#include "cache/digest.h"
#include "cache/layout.h"
#include "cache/table_impl.h"
#include "rpc/base/check.h"

namespace rowan::cache {

Result<const State*> TableImpl::visible(StateId state) const {
  if (const State* found = states_.find(state)) return found;
  return Error(Errc::stale, directory_.path() + " has no state " +
                                std::to_string(to_number(state)) + "; it may have been dropped");
}

Result<std::string_view> TableImpl::get(StateId state, std::string_view key) {
  TRY(const State* found, visible(state));
  pages_.trim();
  const MemoryTable::Value* value = found->active ? found->active->find(key) : nullptr;
  const Version* version = found->version.get();
  for (; value == nullptr && !version->root; version = version->below.get())
    value = version->changes->find(key);
  if (value == nullptr) return get_from_tree(*version->root, key);
  if (!*value) return Errc::not_found;
  return std::string_view(**value);
}

Result<std::string_view> TableImpl::get_from_tree(const TreeRoot& root, std::string_view key) {
  if (root.pointer.absent()) return Errc::not_found;
  auto leaf = find_leaf(pages_, root, key);
  if (leaf.failed_with(Errc::needs_load)) wanted_page_ = pages_.wanted();
  if (!leaf) return std::move(leaf).error();
  const std::size_t index = leaf->page.lower_bound(key);
  if (index < leaf->page.count()) {
    const LeafEntry entry = leaf->page.leaf_entry(index);
    if (entry.key == key) {
      if (!entry.value) return Errc::not_found;
      return *entry.value;
    }
  }
  if (leaf->page.lost_base()) return lost_base_error(pages_.wanted().pointer);
  return Errc::not_found;
}

// All sources side by side; of equal keys the newest counts.
class MergedWalk {
 public:
  MergedWalk(TableImpl& table, const State& state, std::string_view from, std::string_view to)
      : table_(table), to_(to), tree_from_(from) {
    if (state.active) add(*state.active, from);
    const Version* version = state.version.get();
    for (; !version->root; version = version->below.get()) add(*version->changes, from);
    root_ = *version->root;
    tree_done_ = root_.pointer.absent();
  }

  Result<void> run(EntryVisitor visitor) {
    while (true) {
      TRY_VOID(fill_tree());
      const auto key = smallest();
      if (!key || *key >= to_) return {};
      const auto value = pass(*key);
      if (!value) continue;
      TRY(const bool more, visitor(*key, *value));
      if (!more) return {};
    }
  }

 private:
  struct Source {
    MemoryTable::Map::const_iterator at, end;
  };

  void add(const MemoryTable& memory, std::string_view from) {
    const Source source{memory.entries().lower_bound(from), memory.entries().end()};
    if (source.at != source.end) sources_.push_back(source);
  }

  // Makes leaf_ hold the tree's next entry, or finds that there is none.
  Result<void> fill_tree() {
    while (!tree_done_ && (!leaf_ || index_ == leaf_->page.count())) {
      if (leaf_) {
        tree_done_ = !leaf_->upper || *leaf_->upper >= to_;
        if (tree_done_) return {};
        tree_from_ = *leaf_->upper;
        leaf_.reset();
        table_.pages_.trim();
      }
      auto leaf = find_leaf(table_.pages_, root_, tree_from_);
      if (leaf.failed_with(Errc::needs_load)) table_.wanted_page_ = table_.pages_.wanted();
      if (!leaf) return std::move(leaf).error();
      if (leaf->page.lost_base()) return lost_base_error(table_.pages_.wanted().pointer);
      leaf_ = *leaf;
      index_ = leaf_->page.lower_bound(tree_from_);
    }
    return {};
  }

  std::optional<std::string_view> smallest() const {
    std::optional<std::string_view> key;
    auto consider = [&](std::string_view candidate) {
      if (!key || candidate < *key) key = candidate;
    };
    for (const Source& source : sources_) {
      if (source.at != source.end) consider(source.at->first);
    }
    if (!tree_done_) consider(leaf_->page.key(index_));
    return key;
  }

  // The newest value of `key`, past which all sources are moved; nothing if it is erased. `key` may
  // be one source's: what it shows stays where it is in a map or a page.
  std::optional<std::string_view> pass(std::string_view key) {
    std::optional<std::string_view> newest;
    bool decided = false;
    for (Source& source : sources_) {
      if (source.at == source.end || source.at->first != key) continue;
      if (!decided && source.at->second) newest = *source.at->second;
      decided = true;
      ++source.at;
    }
    if (!tree_done_ && leaf_->page.key(index_) == key) {
      if (!decided) newest = leaf_->page.leaf_entry(index_).value;
      ++index_;
    }
    return newest;
  }

  TableImpl& table_;
  std::string_view to_;
  std::string tree_from_;
  TreeRoot root_;
  bool tree_done_ = false;
  std::optional<FoundLeaf> leaf_;
  std::size_t index_ = 0;
  std::vector<Source> sources_;   // newest first
};

Result<void> TableImpl::visit(StateId state, std::string_view from, std::string_view to,
                              EntryVisitor visitor) {
  TRY(const State* found, visible(state));
  pages_.trim();
  return MergedWalk(*this, *found, std::max(from, own::end_key), to).run(visitor);
}

bool TableImpl::copy_pending(const DataPointer& first, ByteSpan into) const {
  for (std::size_t at = 0; at < into.size(); at += data_block_size) {
    const auto block = static_cast<std::uint32_t>(first.block + at / data_block_size);
    const ByteView bytes = journal_.find(first.segment, block);
    if (bytes.empty()) return false;
    std::memcpy(into.data() + at, bytes.data(), data_block_size);
  }
  return true;
}

Result<void> TableImpl::verify(const DataPointer& first, std::span<const std::uint64_t> sums,
                               ByteView bytes) const {
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const std::size_t at = i * data_block_size;
    const bool there = at + data_block_size <= bytes.size();
    if (there && checksum64(bytes.subspan(at, data_block_size)) == sums[i]) continue;
    return Error(Errc::corrupt,
                 directory_.path() + "/" + layout::segment(first.segment) + ", offset " +
                     std::to_string((std::uint64_t{first.block} + i) * data_block_size) +
                     (there ? ": wrong checksum" : ": the file ends before it"));
  }
  return {};
}

Result<void> TableImpl::read_data(DataPointer first, std::span<const std::uint64_t> sums,
                                  ByteSpan into) {
  CHECK_EQ(into.size(), sums.size() * data_block_size);
  if (into.empty() || copy_pending(first, into)) return {};
  const WantedData wanted{first, static_cast<std::uint32_t>(sums.size())};
  if (const Result<Buffer>* loaded = loaded_.find(wanted)) {
    if (!*loaded) return loaded->error();
    TRY_VOID(verify(first, sums, (*loaded)->view()));
    std::memcpy(into.data(), (*loaded)->data(), into.size());
    return {};
  }
  if (const SharedFile file = files_.find(first.segment)) {
    auto got = file->read_cached(std::uint64_t{first.block} * data_block_size, into);
    if (got) return verify(first, sums, into.first(*got));
  }
  wanted_data_ = wanted;
  return Errc::needs_load;
}

}  // namespace rowan::cache
