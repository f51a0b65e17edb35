// An ordered, durable map from byte strings to byte strings with atomic batches: the engine under
// the redirect store and the image catalogue. A journal takes each batch with one sync; a
// copy-on-write tree keeps the rest; a memory table in between holds what the tree does not have
// yet. A Table shows one state; table_versions.h has those that keep several, one beside the other.
//
// Belongs to one strand and has no locks. It never waits for the disk: what needs the disk is
// handed out as a Job (rpc/base/loop.h) and handed back.
//
//   reading   get(), visit(), scan() and read_data() say needs_load when something is not in
//             memory: at once call take_load(), run the job on a disk thread, give it to
//             complete(), ask again.
//   writing   apply() changes memory at once and returns a ticket; durable() tells how far the disk
//             has got. Call want_durable(), then run next_job() until it gives nothing, and again
//             after every complete(). Several jobs may be out at the same time.
//   failure   a failed sync is sticky: failure() tells, every later apply() is refused with it
//             until the table is opened again. A full disk is not a failure: apply() refuses with
//             no_space before anything changes, and batches that free space (Batch::frees_space)
//             still find room.
//
// Keys that start with a zero byte belong to the table itself; callers' keys are at most
// max_key_bytes long, not empty, and start with another byte. Those that start with byte 1 are
// precious: kept twice in the tree (for a few small records). Order is that of unsigned bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/file.h"
#include "cache/ids.h"
#include "rpc/base/buffer.h"
#include "rpc/base/function_ref.h"
#include "rpc/base/loop.h"
#include "rpc/base/result.h"

namespace rowan::cache {

inline constexpr std::size_t max_key_bytes = 512;
inline constexpr std::size_t max_value_bytes = 7168;
// unit of data, sums and giving back
inline constexpr std::uint32_t data_block_size = 4096;
inline constexpr std::size_t max_batch_data_bytes = 4u << 20;   // of one batch
// puts, erases and releases of one batch
inline constexpr std::size_t max_batch_edits = 4096;

// Where a run of data blocks lies: `block` counts 4 KiB from the start of the segment. Its
// checksums are kept beside the pointer and so in another file than the data.
struct DataPointer {
  std::uint32_t segment = 0;
  std::uint32_t block = 0;
  // ticket of the batch that wrote it: who may still need it (FORMAT.md)
  std::uint64_t birth = 0;

  static constexpr std::size_t encoded_size = 16;
  void encode(std::byte* to) const;
  static DataPointer decode(const std::byte* from);
  friend bool operator==(const DataPointer&, const DataPointer&) = default;
};

// The data that a record refers to: one run of blocks, or none (no blocks). Blocks never move from
// a record within [group_from, group_to) to one outside.
struct RecordData {
  DataPointer first;
  std::uint32_t blocks = 0;
  std::string group_from, group_to;
};
// Pure. corrupt: outside the grammar of the table's records.
using FindRecordData = Result<RecordData> (*)(std::string_view key, std::string_view value);

struct TableOptions {
  std::uint64_t memory_table_bytes = 32u << 20;   // then it is frozen and merged into the tree
  // not yet written; apply() answers try_later beyond
  std::uint64_t pending_bytes = 16u << 20;
  std::uint64_t page_cache_bytes = 32u << 20;
  // journal file size; at least 2 * max_batch_data_bytes
  std::uint64_t segment_bytes = 64u << 20;
  // kept allocated from the first write on, so that what memory holds can be written
  std::uint64_t reserve_bytes = 24u << 20;
  // false: durable() follows the write, not the sync
  bool sync = true;
  // Needed to drop a state whose records refer to data; null: none of the records does.
  FindRecordData find_data = nullptr;
};

// Changes that happen together or not at all. Later edits of a key replace earlier ones.
class Batch {
 public:
  void put(std::string key, std::string value);
  void erase(std::string key);

  // Whole data blocks (a multiple of 4 KiB), which nobody changes while their owner is kept, and
  // the checksum64() of each: the journal sums up the sums, so that no byte is read for it again.
  struct Data {
    ByteView bytes{};
    std::shared_ptr<const Buffer> owner{};
    std::vector<std::uint64_t> sums{};

    static Data of(Buffer blocks, std::vector<std::uint64_t> sums);
  };
  // The pointer is provisional until apply(): encode it into a value that is put with
  // put_pointing(), or give it to release().
  DataPointer add_data(Data blocks);
  // A put whose value holds an encoded DataPointer at `pointer_at`; apply() makes a provisional one
  // final.
  void put_pointing(std::string key, std::string value, std::size_t pointer_at);
  // Says that nothing in this state refers to these blocks after the batch. Each block exactly
  // once.
  void release(DataPointer first, std::uint32_t block_count);

