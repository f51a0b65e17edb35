// Making room, writing, and keeping the index file short.
#include <algorithm>
#include <cstring>

#include "cache/block_cache_impl.h"
#include "rpc/base/check.h"
#include "rpc/base/log.h"

namespace rowan::cache {
namespace {

constexpr std::size_t max_units_per_job = 64;         // 1 MiB
constexpr std::size_t max_evictions_per_offer = 64;
constexpr std::size_t slots_per_slice = 4096;         // of a compaction: 256 KiB at most
// Records that may come while an index is compacted, and records of one job: part of the reserve.
constexpr std::uint64_t record_slack = 512;
// An index that cannot be compacted (the disk is full) stops growing here: offers are refused.
constexpr std::uint64_t max_index_growth = 4;
constexpr std::uint64_t records_between_compactions = 1024;
constexpr std::uint64_t refusals_between_compactions = 64;

constexpr std::uint64_t offset_of(Slot slot) { return std::uint64_t{slot} * unit_size; }

void append_record(std::vector<std::byte>& bytes, const BlockLogRecord& record) {
  bytes.resize(bytes.size() + log_record_bytes);
  record.encode(bytes.data() + bytes.size() - log_record_bytes);
}

}  // namespace

void BlockWriteJob::run() noexcept {
  punch();
  write_units();
  append_log();
  if (compaction != Compaction::none) compact();
}

// Neighbouring slots that are given back become one hole.
void BlockWriteJob::punch() {
  std::sort(holes.begin(), holes.end(), [](const Hole& a, const Hole& b) {
    return std::pair(a.slot, a.first) < std::pair(b.slot, b.first);
  });
  for (std::size_t at = 0; at < holes.size();) {
    std::size_t end = at + 1;
    if (holes[at].first == 0) {
      while (end < holes.size() && holes[end].first == 0 &&
             holes[end].slot == holes[end - 1].slot + 1) {
        ++end;
      }
    }
    std::uint64_t from = offset_of(holes[at].slot) + std::uint64_t{holes[at].first} * sum_block;
    std::uint64_t to =
        offset_of(holes[end - 1].slot) + std::uint64_t{holes[end - 1].end} * sum_block;
    bool failed = !blocks_.punch(from, to - from);
    for (; at < end; ++at) holes[at].failed = failed;
  }
}

// Whole units in neighbouring slots go out in one call.
void BlockWriteJob::write_units() {
  std::sort(units.begin(), units.end(),
            [](const Unit& a, const Unit& b) { return a.record.slot < b.record.slot; });
  std::vector<ByteView> pieces;
  for (std::size_t at = 0; at < units.size();) {
    std::size_t end = at;
    pieces.clear();
    do {
      pieces.push_back(units[end].bytes);
      ++end;
    } while (end < units.size() && units[end - 1].bytes.size() == unit_size &&
             units[end].record.slot == units[end - 1].record.slot + 1);
    Result<void> done = blocks_.write_gather(offset_of(units[at].record.slot), pieces);
    if (!done && !first_failure) first_failure = done.error();
    for (; at < end; ++at) units[at].failed = !done;
  }
}

void BlockWriteJob::append_log() {
  for (const BlockLogRecord& record : records) append_record(log_bytes, record);
  for (const Unit& unit : units) {
    if (!unit.failed) append_record(log_bytes, unit.record);
  }
  if (log_bytes.empty()) return;
  log_result = index_.write_at(index_offset, log_bytes);
  if (!log_result && !first_failure) first_failure = log_result.error();
}

void BlockWriteJob::compact() {
  auto step = [this]() -> Result<void> {
    TRY_VOID(log_result);
    if (new_index == nullptr) {
      TRY(std::unique_ptr<File> file, directory_.open(new_index_file_name, OpenMode::create));
      new_index = std::move(file);
      TRY_VOID(new_index->truncate(0));
    }
    if (compaction == Compaction::finish) {
      slice.insert(slice.end(), log_bytes.begin(), log_bytes.end());
    }
    if (!slice.empty()) TRY_VOID(new_index->write_at(new_index_offset, slice));
    if (compaction == Compaction::slice) return {};
    // Synced before it takes the old one's place, so that a power cut does not trade a full index
    // for an empty one. Losing it would only cost time.
    TRY_VOID(new_index->sync());
    return directory_.rename(new_index_file_name, index_file_name);
  };
  compaction_result = step();
  // overwritten next time anyway
  if (!compaction_result) (void)directory_.remove(new_index_file_name);
}

// --- Room

std::uint64_t BlockCacheImpl::expected_log_records() const {
  return log_records_ + written_records_ + pending_units_ + records_.size();
}

// What the index may come to take, the old and the new one together while it is compacted.
std::uint64_t BlockCacheImpl::index_reserve_bytes() const {
  std::uint64_t tail = compacting_ ? compacting_->tail.size() / log_record_bytes : 0;
  std::uint64_t old_records = std::max(trigger_records(), expected_log_records()) + record_slack;
  std::uint64_t new_records = index_.units() + 1 + pending_units_ + tail + record_slack;
  return (old_records + new_records) * log_record_bytes + 2 * sum_block;
}

bool BlockCacheImpl::fits(std::uint32_t more_blocks) const {
  return (blocks_used_ + more_blocks) * sum_block + index_reserve_bytes() <= options_.limit_bytes;
}

void BlockCacheImpl::set_slot_blocks(Slot slot, std::uint32_t blocks) {
  blocks_used_ = blocks_used_ - index_[slot].blocks() + blocks;
  index_[slot].set_blocks(blocks);
}

void BlockCacheImpl::release(Slot slot) {
  std::uint32_t blocks = index_[slot].blocks();
  if (blocks == 0 || !can_punch_) {
    free_.push_back(slot);
    return;
  }
  holes_.push_back({slot, 0, blocks, false});
  set_slot_blocks(slot, 0);
}

void BlockCacheImpl::log_erase(Slot slot) {
  BlockLogRecord record;
  record.kind = BlockLogRecord::Kind::erase;
  record.slot = slot;
  records_.push_back(record);
}

Slot BlockCacheImpl::evict() {
  Slot slot = eviction_.take_victim([this](Slot candidate) { return pinned(candidate); },
                                    [this](Slot victim) { return index_.hash(victim); });
  if (slot == UnitIndex::no_slot) return slot;
  ++counts_.evictions;
  forget_memory(slot);
  index_.erase(slot);
  return slot;
}

// An unused slot, made to take `blocks`, if the limit allows.
Slot BlockCacheImpl::take_free(std::uint32_t blocks) {
  bool fresh = free_.empty();
  Slot slot = fresh ? index_.slots() : free_.back();
  if (slot >= Eviction::max_slots) return UnitIndex::no_slot;
  std::uint32_t has = fresh ? 0 : index_[slot].blocks();
  if (!fits(blocks > has ? blocks - has : 0)) return UnitIndex::no_slot;
  if (fresh) index_.grow(slot + 1);
  else free_.pop_back();
  if (has > blocks && can_punch_) holes_.push_back({slot, blocks, has, false});
  set_slot_blocks(slot, can_punch_ ? blocks : std::max(has, blocks));
  return slot;
}

Slot BlockCacheImpl::acquire(std::uint32_t blocks) {
  Slot slot = take_free(blocks);
  for (std::size_t i = 0; i < max_evictions_per_offer && slot == UnitIndex::no_slot; ++i) {
    Slot victim = evict();
    if (victim == UnitIndex::no_slot) return victim;
    if (index_[victim].blocks() >= blocks && fits(0)) {
      free_.push_back(victim);
    } else {
      release(victim);
      log_erase(victim);
    }
    slot = take_free(blocks);
  }
  return slot;
}

bool BlockCacheImpl::acceptable(const BlockKey& key, ByteView bytes, Generation seen) const {
  CHECK(!bytes.empty() && bytes.size() <= unit_size);
  if (seen != generation_ || contains(key)) return false;
  if (pending_bytes_ + written_bytes_ + bytes.size() > options_.pending_bytes) return false;
  return !index_is_overgrown();
}

bool BlockCacheImpl::index_is_overgrown() const {
  return expected_log_records() > max_index_growth * trigger_records();
}

void BlockCacheImpl::offer(const BlockKey& key, ByteView bytes, Generation seen) {
  auto length = static_cast<std::uint32_t>(bytes.size());
  Slot slot = UnitIndex::no_slot;
  if (acceptable(key, bytes, seen)) slot = acquire(blocks_of(length));
  if (slot == UnitIndex::no_slot) {
    ++counts_.refused_offers;
    bool again = counts_.refused_offers % refusals_between_compactions == 0;
    if (again && index_is_overgrown()) compaction_not_before_ = 0;
    return;
  }
  if (!index_.insert(slot, key, length, BlockSums::of(bytes))) {
    ++counts_.refused_offers;
    release(slot);
    log_erase(slot);
    return;
  }
  index_[slot].set_in_memory(true);
  memory_[slot] = MemoryUnit{Buffer::copy_of(bytes), Held::pending};
  pending_.push_back(slot);
  pending_bytes_ += length;
  ++pending_units_;
  memory_unit_bytes_ += length;
  eviction_.insert(slot, index_.hash(slot));
}

// --- Jobs

bool BlockCacheImpl::compaction_is_due() const {
  return log_records_ >= trigger_records() && log_records_ >= compaction_not_before_;
}

bool BlockCacheImpl::work_waits() const {
  return pending_units_ > 0 || !holes_.empty() || !records_.empty() || compacting_.has_value() ||
         compaction_is_due();
}

std::unique_ptr<Job> BlockCacheImpl::next_job() {
  if (writing_ || !work_waits()) return nullptr;
  auto job = std::make_unique<BlockWriteJob>(directory_, *blocks_, *index_file_);
  job->index_offset = (log_records_ + 1) * log_record_bytes;
  job->records.swap(records_);
  job->holes.swap(holes_);
  plan_units(*job);
  plan_compaction(*job);
  written_records_ = job->records.size() + job->units.size();
  writing_ = true;
  return job;
}

void BlockCacheImpl::plan_units(BlockWriteJob& job) {
  while (!pending_.empty() && job.units.size() < max_units_per_job) {
    Slot slot = pending_.front();
    pending_.pop_front();
    auto held = memory_.find(slot);
    if (held == memory_.end() || held->second.held != Held::pending) continue;  // dropped
    held->second.held = Held::writing;
    BlockWriteJob::Unit unit;
    unit.record.slot = slot;
    unit.record.length = index_[slot].length();
    unit.record.key = index_.key(slot);
    unit.record.sums = index_[slot].sums;
    unit.bytes = held->second.bytes.view();
    job.units.push_back(unit);
    pending_bytes_ -= unit.bytes.size();
    written_bytes_ += unit.bytes.size();
    --pending_units_;
  }
}

void BlockCacheImpl::plan_compaction(BlockWriteJob& job) {
  if (!compacting_) {
    if (!compaction_is_due()) return;
    compacting_.emplace();
    job.slice.resize(log_record_bytes);
    encode_block_log_header(job.slice.data());
  }
  job.new_index = compacting_->file;
  job.new_index_offset = compacting_->offset;
  if (compacting_->next_slot >= index_.slots() && compacting_->file != nullptr) {
    job.compaction = BlockWriteJob::Compaction::finish;
    job.slice.swap(compacting_->tail);
    return;
  }
  job.compaction = BlockWriteJob::Compaction::slice;
  auto end = static_cast<Slot>(
      std::min<std::uint64_t>(index_.slots(), compacting_->next_slot + slots_per_slice));
  for (Slot slot = compacting_->next_slot; slot < end; ++slot) {
    // What is still to be written gets its record in the tail.
    if (!index_[slot].used()) continue;
    auto held = index_[slot].in_memory() ? memory_.find(slot) : memory_.end();
    if (held != memory_.end() && held->second.held != Held::loaded) continue;
    BlockLogRecord record;
    record.slot = slot;
    record.length = index_[slot].length();
    record.key = index_.key(slot);
    record.sums = index_[slot].sums;
    append_record(job.slice, record);
  }
  compacting_->next_slot = end;
}

void BlockCacheImpl::complete_write(BlockWriteJob& job) {
  writing_ = false;
  written_records_ = 0;
  bool logged = job.log_result.has_value();
  if (logged) log_records_ += job.log_bytes.size() / log_record_bytes;
  if (job.first_failure) {
    log(Level::warn, "block_cache.write_failed",
        {{"directory", directory_.path()},
         {"error", to_string(*job.first_failure)},
         {"remedy", "free space on that disk; meanwhile blocks are fetched again"}});
  }
  for (const BlockWriteJob::Hole& hole : job.holes) {
    if (hole.failed) set_slot_blocks(hole.slot, std::max(index_[hole.slot].blocks(), hole.end));
    if (hole.first == 0) free_.push_back(hole.slot);
  }
  complete_units(job, logged);
  if (job.compaction != BlockWriteJob::Compaction::none) {
    complete_compaction(job);
  } else if (compacting_ && logged) {
    compacting_->tail.insert(compacting_->tail.end(), job.log_bytes.begin(), job.log_bytes.end());
  }
}

void BlockCacheImpl::complete_units(BlockWriteJob& job, bool logged) {
  for (const BlockWriteJob::Unit& unit : job.units) {
    Slot slot = unit.record.slot;
    written_bytes_ -= unit.bytes.size();
    bool dropped = memory_.at(slot).held == Held::doomed;
    forget_memory(slot);
    if (!dropped && !unit.failed && logged) continue;
    if (!dropped) {
      ++counts_.write_failures;
      eviction_.erase(slot);
      index_.erase(slot);
    }
    release(slot);
    log_erase(slot);
  }
}

void BlockCacheImpl::complete_compaction(BlockWriteJob& job) {
  if (!job.compaction_result) {
    compacting_.reset();
    compaction_not_before_ = log_records_ + records_between_compactions;
    log(Level::warn, "block_cache.compaction_failed",
        {{"directory", directory_.path()}, {"error", to_string(job.compaction_result.error())}});
    return;
  }
  compacting_->offset += job.slice.size();
  if (job.compaction == BlockWriteJob::Compaction::slice) {
    compacting_->file = job.new_index;
    compacting_->tail.insert(compacting_->tail.end(), job.log_bytes.begin(), job.log_bytes.end());
    return;
  }
  index_file_ = compacting_->file;
  log_records_ = compacting_->offset / log_record_bytes - 1;
  compaction_not_before_ = 0;
  compacting_.reset();
}

}  // namespace rowan::cache
