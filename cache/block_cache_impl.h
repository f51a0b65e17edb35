// The parts of the block cache that its .cc files share; nobody else includes this.
//
//   blocks   a sparse file of 16 KiB slots; a unit takes the first 4 KiB blocks it needs of its
//            slot
//   index    block_log.h; index.new while it is being compacted
//   lock     held while the cache is open
//
// One write job is out at a time. Its order is what makes the limit and the checksums hold: first
// holes are punched, then units written, then the records of both appended. Nothing is synced:
// after power loss a record may be there without its data (the checksum tells) or data without its
// record (never found).
//
// A unit's slot goes  free -> pending (in memory, readable) -> writing (pinned) -> on disk ->
// released (erase record and hole are due) -> free. An evicted slot that is large enough is used
// again without being released: the put record overrides the old one.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cache/block_cache.h"
#include "cache/block_log.h"
#include "cache/eviction.h"
#include "cache/unit_index.h"
#include "rpc/base/buffer.h"

namespace rowan::cache {

inline constexpr char blocks_file_name[] = "blocks";
inline constexpr char index_file_name[] = "index";
inline constexpr char new_index_file_name[] = "index.new";
inline constexpr char lock_file_name[] = "lock";

class BlockLoadJob final : public Job {
 public:
  BlockLoadJob(const File& file, Slot slot, std::uint32_t length, std::uint64_t number)
      : file_(file), slot_(slot), number_(number), bytes_(length) {}
  void run() noexcept override;
  Slot slot() const { return slot_; }
  std::uint64_t number() const { return number_; }
  const Result<void>& result() const { return result_; }
  Buffer take_bytes() { return std::move(bytes_); }

 private:
  const File& file_;
  Slot slot_;
  std::uint64_t number_;
  Buffer bytes_;
  Result<void> result_;
};

// What one write job does, and how it went.
class BlockWriteJob final : public Job {
 public:
  struct Unit {
    BlockLogRecord record;
    ByteView bytes;        // owned by the cache, unchanged while the job is out
    bool failed = false;
  };
  enum class Compaction : std::uint8_t { none, slice, finish };

  BlockWriteJob(Directory& directory, File& blocks, File& index)
      : directory_(directory), blocks_(blocks), index_(index) {}
  void run() noexcept override;

  std::vector<BlockLogRecord> records;   // erasures and drops, before the units
  struct Hole {
    Slot slot = 0;
    std::uint32_t first = 0, end = 0;    // 4 KiB blocks of the slot
    bool failed = false;
  };
  std::vector<Hole> holes;
  std::vector<Unit> units;
  std::uint64_t index_offset = 0;
  // Compaction: `slice` goes to new_index_offset of new_index (opened by the job when null); finish
  // appends this job's own records as well and renames.
  Compaction compaction = Compaction::none;
  std::vector<std::byte> slice;
  std::shared_ptr<File> new_index;
  std::uint64_t new_index_offset = 0;

  // Out.
  std::vector<std::byte> log_bytes;      // what was appended to the index
  Result<void> log_result, compaction_result;
  std::optional<Error> first_failure;

 private:
  void punch();
  void write_units();
  void append_log();
  void compact();

  Directory& directory_;
  File& blocks_;
  File& index_;
};

class BlockCacheImpl final : public BlockCache {
 public:
  BlockCacheImpl(Directory& directory, const BlockCacheOptions& options, std::unique_ptr<File> lock)
      : directory_(directory), options_(options), lock_(std::move(lock)) {}
  ~BlockCacheImpl() override;

  Result<void> open_files();

  bool contains(const BlockKey& key) const override {
    return index_.find(key) != UnitIndex::no_slot;
  }
  Result<void> read(const BlockKey& key, std::uint32_t skip, ByteSpan into) override;
  Result<std::size_t> read_run(const BlockKey& first, std::uint32_t skip, ByteSpan into) override;
  std::unique_ptr<Job> take_load() override;
  Generation generation(const BlockKey&) const override { return generation_; }
  void offer(const BlockKey& key, ByteView bytes, Generation seen) override;
  void drop(VersionId version) override;
  void drop(VersionId version, ObjectId object) override;
  std::unique_ptr<Job> next_job() override;
  void complete(std::unique_ptr<Job> job) override;
  bool busy() const override;
  BlockCacheUsage usage() const override;

 private:
  enum class Held : std::uint8_t { pending, writing, doomed, loaded };
  struct MemoryUnit {
    Buffer bytes;
    Held held = Held::pending;
  };

