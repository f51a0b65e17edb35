#include "cache/table_jobs.h"

#include <utility>

#include "cache/layout.h"
#include "cache/table_own.h"

namespace rowan::cache {

void LoadJob::run() noexcept {
  if (page) {
    loaded_page = load_page(*tree, page->pointer, page->level, epoch);
    return;
  }
  if (!segment) {
    auto opened = directory->open(layout::segment(data->first.segment), OpenMode::write);
    if (!opened) {
      // "Not found" would mean that there never was such data.
      loaded_data = opened.failed_with(Errc::not_found)
                        ? Error(Errc::corrupt, opened.error().detail + " is missing; restore it")
                        : std::move(opened).error();
      return;
    }
    segment = std::move(*opened);
  }
  Buffer bytes(std::size_t{data->blocks} * data_block_size);
  auto got = segment->read_at(std::uint64_t{data->first.block} * data_block_size, bytes.span());
  if (!got) {
    loaded_data = std::move(got).error();
    return;
  }
  bytes.resize_within(*got);
  loaded_data = std::move(bytes);
}

bool ReserveUse::make_room() {
  if (used_) return false;
  used_ = true;
  // Another job may have been faster; then there is room already. Synced, as file systems give a
  // file's blocks back when its removal is committed.
  if (directory_->remove(layout::reserve)) (void)directory_->sync();
  return true;
}

void WriteJob::run() noexcept {
  written = write();
  if (written && sync) synced = sync_all();
}

Result<void> WriteJob::write() {
  if (!group) return {};
  if (!segment) {
    const std::string name = layout::segment(group->header.segment);
    auto opened = directory->open(name, OpenMode::create);
    if (opened.failed_with(Errc::no_space) && reserve.make_room())
      opened = directory->open(name, OpenMode::create);
    TRY(segment, std::move(opened));
    dirty_names = true;
  }
  return write_group(*group, *segment, previous, durable_through,
                     [this] { return reserve.make_room(); });
}

Result<void> WriteJob::sync_all() {
  for (const SharedFile& file : dirty) {
    if (file != segment) TRY_VOID(file->sync());
  }
  if (segment) TRY_VOID(segment->sync());
  // After the file: a name that leads to less than was written would look like damage.
  if (dirty_names) TRY_VOID(directory->sync());
  return {};
}

void MergeJob::run() noexcept {
  outcome = sync_dirty();
  sync_failed = !outcome;
  if (outcome) outcome = merge();
  if (!outcome) return;
  outcome = finish();
  sync_failed = !outcome;
}

Result<void> MergeJob::sync_dirty() {
  for (const auto& [number, file] : dirty) TRY_VOID(file->sync());
  if (names != nullptr) TRY_VOID(names->sync());
  return {};
}

Result<void> MergeJob::merge() {
  space.make_room = [this] { return reserve.make_room(); };
  TRY_VOID(merge_steps());
  add_states();
  const Ticket through = superblock.merged_through;
  TRY(superblock.meta, merge_tree(space, {superblock.meta, &own, through}));
  for (const PagePointer& page : unused_pages) space.give_back(page);
  TRY(superblock.bitmap, write_bitmap(space, superblock.bitmap, through));
  superblock.page_count = space.allocator.page_count();
  return {};
}

Result<void> MergeJob::merge_steps() {
  for (Step& step : steps) {
    if (step.below) step.root = steps[*step.below].root;
    TreeChange change{step.root, &step.changes->entries(), step.changes->last, step.keep};
    change.kept = &step.kept;
    TRY(step.root, merge_tree(space, change));
  }
  return {};
}

void MergeJob::add_states() {
  StoredStates planned;
  for (const PlannedState& state : states) {
    const TreeRoot root = state.step ? steps[*state.step].root : state.root;
    std::string record = own::encode_state(state.info, root);
    const auto before = stored.find(state.info.id);
    if (before == stored.end() || before->second != record)
      own[own::state_key(state.info.id)] = record;
    planned.emplace(state.info.id, std::move(record));
  }
  for (const auto& [id, record] : stored) {
    if (!planned.contains(id)) own[own::state_key(id)] = std::nullopt;
  }
  stored = std::move(planned);
}

Result<void> MergeJob::finish() {
  TRY_VOID(space.tree->sync());
  return write_superblock(*superblock_file, superblock);
}

void CleanupJob::run() noexcept {
  for (const std::uint32_t segment : segments) {
    auto removed = directory->remove(layout::segment(segment));
    if (!removed && !removed.failed_with(Errc::not_found)) ++failures;
  }
  // Their room comes back when the removal is committed.
  if (!segments.empty()) synced = directory->sync();
  std::unique_ptr<File> file;
  std::uint32_t opened = 0;
  for (const DeadRange& range : ranges) {
    if (!file || opened != range.segment) {
      auto next = directory->open(layout::segment(range.segment), OpenMode::write);
      if (!next) {
        if (!next.failed_with(Errc::not_found)) ++failures;
        file.reset();
        continue;
      }
      file = std::move(*next);
      opened = range.segment;
    }
    auto punched = file->punch(std::uint64_t{range.block} * data_block_size,
                               std::uint64_t{range.count} * data_block_size);
    // A file system without holes keeps the space until the whole segment is dead.
    if (!punched && !punched.failed_with(Errc::not_supported)) ++failures;
  }
}

Result<void> ReserveJob::make(Directory& directory, std::uint64_t bytes) {
  TRY(const auto file, directory.open(layout::reserve, OpenMode::create));
  auto allocated = file->allocate(bytes);
  if (!allocated) (void)directory.remove(layout::reserve);
  return allocated;
}

}  // namespace rowan::cache
