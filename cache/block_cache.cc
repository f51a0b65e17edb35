// Reading, loading and dropping. A warm read is one hash look-up and one preadv2 from the page
// cache, and verifies the 4 KiB blocks that it reads, no others.
#include <algorithm>
#include <cstring>

#include "cache/block_cache_impl.h"
#include "rpc/base/check.h"
#include "rpc/base/log.h"

namespace rowan::cache {
namespace {

constexpr std::size_t max_wanted_loads = 1024;
// Bytes of one system call: they are still in the processor's cache when their sums are verified.
constexpr std::size_t max_run_bytes = 128u << 10;
// Units kept after their load until the question is asked again: more than questions in flight.
constexpr std::size_t max_loaded = 256;
// A cache whose file was replaced is all damage: then one line in so many is enough.
constexpr std::uint64_t damage_lines = 16, damage_line_every = 1024;

constexpr std::uint64_t offset_of(Slot slot) { return std::uint64_t{slot} * unit_size; }

}  // namespace

void BlockLoadJob::run() noexcept {
  Result<std::size_t> got = file_.read_at(offset_of(slot_), bytes_.span());
  if (!got) result_ = got.error();
  else if (*got != bytes_.size()) result_ = Error(Errc::corrupt, "the cache file ends before it");
}

BlockCacheImpl::~BlockCacheImpl() { CHECK(!writing_ && loads_out_ == 0); }

Result<void> BlockCacheImpl::read(const BlockKey& key, std::uint32_t skip, ByteSpan into) {
  Slot slot = index_.find(key);
  if (slot == UnitIndex::no_slot) {
    ++counts_.misses;
    return Errc::not_found;
  }
  const UnitIndex::Entry& entry = index_[slot];
  if (skip > entry.length() || into.size() > entry.length() - skip) {
    return Error(Errc::invalid, "the cached unit has " + std::to_string(entry.length()) + " bytes");
  }
  if (entry.in_memory()) {
    const Buffer& bytes = memory_.find(slot)->second.bytes;
    std::memcpy(into.data(), bytes.data() + skip, into.size());
  } else if (Result<void> done = read_disk(slot, skip, into); !done) {
    return done;
  }
  ++counts_.hits;
  eviction_.touch(slot);
  return {};
}

Result<std::size_t> BlockCacheImpl::read_run(const BlockKey& first, std::uint32_t skip,
                                             ByteSpan into) {
  std::size_t of_first = std::min<std::size_t>(unit_size - skip, into.size());
  if (into.size() > of_first && skip % sum_block == 0) {
    Slot slot = index_.find(first);
    SlotRun run = slot == UnitIndex::no_slot ? SlotRun() : find_run(slot, skip, into.size());
    if (run.slots > 1 && read_slots(slot, run, skip, into.first(run.bytes))) return run.bytes;
  }
  // Alone: also whatever went wrong above is found and told here, if it is with this unit.
  TRY_VOID(read(first, skip, into.first(of_first)));
  return of_first;
}

// Units that were fetched together lie in slots side by side. Only whole blocks are taken, so that
// their sums can be verified in place.
BlockCacheImpl::SlotRun BlockCacheImpl::find_run(Slot slot, std::uint32_t skip,
                                                 std::size_t wanted) const {
  SlotRun run;
  wanted = std::min(wanted, max_run_bytes);
  const UnitIndex::Entry& first = index_[slot];
  for (Slot at = slot; run.bytes < wanted && at < index_.slots(); ++at, skip = 0) {
    const UnitIndex::Entry& entry = index_[at];
    bool next = entry.used() && entry.object == first.object &&
                entry.index == first.index + (at - slot) && entry.version() == first.version();
    if (!next || entry.in_memory() || entry.length() <= skip) break;
    std::size_t bytes = std::min<std::size_t>(entry.length() - skip, wanted - run.bytes);
    if (bytes % sum_block != 0 && skip + bytes != entry.length()) break;
    run.bytes += static_cast<std::uint32_t>(bytes);
    ++run.slots;
    if (entry.length() < unit_size) break;
  }
  return run;
}

// False if they are not all in the page cache, or damaged.
bool BlockCacheImpl::read_slots(Slot slot, const SlotRun& run, std::uint32_t skip, ByteSpan into) {
  Result<std::size_t> got = blocks_->read_cached(offset_of(slot) + skip, into);
  if (!got || *got != into.size()) return false;
  ByteView rest = into;
  for (std::uint32_t i = 0; i < run.slots; ++i, skip = 0) {
    ByteView bytes = rest.first(std::min<std::size_t>(unit_size - skip, rest.size()));
    if (!index_[slot + i].sums.match(skip / sum_block, bytes)) return false;
    rest = rest.subspan(bytes.size());
  }
  counts_.hits += run.slots;
  for (std::uint32_t i = 0; i < run.slots; ++i) eviction_.touch(slot + i);
  return true;
}

Result<void> BlockCacheImpl::read_disk(Slot slot, std::uint32_t skip, ByteSpan into) {
  std::uint32_t length = index_[slot].length();
  auto size = static_cast<std::uint32_t>(into.size());
  std::uint32_t first = skip / sum_block * sum_block;
  std::uint32_t end = std::min(length, blocks_of(skip + size) * sum_block);
  if (first == skip && end == skip + size) return read_aligned(slot, skip, into);
  ByteSpan whole = ByteSpan(scratch_).first(end - first);
  TRY_VOID(read_aligned(slot, first, whole));
  std::memcpy(into.data(), whole.data() + (skip - first), size);
  return {};
}

Result<void> BlockCacheImpl::read_aligned(Slot slot, std::uint32_t skip, ByteSpan into) {
  Result<std::size_t> got = blocks_->read_cached(offset_of(slot) + skip, into);
  if (!got) {
    if (got.failed_with(Errc::needs_load)) return want_load(slot);
    drop_damaged(slot, got.error().detail);
    ++counts_.misses;
    return Errc::not_found;
  }
  if (*got == into.size() && index_[slot].sums.match(skip / sum_block, into)) return {};
  drop_damaged(slot, "checksum");
  ++counts_.misses;
  return Errc::not_found;
}

Result<void> BlockCacheImpl::want_load(Slot slot) {
  // Beyond the bound the asker waits for somebody else's load and asks again.
  if (!loads_.contains(slot) && wanted_loads_.size() < max_wanted_loads) {
    loads_[slot] = ++load_number_;
    wanted_loads_.push_back(slot);
  }
  return Errc::needs_load;
}

std::unique_ptr<Job> BlockCacheImpl::take_load() {
  while (!wanted_loads_.empty()) {
    Slot slot = wanted_loads_.front();
    wanted_loads_.pop_front();
    auto load = loads_.find(slot);
    if (load == loads_.end() || !index_[slot].used()) continue;
    ++loads_out_;
    return std::make_unique<BlockLoadJob>(*blocks_, slot, index_[slot].length(), load->second);
  }
  return nullptr;
}

void BlockCacheImpl::complete_load(BlockLoadJob& job) {
  --loads_out_;
  auto load = loads_.find(job.slot());
  if (load == loads_.end() || load->second != job.number()) return;  // dropped meanwhile
  loads_.erase(load);
  Buffer bytes = job.take_bytes();
  if (!job.result()) {
    drop_damaged(job.slot(), job.result().error().detail);
  } else if (!index_[job.slot()].sums.match(0, bytes.view())) {
    drop_damaged(job.slot(), "checksum");
  } else {
    keep_loaded(job.slot(), std::move(bytes));
  }
}

void BlockCacheImpl::keep_loaded(Slot slot, Buffer bytes) {
  memory_unit_bytes_ += bytes.size();
  memory_[slot] = MemoryUnit{std::move(bytes), Held::loaded};
  index_[slot].set_in_memory(true);
  loaded_.push_back(slot);
  if (loaded_.size() <= max_loaded) return;
  Slot oldest = loaded_.front();
  loaded_.pop_front();
  auto held = memory_.find(oldest);
  if (held != memory_.end() && held->second.held == Held::loaded) forget_memory(oldest);
}

bool BlockCacheImpl::pinned(Slot slot) const {
  if (loads_.contains(slot)) return true;
  auto held = memory_.find(slot);
  return held != memory_.end() && held->second.held != Held::loaded;
}

void BlockCacheImpl::forget_memory(Slot slot) {
  auto held = memory_.find(slot);
  if (held == memory_.end()) return;
  memory_unit_bytes_ -= held->second.bytes.size();
  memory_.erase(held);
  index_[slot].set_in_memory(false);
}

// The unit is not found any more; its slot is released now, or when the job that writes it is done.
void BlockCacheImpl::forget_unit(Slot slot) {
  eviction_.erase(slot);
  loads_.erase(slot);
  auto held = memory_.find(slot);
  bool writing = held != memory_.end() && held->second.held == Held::writing;
  if (writing) {
    held->second.held = Held::doomed;
  } else if (held != memory_.end()) {
    if (held->second.held == Held::pending) {
      pending_bytes_ -= held->second.bytes.size();
      --pending_units_;
    }
    forget_memory(slot);
  }
  index_.erase(slot);
  if (!writing) release(slot);
}

void BlockCacheImpl::drop_damaged(Slot slot, std::string_view what) {
  BlockKey key = index_.key(slot);
  ++counts_.damaged;
  if (counts_.damaged <= damage_lines || counts_.damaged % damage_line_every == 0) {
    log(Level::warn, "block_cache.damaged",
        {{"version", static_cast<std::uint64_t>(key.version)},
         {"object", to_number(key.object)},
         {"unit", key.index},
         {"found", what},
         {"damaged_so_far", counts_.damaged},
         {"remedy", "fetched again; if this repeats, check the disk"}});
  }
  forget_unit(slot);
  log_erase(slot);
}

template <class Predicate>
void BlockCacheImpl::drop_where(const BlockLogRecord& record, Predicate matches) {
  ++generation_;
  for (Slot slot = 0; slot < index_.slots(); ++slot) {
    if (index_[slot].used() && matches(index_[slot])) forget_unit(slot);
  }
  records_.push_back(record);
}

void BlockCacheImpl::drop(VersionId version) {
  BlockLogRecord record;
  record.kind = BlockLogRecord::Kind::drop_version;
  record.key.version = version;
  ++generation_;
  if (index_.units(version) == 0 && !writing_) return;
  drop_where(record, [this, version](const UnitIndex::Entry& entry) {
    return index_.version_id(entry.version()) == version;
  });
}

void BlockCacheImpl::drop(VersionId version, ObjectId object) {
  BlockLogRecord record;
  record.kind = BlockLogRecord::Kind::drop_object;
  record.key.version = version;
  record.key.object = object;
  ++generation_;
  if (index_.units(version) == 0 && !writing_) return;
  drop_where(record, [this, version, object](const UnitIndex::Entry& entry) {
    return entry.object == to_number(object) && index_.version_id(entry.version()) == version;
  });
}

void BlockCacheImpl::complete(std::unique_ptr<Job> job) {
  if (auto* load = dynamic_cast<BlockLoadJob*>(job.get())) {
    complete_load(*load);
  } else if (auto* write = dynamic_cast<BlockWriteJob*>(job.get())) {
    complete_write(*write);
  } else {
    CHECK(false && "a job of this cache");
  }
}

bool BlockCacheImpl::busy() const { return writing_ || loads_out_ > 0 || work_waits(); }

BlockCacheUsage BlockCacheImpl::usage() const {
  BlockCacheUsage usage = counts_;
  usage.units = index_.units();
  std::uint64_t index_bytes = (log_records_ + 1) * log_record_bytes;
  if (compacting_) index_bytes += compacting_->offset;
  usage.bytes = blocks_used_ * sum_block + round_up(index_bytes, sum_block);
  usage.limit_bytes = options_.limit_bytes;
  usage.memory_bytes = index_.memory_bytes() + eviction_.memory_bytes() + memory_unit_bytes_;
  return usage;
}

}  // namespace rowan::cache
