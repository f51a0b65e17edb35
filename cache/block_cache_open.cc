// Opening: the index is read in one pass, in large pieces. What it says about the data is believed
// until a read finds otherwise.
#include <algorithm>

#include "cache/block_cache_impl.h"
#include "rpc/base/log.h"

namespace rowan::cache {
namespace {

constexpr std::size_t piece_bytes = 4u << 20;

}  // namespace

Result<std::unique_ptr<BlockCache>> BlockCache::open(Directory& directory,
                                                     const BlockCacheOptions& options) {
  TRY(std::unique_ptr<File> lock, directory.lock(lock_file_name));
  auto cache = std::make_unique<BlockCacheImpl>(directory, options, std::move(lock));
  TRY_VOID(cache->open_files());
  return std::unique_ptr<BlockCache>(std::move(cache));
}

Result<void> BlockCacheImpl::open_files() {
  Result<void> stale = directory_.remove(new_index_file_name);
  if (!stale && !stale.failed_with(Errc::not_found)) return stale;
  TRY(std::unique_ptr<File> blocks, directory_.open(blocks_file_name, OpenMode::create));
  TRY(std::unique_ptr<File> index, directory_.open(index_file_name, OpenMode::create));
  blocks_ = std::move(blocks);
  index_file_ = std::move(index);
  TRY_VOID(replay());
  TRY(std::uint64_t slab_bytes, blocks_->size());
  can_punch_ = blocks_->punch(round_up(slab_bytes, unit_size), unit_size).has_value();
  for (Slot slot = 0; slot < index_.slots(); ++slot) {
    if (!index_[slot].used()) {
      free_.push_back(slot);
      continue;
    }
    set_slot_blocks(slot, blocks_of(index_[slot].length()));
    eviction_.insert_main(slot);
  }
  return settle_space();
}

Result<void> BlockCacheImpl::replay() {
  TRY(std::uint64_t size, index_file_->size());
  TRY(std::uint64_t slab_bytes, blocks_->size());
  std::uint64_t slots_on_disk = (slab_bytes + unit_size - 1) / unit_size;
  std::vector<std::byte> piece(
      std::min<std::uint64_t>(round_up(size + 1, log_record_bytes), piece_bytes));
  std::uint64_t damaged = 0;
  for (std::uint64_t offset = 0; offset + log_record_bytes <= size;) {
    Result<std::size_t> got = index_file_->read_at(offset, piece);
    std::size_t records = got ? *got / log_record_bytes : 0;
    if (records == 0) {
      log(Level::warn, "block_cache.index_unreadable",
          {{"directory", directory_.path()}, {"remedy", "starting with an empty cache"}});
      return start_afresh();
    }
    for (std::size_t i = 0; i < records; ++i, offset += log_record_bytes) {
      const std::byte* bytes = piece.data() + i * log_record_bytes;
      if (offset == 0) {
        if (!valid_block_log_header(bytes)) return start_afresh();
        continue;
      }
      if (auto record = BlockLogRecord::decode(bytes)) replay_record(*record, slots_on_disk);
      else ++damaged;
    }
  }
  if (size < log_record_bytes) return start_afresh();
  log_records_ = size / log_record_bytes - 1;
  counts_.damaged += damaged;
  if (damaged > 0) {
    log(Level::warn, "block_cache.index_damaged",
        {{"directory", directory_.path()}, {"records", damaged},
         {"remedy", "skipped; what they named is fetched again"}});
  }
  return {};
}

// A slot beyond the end of the slab has no data: it never arrived.
void BlockCacheImpl::replay_record(const BlockLogRecord& record, std::uint64_t slots_on_disk) {
  using Kind = BlockLogRecord::Kind;
  if (record.kind == Kind::drop_version || record.kind == Kind::drop_object) {
    for (Slot slot = 0; slot < index_.slots(); ++slot) {
      if (!index_[slot].used()) continue;
      BlockKey key = index_.key(slot);
      bool object_matches = record.kind == Kind::drop_version || key.object == record.key.object;
      if (key.version == record.key.version && object_matches) index_.erase(slot);
    }
    return;
  }
  if (record.slot < index_.slots() && index_[record.slot].used()) index_.erase(record.slot);
  if (record.kind == Kind::erase || record.slot >= slots_on_disk) return;
  Slot other = index_.find(record.key);
  if (other != UnitIndex::no_slot) index_.erase(other);
  index_.grow(std::max(index_.slots(), record.slot + 1));
  // false: too many versions, left out
  index_.insert(record.slot, record.key, record.length, record.sums);
}

// Neither file is trusted: both start empty.
Result<void> BlockCacheImpl::start_afresh() {
  index_ = UnitIndex();
  log_records_ = 0;
  TRY_VOID(index_file_->truncate(0));
  TRY_VOID(blocks_->truncate(0));
  std::byte header[log_record_bytes];
  encode_block_log_header(header);
  Result<void> written = index_file_->write_at(0, header);
  // A full disk does not keep anybody from starting. Records follow the missing header and the next
  // open starts afresh again.
  if (!written && !written.failed_with(Errc::no_space)) return written;
  return {};
}

// Gives back what nobody refers to, and what a smaller limit than the last one leaves no room for.
Result<void> BlockCacheImpl::settle_space() {
  TRY(std::uint64_t size, blocks_->size());
  std::uint64_t over = blocks_used_ * sum_block + index_reserve_bytes();
  while (over > options_.limit_bytes && index_.units() > 0) {
    Slot slot = evict();
    release(slot);
    log_erase(slot);
    over = blocks_used_ * sum_block + index_reserve_bytes();
  }
  Result<std::uint64_t> allocated = blocks_->allocated_bytes();
  if (can_punch_ && allocated && *allocated > blocks_used_ * sum_block) {
    for (Slot slot : free_) holes_.push_back({slot, 0, sums_per_unit, false});
    free_.clear();
    if (size > offset_after_slots()) TRY_VOID(blocks_->truncate(offset_after_slots()));
  }
  if (std::unique_ptr<Job> job = next_job()) {
    job->run();
    complete(std::move(job));
  }
  return {};
}

}  // namespace rowan::cache
