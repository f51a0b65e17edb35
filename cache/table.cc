// Opening, reading and applying. The newest word on a key is in the active memory table, then in
// the frozen one, then in the tree.
#include "cache/table.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

#include "cache/digest.h"
#include "cache/disk_codec.h"
#include "cache/layout.h"
#include "cache/table_impl.h"
#include "cache/table_own.h"
#include "rpc/base/check.h"

namespace rowan::cache {
namespace {

std::uint64_t random_number() {
  std::random_device device;
  const std::uint64_t high = device();
  return (high << 32 | device()) | 1;  // never zero: zero is what an empty block holds
}

Result<void> sync_new(Directory& directory, std::string_view name, const Superblock& superblock) {
  TRY(const auto file, directory.open(name, OpenMode::create));
  return write_superblock(*file, superblock);
}

// The superblock's name comes last: without it there is no table here, and create() may be
// repeated.
Result<void> make_files(Directory& directory) {
  TRY(const auto names, directory.list());
  for (const std::string& name : names) {
    if (name == layout::superblock || layout::parse_segment(name))
      return Error(Errc::exists, directory.path() + " holds a table already (" + name + ")");
  }
  TRY(const auto tree, directory.open(layout::tree, OpenMode::create));
  TRY_VOID(tree->truncate(0));
  TRY_VOID(tree->sync());
  Superblock superblock;
  superblock.epoch = random_number();
  superblock.generation = 1;
  TRY_VOID(sync_new(directory, layout::new_superblock, superblock));
  TRY_VOID(directory.rename(layout::new_superblock, layout::superblock));
  return directory.sync();
}

Error missing_is_damage(const Error& error) {
  return Error(error.code == Errc::not_found ? Errc::corrupt : error.code, error.detail);
}

// What was read may so far be in the page cache only, if the process died and not the machine. And
// nothing of the life before may be taken for a part of this one: what is behind the journal's end
// goes, durably, before anything new is written.
Result<void> settle_journal(Directory& directory, const Recovered& recovered,
                            std::uint32_t replay_from) {
  for (const std::uint32_t segment : recovered.segments) {
    if (segment < replay_from) continue;
    TRY(const auto file, directory.open(layout::segment(segment), OpenMode::write));
    for (const FoundGroup& group : recovered.repaired) {
      if (group.header.segment == segment) TRY_VOID(heal_group(*file, group));
    }
    if (segment == recovered.end.segment && recovered.torn_tail)
      TRY_VOID(file->truncate(std::uint64_t{recovered.end.block} * data_block_size));
    TRY_VOID(file->sync());
  }
  for (const std::uint32_t segment : recovered.garbage)
    TRY_VOID(directory.remove(layout::segment(segment)));
  return directory.sync();
}

Result<bool> find_reserve(Directory& directory, const TableOptions& options) {
  auto file = directory.open(layout::reserve, OpenMode::read);
  if (file.failed_with(Errc::not_found)) return false;
  if (!file) return std::move(file).error();
  TRY(const std::uint64_t size, (*file)->size());
  return size >= options.reserve_bytes;
}

Result<TableParts> open_parts(Directory& directory, const TableOptions& options) {
  TableParts parts;
  TRY(parts.lock, directory.lock(layout::lock));
  TRY(parts.superblock_file, directory.open(layout::superblock, OpenMode::write));
  auto tree = directory.open(layout::tree, OpenMode::write);
  if (!tree) return missing_is_damage(tree.error());
  parts.tree = std::move(*tree);
  TRY(FoundSuperblock found, read_superblock(*parts.superblock_file, directory.path()));
  parts.superblock = std::move(found.superblock);
  auto bitmap = load_bitmap(*parts.tree, parts.superblock.bitmap, parts.superblock.page_count,
                            parts.superblock.epoch);
  if (!bitmap) return Error(bitmap.error().code, directory.path() + "/" + bitmap.error().detail);
  parts.allocator = std::move(*bitmap);
  TRY(parts.recovered, recover_journal(directory, parts.superblock));
  TRY_VOID(settle_journal(directory, parts.recovered, parts.superblock.replay.segment));
  if (!found.healthy) TRY_VOID(write_superblock(*parts.superblock_file, parts.superblock));
  TRY(parts.reserve_present, find_reserve(directory, options));
  parts.life = random_number();
  return parts;
}

}  // namespace

Result<std::unique_ptr<Table>> Table::create(Directory& directory, const TableOptions& options) {
  {
    TRY(const auto lock, directory.lock(layout::lock));
    TRY_VOID(make_files(directory));
  }
  return open(directory, options);
}

Result<std::unique_ptr<Table>> Table::open(Directory& directory, const TableOptions& options) {
  CHECK_LE(2 * max_batch_data_bytes, options.segment_bytes);
  TRY(TableParts parts, open_parts(directory, options));
  auto table = std::make_unique<TableImpl>(directory, options, std::move(parts));
  TRY_VOID(table->load_own_records());
  return std::unique_ptr<Table>(std::move(table));
}

TableImpl::TableImpl(Directory& directory, const TableOptions& options, TableParts parts)
    : directory_(directory),
      options_(options),
      lock_(std::move(parts.lock)),
      superblock_file_(std::move(parts.superblock_file)),
      tree_(std::move(parts.tree)),
      superblock_(std::move(parts.superblock)),
      pages_(tree_, superblock_.epoch, options.page_cache_bytes),
      allocator_(std::move(parts.allocator)),
      journal_(superblock_.epoch, parts.life, options.segment_bytes, parts.recovered.next_segment,
               parts.recovered.end),
      active_(std::move(parts.recovered.memory)),
      segments_(parts.recovered.segments.begin(), parts.recovered.segments.end()),
      applied_(parts.recovered.last),
      written_(applied_),
      synced_(applied_),
      wanted_(applied_),
      space_(directory, options.reserve_bytes, parts.reserve_present) {}

Result<void> TableImpl::load_own_records() {
  own::Records records;
  std::string from(own::first_key);
  while (!superblock_.root.pointer.absent()) {
    auto leaf = find_leaf(pages_, superblock_.root, from);
    if (leaf.failed_with(Errc::needs_load)) {
      wanted_page_ = pages_.wanted();
      auto job = take_load();
      job->run();
      complete(std::move(job));
      continue;
    }
    if (!leaf) return Error(leaf.error().code, directory_.path() + "/" + leaf.error().detail);
    for (std::size_t i = leaf->page.lower_bound(from); i < leaf->page.count(); ++i) {
      const LeafEntry entry = leaf->page.leaf_entry(i);
      if (entry.key >= own::end_key) break;
      if (entry.value) TRY_VOID(own::decode(entry.key, *entry.value, records));
    }
    if (!leaf->upper || *leaf->upper >= own::end_key) break;
    from = *leaf->upper;
    pages_.trim();
  }
  live_ = std::move(records.live);
  to_punch_ = std::move(records.dead);
  punch_keys_ = std::move(records.dead_keys);
  cleanup_due_ = !to_punch_.empty() || !segments_.empty();
  return {};
}

// ---- reading

Result<std::string_view> TableImpl::get(std::string_view key) {
  pages_.trim();
  for (const MemoryTable* memory : {static_cast<const MemoryTable*>(active_.get()),
                                    static_cast<const MemoryTable*>(frozen_.get())}) {
    if (memory == nullptr) continue;
    const MemoryTable::Value* value = memory->find(key);
    if (value == nullptr) continue;
    if (!*value) return Errc::not_found;
    return std::string_view(**value);
  }
  return get_from_tree(key);
}

Result<std::string_view> TableImpl::get_from_tree(std::string_view key) {
  if (superblock_.root.pointer.absent()) return Errc::not_found;
  auto leaf = find_leaf(pages_, superblock_.root, key);
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

// The three sources side by side; of equal keys the newest counts.
class MergedScan {
 public:
  MergedScan(TableImpl& table, std::string_view from, std::string_view to)
      : table_(table), to_(to), tree_from_(from) {
    tree_done_ = table.superblock_.root.pointer.absent();
    active_ = table.active_->entries().lower_bound(from);
    active_end_ = table.active_->entries().end();
    static const MemoryTable::Map none;
    const MemoryTable::Map& frozen = table.frozen_ ? table.frozen_->entries() : none;
    frozen_ = frozen.lower_bound(from);
    frozen_end_ = frozen.end();
  }

  Result<std::vector<TableEntry>> run(std::size_t limit) {
    std::vector<TableEntry> found;
    while (found.size() < limit) {
      TRY_VOID(fill_tree());
      const auto key = smallest();
      if (!key || *key >= to_) break;
      auto value = take(*key);
      if (value) found.push_back(std::move(*value));
    }
    return found;
  }

 private:
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
      auto leaf = find_leaf(table_.pages_, table_.superblock_.root, tree_from_);
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
    if (active_ != active_end_) consider(active_->first);
    if (frozen_ != frozen_end_) consider(frozen_->first);
    if (!tree_done_) consider(leaf_->page.key(index_));
    return key;
  }

  // The newest value of `key`, past which all sources are moved; nothing if it is erased.
  std::optional<TableEntry> take(std::string_view key) {
    std::optional<TableEntry> entry;
    bool decided = false;
    auto offer = [&](const std::optional<std::string_view>& value) {
      if (!decided && value) entry = TableEntry{std::string(key), std::string(*value)};
      decided = true;
    };
    auto view = [](const MemoryTable::Value& value) {
      return value ? std::optional<std::string_view>(*value) : std::nullopt;
    };
    const bool in_active = active_ != active_end_ && active_->first == key;
    const bool in_frozen = frozen_ != frozen_end_ && frozen_->first == key;
    const bool in_tree = !tree_done_ && leaf_->page.key(index_) == key;
    if (in_active) offer(view(active_->second));
    if (in_frozen) offer(view(frozen_->second));
    if (in_tree) offer(leaf_->page.leaf_entry(index_).value);
    if (in_active) ++active_;
    if (in_frozen) ++frozen_;
    if (in_tree) ++index_;
    return entry;
  }

  TableImpl& table_;
  std::string_view to_;
  std::string tree_from_;
  bool tree_done_ = false;
  std::optional<FoundLeaf> leaf_;
  std::size_t index_ = 0;
  MemoryTable::Map::const_iterator active_, active_end_, frozen_, frozen_end_;
};

Result<std::vector<TableEntry>> TableImpl::scan(std::string_view from, std::string_view to,
                                                std::size_t limit) {
  pages_.trim();
  return MergedScan(*this, std::max(from, own::end_key), to).run(limit);
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

// ---- applying

Result<void> TableImpl::check(const Batch& batch) const {
  if (failure_) return *failure_;
  if (closing_) return Error(Errc::read_only, directory_.path() + " is being closed");
  if (batch.edit_count() == 0) return Error(Errc::invalid, "a batch without edits");
  if (batch.edit_count() > max_batch_edits || batch.data_bytes() > max_batch_data_bytes)
    return Error(Errc::too_big, "a batch of " + std::to_string(batch.edit_count()) + " edits and " +
                                    std::to_string(batch.data_bytes()) + " bytes");
  for (const Batch::Edit& edit : batch.edits()) {
    if (edit.kind == Batch::Edit::Kind::release) continue;
    if (edit.key.empty() || edit.key[0] == '\0') return Error(Errc::invalid, "a reserved key");
    if (edit.key.size() > max_key_bytes || edit.value.size() > max_value_bytes)
      return Error(Errc::too_big, "a key or value that is too long");
  }
  return {};
}

Result<void> TableImpl::admit(std::uint64_t bytes, const Batch& batch) {
  const std::uint64_t pending = journal_.pending_bytes();
  if (pending != 0 && pending + bytes > options_.pending_bytes) {
    wanted_ = std::max(wanted_, applied_);  // else little might be waiting for ever, and in the way
    return Error(Errc::try_later, "too much is not written yet");
  }
  if (frozen_ && active_->bytes() >= 2 * options_.memory_table_bytes)
    return Error(Errc::try_later, "the last merge is not over yet");
  if (write_stall_.error()) {
    write_stall_.poke();
    return Error(Errc::no_space, write_stall_.error()->detail);
  }
  TRY_VOID(space_.admit(pending + bytes, batch.frees_space, batch.opens_store));
  space_.took(bytes);
  return {};
}

Result<Ticket> TableImpl::apply(Batch& batch) {
  TRY_VOID(check(batch));
  std::size_t edits_bytes = 5;
  for (const Batch::Edit& edit : batch.edits()) edits_bytes += encoded_size(edit);
  // Head and copy round up to a block each.
  TRY_VOID(admit(batch.data_bytes() + 2 * edits_bytes + 2 * data_block_size, batch));
  const auto blocks = static_cast<std::uint32_t>(batch.data_bytes() / data_block_size);
  const DataPointer first = journal_.open_for(blocks, edits_bytes, options_.pending_bytes);
  take_spent();
  segments_.insert(first.segment);
  take(batch, first);
  if (freeze_due()) freeze();
  return applied_;
}

void TableImpl::take(Batch& batch, DataPointer first) {
  first.birth = ++applied_;
  auto final_pointer = [&](DataPointer pointer) {
    if (!Batch::is_provisional(pointer)) return pointer;
    return DataPointer{first.segment, first.block + pointer.block, first.birth};
  };
  edits_.clear();
  encode_batch_start(edits_, static_cast<std::uint32_t>(batch.edits_.size()));
  for (Batch::Edit& edit : batch.edits_) {
    edit.released = final_pointer(edit.released);
    if (edit.pointer_at != Batch::no_pointer) {
      auto* at = reinterpret_cast<std::byte*>(edit.value.data()) + edit.pointer_at;
      final_pointer(DataPointer::decode(at)).encode(at);
    }
    encode_edit(edits_, edit);
  }
  active_->last = applied_;
  active_->add_written(first.segment, batch.data_blocks_);
  journal_.add(applied_, edits_, std::move(batch.data_));
  for (Batch::Edit& edit : batch.edits_) {
    if (edit.kind == Batch::Edit::Kind::release) {
      active_->release(edit.released, edit.released_blocks);
    } else {
      const bool put = edit.kind == Batch::Edit::Kind::put;
      active_->set(std::move(edit.key),
                   put ? MemoryTable::Value(std::move(edit.value)) : MemoryTable::Value());
    }
  }
  batch.clear();
}

TableUsage TableImpl::usage() const {
  TableUsage usage;
  for (const auto& [segment, blocks] : live_) usage.live_data_blocks += blocks;
  std::int64_t change = 0;
  for (const MemoryTable* memory : {static_cast<const MemoryTable*>(active_.get()),
                                    static_cast<const MemoryTable*>(frozen_.get())}) {
    if (memory == nullptr) continue;
    usage.memory_bytes += memory->bytes();
    for (const auto& [segment, blocks] : memory->live_changes()) change += blocks;
    for (const DeadRange& range : memory->dead())
      usage.disk_bytes += std::uint64_t{range.count} * data_block_size;
  }
  usage.live_data_blocks = static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, static_cast<std::int64_t>(usage.live_data_blocks) + change));
  usage.tree_pages = allocator_.used_count();
  usage.segments = segments_.size();
  usage.memory_bytes += journal_.pending_bytes() + pages_.bytes();
  usage.disk_bytes += usage.live_data_blocks * data_block_size +
                      std::uint64_t{superblock_.page_count} * page_size + space_.reserved_bytes();
  return usage;
}

}  // namespace rowan::cache