  // One block of a provisional pointer; for merging partial blocks inside one batch.
  static bool is_provisional(const DataPointer& pointer);
  ByteView block(const DataPointer& pointer) const;

  bool empty() const { return edits_.empty(); }
  std::size_t edit_count() const { return edits_.size(); }
  std::size_t data_bytes() const { return std::size_t{data_blocks_} * data_block_size; }
  void clear();

  bool frees_space = false;   // admitted on a full disk (removing, truncating)
  // What a new table begins with, written at once: it does not bring the reserve.
  bool opens_store = false;

  struct Edit {
    enum class Kind : std::uint8_t { put = 1, erase = 2, release = 3, operation = 5 };
    Kind kind = Kind::put;
    std::string key{}, value{};
    std::uint32_t pointer_at = no_pointer;
    DataPointer released{};
    std::uint32_t released_blocks = 0;
    // of the journal's only: an operation on states (table_state_set.h), the label in `value`
    std::uint8_t operation = 0;
    StateId other = no_state;
  };
  static constexpr std::uint32_t no_pointer = ~std::uint32_t{0};
  const std::vector<Edit>& edits() const { return edits_; }

 private:
  friend class TableImpl;
  std::vector<Edit> edits_;
  std::vector<Data> data_;
  std::uint32_t data_blocks_ = 0;
};

struct TableEntry {
  std::string key, value;
  friend bool operator==(const TableEntry&, const TableEntry&) = default;
};

// Gets entries one by one, and says whether it wants another; its error ends the visit. What the
// views show stays until it returns. It must not call the table.
using EntryVisitor = FunctionRef<Result<bool>(std::string_view key, std::string_view value)>;

struct TableUsage {
  std::uint64_t disk_bytes = 0;         // all files, in allocated blocks as far as the table knows
  std::uint64_t memory_bytes = 0;       // memory tables, pending data, page cache
  std::uint64_t tree_pages = 0, live_data_blocks = 0, segments = 0;
};

class Table {
 public:
  // create() makes an empty table in a directory that holds none; open() recovers an existing one
  // by itself. Both are synchronous, for a start-up thread, and lock the directory, which must
  // outlive the table and all its jobs. busy: another process has it. not_found: no table here.
  // not_supported: another format. corrupt, naming file and place: it cannot be trusted as a whole
  // (single damages do not lead here). The table shows first_state; if that has been dropped, every
  // call says stale.
  static Result<std::unique_ptr<Table>> create(Directory& directory, const TableOptions& options);
  static Result<std::unique_ptr<Table>> open(Directory& directory, const TableOptions& options);
  virtual ~Table() = default;

  // The value, valid until the next call into the table. not_found, needs_load, io, or corrupt,
  // which names the place and is limited to the keys that lay there.
  virtual Result<std::string_view> get(std::string_view key) = 0;
  // The entries of [from, to), in order, as many as `visitor` wants. Same errors, also when it has
  // had some, and the visitor's.
  virtual Result<void> visit(std::string_view from, std::string_view to, EntryVisitor visitor) = 0;
  // The first `limit` of them, copied.
  Result<std::vector<TableEntry>> scan(std::string_view from, std::string_view to,
                                       std::size_t limit);
  // Whole blocks from `first`, each compared with its sum. corrupt names segment and offset.
  virtual Result<void> read_data(DataPointer first, std::span<const std::uint64_t> sums,
                                 ByteSpan into) = 0;

  // All of it in memory at once, or an error and nothing changed, the batch included: no_space,
  // try_later (too much not yet written: run jobs, then again), invalid and too_big (a bound above
  // was ignored), failure()'s. After success the batch is empty and may be used again.
  virtual Result<Ticket> apply(Batch& batch) = 0;

  virtual void want_durable(Ticket ticket) = 0;
  virtual Ticket applied() const = 0;
  virtual Ticket durable() const = 0;
  virtual const std::optional<Error>& failure() const = 0;
  virtual std::unique_ptr<Job> take_load() = 0;
  virtual std::unique_ptr<Job> next_job() = 0;
  virtual void complete(std::unique_ptr<Job> job) = 0;
  // True while jobs are handed out or would be.
  virtual bool busy() const = 0;
  // Before a clean shutdown: everything becomes wanted, and a last job notes on disk where the
  // journal ends, so that the next open can tell a shortened journal from a crash. Then run jobs
  // until !busy(). apply() is refused afterwards (failure() stays empty).
  virtual void prepare_close() = 0;

  // Set while the disk is too full to write what memory holds; nothing is lost, and it goes on by
  // itself once next_job() is called with room on the disk.
  virtual const std::optional<Error>& stalled() const = 0;
  virtual TableUsage usage() const = 0;
  virtual Result<DiskSpace> disk_space() const = 0;
};

}  // namespace rowan::cache
