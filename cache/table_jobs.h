// The table's work on disk threads. Each job owns what it touches; results are read back by
// complete().
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cache/file.h"
#include "cache/table_journal.h"
#include "cache/table_merge.h"
#include "cache/table_superblock.h"
#include "cache/table_tree.h"
#include "rpc/base/loop.h"

namespace rowan::cache {

using SharedFile = std::shared_ptr<File>;

class TableJob : public Job {
 public:
  enum class Kind : std::uint8_t { load, write, merge, cleanup, close, reserve };
  explicit TableJob(Kind kind) : kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

// A run of data blocks that a read asked for.
struct WantedData {
  DataPointer first;
  std::uint32_t blocks = 0;
};

class LoadJob final : public TableJob {
 public:
  LoadJob() : TableJob(Kind::load) {}
  void run() noexcept override;

  Directory* directory = nullptr;
  std::optional<WantedPage> page;        // one of the two
  std::shared_ptr<const File> tree;
  std::uint64_t epoch = 0;
  std::optional<WantedData> data;
  SharedFile segment;                    // opened by the job if null

  std::optional<Result<LoadedPage>> loaded_page;
  std::optional<Result<Buffer>> loaded_data;
};

// Gives the reserve's space up once per job.
class ReserveUse {
 public:
  explicit ReserveUse(Directory& directory) : directory_(&directory) {}
  bool make_room();
  bool used() const { return used_; }

 private:
  Directory* directory_;
  bool used_ = false;
};

class WriteJob final : public TableJob {
 public:
  explicit WriteJob(Directory& directory)
      : TableJob(Kind::write), directory(&directory), reserve(directory) {}
  void run() noexcept override;

  Directory* directory;
  ReserveUse reserve;
  std::shared_ptr<JournalGroup> group;   // null: only sync
  SharedFile segment;                    // of the group; made by the job if null
  std::uint64_t previous = 0;
  Ticket durable_through = 0;
  bool sync = false;
  std::vector<SharedFile> dirty;         // written before, not synced
  bool dirty_names = false;

  Result<void> written, synced;

 private:
  Result<void> write();
  Result<void> sync_all();
};

class MergeJob final : public TableJob {
 public:
  explicit MergeJob(Directory& directory) : TableJob(Kind::merge), reserve(directory) {}
  void run() noexcept override;

  ReserveUse reserve;
  // synced first (only without sync mode)
  std::vector<std::pair<std::uint32_t, SharedFile>> dirty;
  Directory* names = nullptr;                                 // the same
  std::shared_ptr<const MemoryTable> memory;
  MemoryTable::Map own;
  MergeInput input;
  SharedFile superblock_file;
  Superblock superblock;                 // to be completed with the merge's outcome
  std::map<std::uint32_t, std::uint64_t> live;   // blocks by segment, for the strand afterwards
  std::vector<DeadRange> dead;                   // the same: to be punched
  std::vector<std::string> dead_keys;

  std::optional<Result<MergeOutcome>> outcome;
  bool sync_failed = false;              // the error is of a sync or of the superblock: sticky

 private:
  Result<void> sync_dirty();
  Result<void> finish(const MergeOutcome& merged);
};

class CleanupJob final : public TableJob {
 public:
  explicit CleanupJob(Directory& directory) : TableJob(Kind::cleanup), directory(&directory) {}
  void run() noexcept override;

  Directory* directory;
  std::vector<DeadRange> ranges;         // sorted; of segments that stay
  std::vector<std::uint32_t> segments;   // to remove
  std::uint64_t failures = 0;
};

class CloseJob final : public TableJob {
 public:
  CloseJob() : TableJob(Kind::close) {}
  void run() noexcept override { result = write_superblock(*file, superblock); }

  SharedFile file;
  Superblock superblock;
  Result<void> result;
};

class ReserveJob final : public TableJob {
 public:
  ReserveJob(Directory& directory, std::uint64_t bytes)
      : TableJob(Kind::reserve), directory(&directory), bytes(bytes) {}
  void run() noexcept override { result = make(*directory, bytes); }
  static Result<void> make(Directory& directory, std::uint64_t bytes);

  Directory* directory;
  std::uint64_t bytes;
  Result<void> result;
};

}  // namespace rowan::cache
