// The table on its strand. table_open.cc: opening; table_read.cc: reading; table.cc: applying;
// table_work.cc: which job is next and what its end means; table_space.cc: room on the disk;
// table_reclaim.cc: dropped states, and pins.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cache/table.h"
#include "cache/table_jobs.h"
#include "cache/table_journal.h"
#include "cache/table_memory.h"
#include "cache/table_own.h"
#include "cache/table_recover.h"
#include "cache/table_state_set.h"
#include "cache/table_superblock.h"
#include "cache/table_tree.h"
#include "cache/table_versions.h"

namespace rowan::cache {

// Free space as last asked for, less what was taken since; and whether the reserve is there.
class SpaceWatch {
 public:
  SpaceWatch(Directory& directory, std::uint64_t reserve_bytes, bool reserve_present);

  // no_space unless `bytes` more can be written. `urgent`: the reserve may be used. The first
  // success, but for `small` ones, also needs room for the reserve and makes it wanted.
  Result<void> admit(std::uint64_t bytes, bool urgent, bool small);
  void took(std::uint64_t bytes);
  bool pressure() const { return pressure_; }
  std::uint64_t free_bytes();             // asks the system
  void reserve_used();
  void reserve_begun() { reserve_ = Reserve::making; }
  void reserve_made(bool success);
  bool reserve_wanted();                  // absent, and there is room for it
  // Admitted together with the first batch, and comes before everything else.
  bool reserve_due() const { return reserve_ == Reserve::due; }
  std::uint64_t reserved_bytes() const { return reserve_ == Reserve::present ? reserve_bytes_ : 0; }

 private:
  Directory* directory_;
  std::uint64_t reserve_bytes_, margin_;
  // bytes that may be taken before the system is asked again
  std::uint64_t credit_ = 0;
  std::uint64_t reserve_failed_at_ = 0;   // free bytes when making it failed last
  bool pressure_ = false;
  // untouched: nothing was admitted since opening; missing: given up in need, or could not be made
  enum class Reserve : std::uint8_t { untouched, due, making, present, missing };
  Reserve reserve_;
};

// Work that a full disk stopped. It is tried again when somebody asks for it or there is more room
// than then.
class Stall {
 public:
  void set(Error error, std::uint64_t free_bytes);
  void clear() { error_.reset(); }
  void poke() { poked_ = true; }
  bool may_run(SpaceWatch& space) const;
  const std::optional<Error>& error() const { return error_; }

 private:
  std::optional<Error> error_;
  std::uint64_t free_bytes_ = 0;
  bool poked_ = false;
};

// Data that jobs brought in, until it is asked for again; a few runs, newest last.
class LoadedData {
 public:
  void insert(const WantedData& wanted, Result<Buffer> bytes);
  // Null: not here. An error is handed out once.
  const Result<Buffer>* find(const WantedData& wanted);

 private:
  struct Entry {
    WantedData wanted;
    Result<Buffer> bytes;
    bool told = false;
  };
  std::deque<Entry> entries_;
};

// Segments that are open: a bounded number, the least recently used is closed.
class SegmentFiles {
 public:
  SharedFile find(std::uint32_t segment);
  void insert(std::uint32_t segment, SharedFile file);
  void erase(std::uint32_t segment) { files_.erase(segment); }

