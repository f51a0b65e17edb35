// Making a table's files, and opening them: the superblock, the meta tree with the states, the
// journal replayed over both, and what an interrupted life left put right.
#include <utility>

#include "cache/layout.h"
#include "cache/table_impl.h"
#include "rpc/base/check.h"
#include "rpc/base/random.h"

namespace rowan::cache {
namespace {

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

}  // namespace

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
  auto own = own::load(*parts.tree, parts.superblock.meta, parts.superblock.epoch);
  if (!own) return Error(own.error().code, directory.path() + "/" + own.error().detail);
  parts.own = std::move(*own);
  parts.states = own::make_states(parts.own);
  TRY(parts.recovered, recover_journal(directory, parts.superblock, parts.states));
  TRY_VOID(settle_journal(directory, parts.recovered, parts.superblock.replay.segment));
  if (!found.healthy) TRY_VOID(write_superblock(*parts.superblock_file, parts.superblock));
  TRY(parts.reserve_present, find_reserve(directory, options));
  parts.life = random_number();
  return parts;
}

Result<std::unique_ptr<TableImpl>> open_table(Directory& directory, const TableOptions& options) {
  CHECK_LE(2 * max_batch_data_bytes, options.segment_bytes);
  TRY(TableParts parts, open_parts(directory, options));
  return std::make_unique<TableImpl>(directory, options, std::move(parts));
}

Result<std::unique_ptr<TableImpl>> create_table(Directory& directory, const TableOptions& options) {
  {
    TRY(const auto lock, directory.lock(layout::lock));
    TRY_VOID(make_files(directory));
  }
  return open_table(directory, options);
}

Result<std::unique_ptr<VersionedTable>> VersionedTable::create(Directory& directory,
                                                               const TableOptions& options) {
  TRY(auto table, create_table(directory, options));
  return std::unique_ptr<VersionedTable>(std::move(table));
}

Result<std::unique_ptr<VersionedTable>> VersionedTable::open(Directory& directory,
                                                             const TableOptions& options) {
  TRY(auto table, open_table(directory, options));
  return std::unique_ptr<VersionedTable>(std::move(table));
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
      states_(std::move(parts.states)),
      ledger_(std::move(parts.recovered.ledger)),
      live_(std::move(parts.own.live)),
      segments_(parts.recovered.segments.begin(), parts.recovered.segments.end()),
      to_punch_(std::move(parts.own.dead)),
      punch_keys_(std::move(parts.own.dead_keys)),
      applied_(parts.recovered.last),
      written_(applied_),
      synced_(applied_),
      wanted_(applied_),
      space_(directory, options.reserve_bytes, parts.reserve_present) {
  // A table without a meta tree has a first state that is not stored.
  for (auto& [id, state] : parts.own.states) {
    if (!state.record.empty()) stored_states_.emplace(id, std::move(state.record));
  }
  count_live();
  cleanup_due_ = !to_punch_.empty() || !segments_.empty();
}

}  // namespace rowan::cache