  // Reading (block_cache.cc).
  // Bytes [skip, skip + bytes) from the beginning of `slot`, and the slots they lie in.
  struct SlotRun {
    std::uint32_t slots = 0, bytes = 0;
  };
  SlotRun find_run(Slot slot, std::uint32_t skip, std::size_t wanted) const;
  bool read_slots(Slot slot, const SlotRun& run, std::uint32_t skip, ByteSpan into);
  Result<void> read_disk(Slot slot, std::uint32_t skip, ByteSpan into);
  Result<void> read_aligned(Slot slot, std::uint32_t skip, ByteSpan into);
  Result<void> want_load(Slot slot);
  void drop_damaged(Slot slot, std::string_view what);
  void complete_load(BlockLoadJob& job);
  void keep_loaded(Slot slot, Buffer bytes);
  bool pinned(Slot slot) const;
  void forget_memory(Slot slot);
  void forget_unit(Slot slot);
  template <class Predicate>
  void drop_where(const BlockLogRecord& record, Predicate matches);

  // Room and writing (block_cache_write.cc).
  bool acceptable(const BlockKey& key, ByteView bytes, Generation seen) const;
  Slot acquire(std::uint32_t blocks);
  Slot take_free(std::uint32_t blocks);
  Slot evict();
  void release(Slot slot);               // its erasure is logged by the caller
  void log_erase(Slot slot);
  void set_slot_blocks(Slot slot, std::uint32_t blocks);
  bool fits(std::uint32_t more_blocks) const;
  bool work_waits() const;
  std::uint64_t expected_log_records() const;
  std::uint64_t index_reserve_bytes() const;
  std::uint64_t trigger_records() const { return 2 * index_.units() + 512; }
  bool compaction_is_due() const;
  bool index_is_overgrown() const;
  void plan_units(BlockWriteJob& job);
  void plan_compaction(BlockWriteJob& job);
  void complete_write(BlockWriteJob& job);
  void complete_units(BlockWriteJob& job, bool logged);
  void complete_compaction(BlockWriteJob& job);

  // Opening (block_cache_open.cc).
  Result<void> replay();
  void replay_record(const BlockLogRecord& record, std::uint64_t slots_on_disk);
  Result<void> start_afresh();
  Result<void> settle_space();
  std::uint64_t offset_after_slots() const { return std::uint64_t{index_.slots()} * unit_size; }

  Directory& directory_;
  BlockCacheOptions options_;
  std::unique_ptr<File> lock_;
  std::shared_ptr<File> blocks_, index_file_;

  UnitIndex index_;
  Eviction eviction_;
  std::unordered_map<Slot, MemoryUnit> memory_;
  // slots to write, oldest first; some may have been dropped since
  std::deque<Slot> pending_;
  std::deque<Slot> loaded_;          // slots whose bytes were loaded, oldest first; same
  std::uint64_t pending_bytes_ = 0, pending_units_ = 0;   // offered, not yet in a job
  std::uint64_t written_bytes_ = 0, written_records_ = 0; // in the job that is out
  std::uint64_t memory_unit_bytes_ = 0;

  std::unordered_map<Slot, std::uint64_t> loads_;   // slot -> number of its load, wanted or out
  std::deque<Slot> wanted_loads_;
  std::uint64_t load_number_ = 0;
  std::size_t loads_out_ = 0;

  // unused; may still have blocks on disk (UnitIndex::Entry)
  std::vector<Slot> free_;
  // for the next job; a whole slot among them is then free
  std::vector<BlockWriteJob::Hole> holes_;
  std::vector<BlockLogRecord> records_;   // erasures and drops for the next job
  // 4 KiB blocks of the slab, once the job that is out has run
  std::uint64_t blocks_used_ = 0;
  std::uint64_t log_records_ = 0;
  bool writing_ = false;
  bool can_punch_ = true;                 // else slots keep the blocks they once had

  struct Compacting {
    std::shared_ptr<File> file;
    std::uint64_t offset = 0;       // bytes written to it
    Slot next_slot = 0;
    std::vector<std::byte> tail;    // appended to the old index meanwhile
  };
  std::optional<Compacting> compacting_;
  // log records: after a failure it is not tried at once again
  std::uint64_t compaction_not_before_ = 0;

  Generation generation_ = 1;
  BlockCacheUsage counts_;
  std::vector<std::byte> scratch_ = std::vector<std::byte>(unit_size);
};

}  // namespace rowan::cache