 private:
  struct Open {
    SharedFile file;
    std::uint64_t used = 0;
  };
  std::map<std::uint32_t, Open> files_;
  std::uint64_t uses_ = 0;
};

class TableImpl;

struct TableParts {
  std::unique_ptr<File> lock;
  SharedFile tree, superblock_file;
  Superblock superblock;
  own::Records own;
  StateSet states;                              // as of the journal's end
  Recovered recovered;
  PageAllocator allocator;
  bool reserve_present = false;
  std::uint64_t life = 0;
};

// The tree of a state beside those of its children, as they were at one moment (table_walk.cc).
struct StateWalk {
  StateId state = no_state;
  Ticket since = 0;                             // that moment
  Ticket after = 0;                             // frozen_at of the parent
  std::shared_ptr<Version> version;
  std::vector<std::shared_ptr<Version>> children;
  std::shared_ptr<DropWalk> walk;               // null: before it begins
};

// A dropped state being given back (table_reclaim.cc).
struct DropWork : StateWalk {
  bool walked = false;
  // After `since`: data that the child released and this state holds; pages, the same.
  std::vector<std::pair<DataPointer, std::uint32_t>> held;
  std::vector<PagePointer> kept;
};

// What a state alone needs, as found out last (table_walk.cc).
struct MeasuredState {
  StateId parent = no_state;
  std::vector<StateId> children;
  bool lasting = false;                         // true as long as these stay the same
  Result<std::uint64_t> bytes = std::uint64_t{0};
};
struct MeasureWork : StateWalk {
  MeasuredState found;
};

// table_open.cc: everything there is on disk, recovered; synchronous.
Result<TableParts> open_parts(Directory& directory, const TableOptions& options);
Result<std::unique_ptr<TableImpl>> open_table(Directory& directory, const TableOptions& options);
Result<std::unique_ptr<TableImpl>> create_table(Directory& directory, const TableOptions& options);

class TableImpl final : public VersionedTable {
 public:
  TableImpl(Directory& directory, const TableOptions& options, TableParts parts);

  // One state; the same contracts as Table.
  Result<std::string_view> get(StateId state, std::string_view key);
  Result<void> visit(StateId state, std::string_view from, std::string_view to,
                     EntryVisitor visitor);
  Result<void> read_data(DataPointer first, std::span<const std::uint64_t> sums, ByteSpan into);
  Result<Ticket> apply(StateId state, Batch& batch);

  std::unique_ptr<Table> view(StateId state) override;
  Result<StateId> checkpoint(StateId head, std::string_view label) override;
  Result<StateId> branch(StateId checkpoint, std::string_view label) override;
  Result<StateId> rollback(StateId head, StateId to, std::string_view label, Batch* then) override;
  Result<void> freeze(StateId head, std::string_view label) override;
  Result<void> drop(StateId state) override;
  Result<void> set_label(StateId state, std::string_view label) override;
  std::vector<StateInfo> states() const override;
  Result<std::unique_ptr<StatePin>> pin(StateId checkpoint) override;
  std::unique_ptr<TableDiff> diff(const StatePin* before, const StatePin& after) override;
  Result<std::uint64_t> unique_bytes(StateId checkpoint) override;

  void want_durable(Ticket ticket) override;
  Ticket applied() const override { return applied_; }
  Ticket durable() const override { return options_.sync ? synced_ : written_; }
  const std::optional<Error>& failure() const override { return failure_; }
  std::unique_ptr<Job> take_load() override;
  std::unique_ptr<Job> next_job() override;
  void complete(std::unique_ptr<Job> job) override;
  bool busy() const override;
  void prepare_close() override;
  const std::optional<Error>& stalled() const override { return write_stall_.error(); }
  TableUsage usage() const override;
  Result<DiskSpace> disk_space() const override { return directory_.space(); }

 private:
  // Reading.
  Result<const State*> visible(StateId state) const;
  Result<std::string_view> get_from_tree(const TreeRoot& root, std::string_view key);
  bool copy_pending(const DataPointer& first, ByteSpan into) const;
  Result<void> verify(const DataPointer& first, std::span<const std::uint64_t> sums,
                      ByteView bytes) const;

  // Applying. `operation`: null for plain changes.
  Result<void> check(const Batch& batch, bool needs_edits) const;
  Result<void> check_depth(const StateOperation& operation);
  Result<void> admit(std::uint64_t bytes, const Batch& batch);
  Result<StateId> operate(StateOperation operation, Batch* then);
  Result<void> commit(StateId state, Batch& batch, const StateOperation* operation);
  void encode(StateId state, Batch& batch, const StateOperation* operation, DataPointer first);
  void take(StateId state, Batch& batch);
  void release(StateId head, const DataPointer& first, std::uint32_t blocks);
  void seal();
  void take_spent();
  void freeze_all();

