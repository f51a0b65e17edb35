// Redirect stores that descend from one another: the states of one versioned table, each shown as a
// Store. A head is an appliance's store; a checkpoint is the same, read-only.
//
// Strand, jobs, needs_load, tickets and failure: as in table.h. The family and all its stores share
// them: whoever drives one drives all.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "cache/store.h"
#include "cache/store_records.h"
#include "cache/table_versions.h"

namespace rowan::cache {

class StoreFamily : public JobSource {
 public:
  // As Store::create() and open(). A new family has one head, first_state, an empty store.
  static Result<std::unique_ptr<StoreFamily>> create(Directory& directory,
                                                     const StoreOptions& options);
  static Result<std::unique_ptr<StoreFamily>> open(Directory& directory,
                                                   const StoreOptions& options);

  // The store of a state; must not outlive the family. busy: the head's is there already. stale: no
  // such state. needs_load, corrupt, io. Its prepare_close() ends only its own background work; its
  // StoreUsage::disk_bytes are those of the whole family. apply() to a checkpoint's says read_only.
  virtual Result<std::unique_ptr<Store>> store(StateId state) = 0;

  // As in table_versions.h. After rollback() the head's store shows the other content at once, has
  // another write verifier, and gives out numbers of objects and positions above all that it ever
  // did; needs_load is possible.
  virtual Result<StateId> checkpoint(StateId head, std::string_view label) = 0;
  virtual Result<StateId> branch(StateId checkpoint, std::string_view label) = 0;
  virtual Result<StateId> rollback(StateId head, StateId to, std::string_view label) = 0;
  virtual Result<void> freeze(StateId head, std::string_view label) = 0;
  virtual Result<void> drop(StateId state) = 0;
  virtual Result<void> set_label(StateId state, std::string_view label) = 0;
  virtual std::vector<StateInfo> states() const = 0;
  virtual Result<std::unique_ptr<StatePin>> pin(StateId checkpoint) = 0;
  // Its differences are told apart by decode_difference().
  virtual std::unique_ptr<TableDiff> diff(const StatePin* before, const StatePin& after) = 0;
  // As in table_versions.h: what only this checkpoint needs, data and records.
  virtual Result<std::uint64_t> unique_bytes(StateId checkpoint) = 0;

  virtual TableUsage usage() const = 0;
  virtual Result<DiskSpace> disk_space() const = 0;
};

// ---- what differs between two states of a family, in the terms of a store

struct ObjectDifference {
  ObjectId id = no_object;
  std::optional<ObjectRecord> before, after;   // nothing: unchanged from the image, or not made
};
struct NameDifference {
  ObjectId directory = no_object;
  std::string name;
  std::optional<NameRecord> before, after;     // nothing: the image decides
};
// Extents are whole records: the same bytes may lie in one before and in another after.
struct ExtentDifference {
  ObjectId id = no_object;
  std::optional<StoredExtent> before, after;
};
struct PurgeDifference {
  ObjectId id = no_object;
  std::vector<PurgeMark> before, after;
};
// Nothing: what follows from the others (counters, the listing order of names).
using StoreDifference = std::variant<std::monostate, ObjectDifference, NameDifference,
                                     ExtentDifference, PurgeDifference>;
Result<StoreDifference> decode_difference(const TableDifference& difference);   // corrupt

}  // namespace rowan::cache
