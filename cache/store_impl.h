// A store over one state of its table, on its strand. store.cc: reading and changing;
// store_family.cc: opening, and what happens to states.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "cache/store.h"
#include "cache/store_family.h"
#include "cache/store_records.h"
#include "cache/store_stage.h"

namespace rowan::cache {

// What a store keeps in memory of its state's records.
struct StoreMemory {
  Counters counters;
  PurgeMarks purges;
};
// needs_load until all of it was read; corrupt, io.
Result<StoreMemory> read_memory(Table& table);

class StoreFamilyImpl;

class StoreImpl final : public Store {
 public:
  StoreImpl(StoreFamilyImpl& family, StateId state, std::unique_ptr<Table> table,
            StoreMemory memory, const StoreOptions& options);
  ~StoreImpl() override;
  // From now on the family lives as long as this store, and is closed by it.
  void own(std::unique_ptr<StoreFamily> family) { family_owned_ = std::move(family); }

  Result<ObjectRecord> object(ObjectId id) override;
  Result<NameRecord> name(ObjectId directory, std::string_view name) override;
  Result<std::vector<NamedEntry>> names_after(ObjectId directory, std::uint64_t sequence,
                                              std::size_t limit) override;
  Result<bool> has_names(ObjectId directory) override;
  Result<std::vector<Extent>> extents(ObjectId id, const ObjectRecord& record, std::uint64_t offset,
                                      std::uint64_t length) override;
  Result<void> read(const Extent& extent, ByteSpan into) override;
  ObjectId next_object() override { return ObjectId{counters_.next_object++ | local_object_bit}; }
  std::uint64_t next_sequence() override { return counters_.next_sequence++; }
  Result<Ticket> apply(Transaction& transaction) override;

  void want_durable(Ticket ticket) override { table_->want_durable(ticket); }
  Ticket applied() const override { return table_->applied(); }
  Ticket durable() const override { return table_->durable(); }
  const std::optional<Error>& failure() const override { return table_->failure(); }
  std::unique_ptr<Job> take_load() override { return table_->take_load(); }
  std::unique_ptr<Job> next_job() override;
  void complete(std::unique_ptr<Job> job) override { table_->complete(std::move(job)); }
  bool busy() const override { return table_->busy(); }
  void prepare_close() override;
  const std::optional<Error>& stalled() const override { return table_->stalled(); }
  std::array<std::byte, 8> write_verifier() const override;
  StoreUsage usage() const override {
    return {counters_.data_blocks * data_block_size, counters_.objects,
            table_->usage().disk_bytes};
  }
  void set_quota(std::uint64_t bytes) override { quota_bytes_ = bytes; }
  Result<DiskSpace> disk_space() const override { return table_->disk_space(); }

  const Counters& counters() const { return counters_; }
  // The head goes on with another content.
  void reload(StoreMemory memory);
  // A part of the background work that the records ask for; null: none, or none now.
  std::unique_ptr<Job> purge_job();
  void stop_purging() { purging_ = false; }

 private:
  Result<Ticket> commit(StoreStage& stage, bool frees);
  void purge_some();
  Result<std::vector<StoredExtent>> stored(ObjectId id, std::uint64_t from, std::uint64_t to);

  std::unique_ptr<StoreFamily> family_owned_;   // or null; goes last
  StoreFamilyImpl& family_;
  StateId state_;
  std::unique_ptr<Table> table_;
  std::uint64_t quota_bytes_, verifier_ = 0;
  std::size_t eager_drops_;
  Counters counters_, durable_counters_;    // now, and as the table's record says
  PurgeMarks purges_;
  std::map<ObjectId, std::uint64_t> purge_cursors_;
  std::set<ObjectId> purge_damaged_;        // records of these cannot be read
  bool purging_ = true;
};

class StoreFamilyImpl final : public StoreFamily {
 public:
  StoreFamilyImpl(std::unique_ptr<VersionedTable> table, const StoreOptions& options)
      : table_(std::move(table)), options_(options) {}
  // The counters that a new store begins with; synchronous.
  Result<void> begin();
  void resume() { resumed_ = true; }
  Result<std::unique_ptr<StoreImpl>> open_store(StateId state);
  void forget(StateId state, const StoreImpl* store);

  Result<std::unique_ptr<Store>> store(StateId state) override;
  Result<StateId> checkpoint(StateId head, std::string_view label) override;
  Result<StateId> branch(StateId checkpoint, std::string_view label) override;
  Result<StateId> rollback(StateId head, StateId to, std::string_view label) override;
  Result<void> freeze(StateId head, std::string_view label) override;
  Result<void> drop(StateId state) override;
  Result<void> set_label(StateId state, std::string_view label) override;
  std::vector<StateInfo> states() const override { return table_->states(); }
  Result<std::unique_ptr<StatePin>> pin(StateId checkpoint) override {
    return table_->pin(checkpoint);
  }
  std::unique_ptr<TableDiff> diff(const StatePin* before, const StatePin& after) override {
    return table_->diff(before, after);
  }
  Result<std::uint64_t> unique_bytes(StateId checkpoint) override {
    return table_->unique_bytes(checkpoint);
  }

  void want_durable(Ticket ticket) override { table_->want_durable(ticket); }
  Ticket applied() const override { return table_->applied(); }
  Ticket durable() const override { return table_->durable(); }
  const std::optional<Error>& failure() const override { return table_->failure(); }
  std::unique_ptr<Job> take_load() override { return table_->take_load(); }
  std::unique_ptr<Job> next_job() override;
  void complete(std::unique_ptr<Job> job) override { table_->complete(std::move(job)); }
  bool busy() const override { return table_->busy(); }
  void prepare_close() override;
  const std::optional<Error>& stalled() const override { return table_->stalled(); }
  TableUsage usage() const override { return table_->usage(); }
  Result<DiskSpace> disk_space() const override { return table_->disk_space(); }

 private:
  Result<Counters> counters_of(StateId head);
  void no_more_head(StateId state);

  std::unique_ptr<VersionedTable> table_;
  StoreOptions options_;
  bool resumed_ = false;                  // an earlier life may have shown what a crash has lost
  std::map<StateId, StoreImpl*> heads_;   // whose stores there are
};

}  // namespace rowan::cache
