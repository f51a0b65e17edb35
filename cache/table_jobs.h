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
#include "cache/table_drop.h"
#include "cache/table_journal.h"
#include "cache/table_merge.h"
#include "cache/table_state_set.h"
#include "cache/table_superblock.h"
#include "cache/table_tree.h"
#include "rpc/base/loop.h"

namespace rowan::cache {

using SharedFile = std::shared_ptr<File>;

class TableJob : public Job {
 public:
  enum class Kind : std::uint8_t { load, write, merge, cleanup, close, reserve, walk };
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

// What one merge takes: everything applied up to a moment, and the states as they were then.
struct FrozenTable {
  struct FrozenState {
    StateInfo info;
    std::shared_ptr<Version> version;
  };
  Ticket through = 0;
  std::optional<JournalPosition> end;      // after the last group; known when that is written
  std::vector<std::shared_ptr<Version>> versions;   // without a root; each after the one below it
  std::vector<FrozenState> states;
  BlockLedger ledger;
  bool ends_drop = false;                  // and of the state that this merge takes away:
  std::vector<PagePointer> pages;          // to be given back
};

class MergeJob final : public TableJob {
 public:
  explicit MergeJob(Directory& directory) : TableJob(Kind::merge), reserve(directory) {}
  void run() noexcept override;

  // A version to be made a tree of: over that of an earlier step, or over a tree there is.
  struct Step {
    std::shared_ptr<const MemoryTable> changes;
    std::optional<std::size_t> below;
    TreeRoot root;                         // of what is below; after the step its own
    Ticket keep = 0;                       // frozen_at of the checkpoint it is over
    std::vector<PagePointer> kept;
  };
  struct PlannedState {
    StateInfo info;
    std::optional<std::size_t> step;       // its content is made by this step
    TreeRoot root;                         // else it is this
  };
  using StoredStates = std::map<StateId, std::string>;

  ReserveUse reserve;
  // synced first (only without sync mode)
  std::vector<std::pair<std::uint32_t, SharedFile>> dirty;
  Directory* names = nullptr;                                 // the same
  std::vector<Step> steps;
  std::vector<PlannedState> states;
  std::vector<PagePointer> unused_pages;   // given back
  StoredStates stored;                     // as in the meta tree; afterwards as planned
  MemoryTable::Map own;                    // changes of the meta tree; the states' are added
  MergeSpace space;
  SharedFile superblock_file;
  Superblock superblock;                   // to be completed with the merge's outcome
  std::map<std::uint32_t, std::uint64_t> live;   // blocks by segment, for the strand afterwards
  std::vector<DeadRange> dead;                   // the same: to be punched
  std::vector<std::string> dead_keys;

  Result<void> outcome;
  bool sync_failed = false;              // the error is of a sync or of the superblock: sticky

 private:
  Result<void> sync_dirty();
  Result<void> merge();
  Result<void> merge_steps();
  void add_states();
  Result<void> finish();
};

class CleanupJob final : public TableJob {
 public:
  explicit CleanupJob(Directory& directory) : TableJob(Kind::cleanup), directory(&directory) {}
  void run() noexcept override;

  Directory* directory;
  std::vector<DeadRange> ranges;         // sorted; of segments that stay
  std::vector<std::uint32_t> segments;   // to remove
  std::uint64_t failures = 0;
  Result<void> synced;                   // the removal: an error is sticky
};

class CloseJob final : public TableJob {
 public:
  CloseJob() : TableJob(Kind::close) {}
  void run() noexcept override { result = write_superblock(*file, superblock); }

  SharedFile file;
  Superblock superblock;
  Result<void> result;
};

class WalkJob final : public TableJob {
 public:
  WalkJob() : TableJob(Kind::walk) {}
  void run() noexcept override { over = walk->step(pages_per_step); }

  static constexpr std::size_t pages_per_step = 64;
  std::shared_ptr<DropWalk> walk;
  Result<bool> over = false;
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