  // Jobs.
  bool write_due() const;
  bool sync_due() const;
  bool freeze_due() const;
  bool much_is_dead() const;
  void count_live();
  bool merge_due() const;
  bool close_due() const;
  std::unique_ptr<Job> make_write();
  std::unique_ptr<Job> make_merge();
  std::unique_ptr<Job> make_cleanup();
  std::unique_ptr<Job> make_close();
  std::unique_ptr<Job> next_maintenance();
  std::unique_ptr<Job> make_reserve();
  void plan_blocks(MergeJob& job) const;
  void plan_versions(MergeJob& job) const;
  void done(LoadJob& job);
  void done(WriteJob& job);
  void done(MergeJob& job);
  void done(CleanupJob& job);
  void done(CloseJob& job);
  void done(WalkJob& job);
  void damaged(std::string what);
  void fail(const Error& error, const char* what);

  // Walks over trees, for dropped states and for measuring; and pins.
  class Pin;
  bool walk_due() const;
  void advance_walks();
  void begin_walk(StateWalk& work, StateId state);
  std::unique_ptr<Job> make_walk();
  bool still_holds(const MeasuredState& measured, StateId state) const;
  void begin_measure();
  void end_measure(Result<bool> over);
  StateId next_to_drop() const;
  void begin_drop();
  void end_drop_walk(Result<bool> over);
  void finish_drop();
  void note_held(StateId head, const DataPointer& first, std::uint32_t blocks);
  void note_kept(const Version& version, const std::vector<PagePointer>& kept);
  void settle_pages();

  Directory& directory_;
  TableOptions options_;
  std::unique_ptr<File> lock_;
  SharedFile superblock_file_, tree_;
  Superblock superblock_;                       // as on disk
  TreePages pages_;
  PageAllocator allocator_;                     // as on disk; settled, unless trees are walked
  Journal journal_;
  StateSet states_;
  MergeJob::StoredStates stored_states_;        // as on disk
  BlockLedger ledger_;                          // since the last freeze
  std::unique_ptr<FrozenTable> frozen_;         // being merged, or waiting for the journal
  std::map<std::uint32_t, std::uint64_t> live_; // live data blocks by segment, as in the tree
  std::uint64_t live_blocks_ = 0;               // in all
  std::set<std::uint32_t> segments_;            // that exist
  SegmentFiles files_;
  std::map<std::uint32_t, SharedFile> dirty_;   // written, not synced
  bool dirty_names_ = false;
  std::vector<DeadRange> to_punch_;             // durable in the tree as such; done by the cleanup
  std::vector<std::string> punch_keys_;         // the records that say so
  bool cleanup_due_ = false;
  bool merge_wanted_ = false;                   // whatever the memory tables hold
  std::map<StateId, std::size_t> pins_;         // how many, by state
  // Under way: at most one of the two, and no page that merges free meanwhile is used again.
  std::unique_ptr<DropWork> drop_;
  std::unique_ptr<MeasureWork> measure_;
  std::set<StateId> undroppable_;               // damaged
  std::set<StateId> to_measure_;
  std::map<StateId, MeasuredState> measured_;
  bool walk_out_ = false;

  Ticket applied_ = 0, written_ = 0, synced_ = 0, wanted_ = 0;
  std::optional<Error> failure_;
  Stall write_stall_, merge_stall_;
  SpaceWatch space_;
  LoadedData loaded_;
  std::optional<WantedPage> wanted_page_;       // what take_load() is about
  std::optional<WantedData> wanted_data_;
  std::vector<std::string> damage_;             // found by merges; bounded
  std::uint32_t loads_out_ = 0;
  bool write_out_ = false, maintenance_out_ = false, closing_ = false;
  std::string edits_;                           // scratch of commit()

  friend class MergedWalk;
};

}  // namespace rowan::cache
