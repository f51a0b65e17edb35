#include "cache/table_jobs.h"

#include "cache/layout.h"

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
  // Another job may have been faster; then there is room already.
  (void)directory_->remove(layout::reserve);
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
  auto synced = sync_dirty();
  if (!synced) {
    sync_failed = true;
    outcome = std::move(synced).error();
    return;
  }
  input.own = &own;
  input.edits = &memory->entries();
  input.make_room = [this] { return reserve.make_room(); };
  const SharedFile tree = input.tree;
  outcome = merge(std::move(input));
  if (!*outcome) return;
  auto finished = tree->sync();
  if (finished) finished = finish(**outcome);
  if (finished) return;
  sync_failed = true;
  outcome = std::move(finished).error();
}

Result<void> MergeJob::sync_dirty() {
  for (const auto& [number, file] : dirty) TRY_VOID(file->sync());
  if (names != nullptr) TRY_VOID(names->sync());
  return {};
}

Result<void> MergeJob::finish(const MergeOutcome& merged) {
  superblock.root = merged.root;
  superblock.bitmap = merged.bitmap;
  superblock.page_count = merged.allocator.page_count();
  return write_superblock(*superblock_file, superblock);
}

void CleanupJob::run() noexcept {
  for (const std::uint32_t segment : segments) {
    auto removed = directory->remove(layout::segment(segment));
    if (!removed && !removed.failed_with(Errc::not_found)) ++failures;
  }
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
