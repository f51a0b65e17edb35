// A table with several states: versions of all its records that share what they have in common, in
// one journal and one tree file. States form a tree. A head takes changes; a checkpoint is frozen.
//
//   checkpoint   a head's content so far becomes a checkpoint, the head goes on above it
//   branch       a new head begins with a checkpoint's content (a clone)
//   rollback     a head's content so far becomes a checkpoint, and the head goes on with another
//                one's
//   freeze       a head becomes a checkpoint itself
//   drop         a state is hidden at once; what it alone refers to is given back in the
//                background. With several children it stays, hidden, until one is left.
//
// Each is one batch with a ticket of its own, as durable as any batch, and costs the same whatever
// the table holds and however many states there are. All heads share tickets and group commits.
//
// Errors of the operations, besides those of Table::apply(): stale (no such state, or dropped),
// invalid (not a head, not a checkpoint, the last state), too_big (the label), try_later (too many
// changes lie unmerged below the head: run jobs, then again). Afterwards applied() is the batch's
// ticket.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/table.h"
#include "cache/table_diff.h"

namespace rowan::cache {

inline constexpr std::size_t max_label_bytes = 4096;

struct StateInfo {
  StateId id = no_state;
  StateId parent = no_state;   // the checkpoint it is above; no_state: none
  bool head = true;
  bool dropped = false;        // hidden; kept for its children, for a pin, or being given back
  Ticket frozen_at = 0;        // of a checkpoint: it holds the batches below this ticket
  std::string label;           // the caller's
};

// Keeps a checkpoint's tree and data, even if it is dropped meanwhile. Belongs to the table's
// strand and must not outlive the table.
class StatePin {
 public:
  virtual ~StatePin() = default;
  StatePin(const StatePin&) = delete;
  StatePin& operator=(const StatePin&) = delete;
  StateId state() const { return state_; }
  const TreeRoot& root() const { return root_; }
  std::uint64_t epoch() const { return epoch_; }   // what its pages must be of

 protected:
  StatePin(StateId state, TreeRoot root, std::uint64_t epoch)
      : state_(state), root_(root), epoch_(epoch) {}

 private:
  StateId state_;
  TreeRoot root_;
  std::uint64_t epoch_;
};

class VersionedTable {
 public:
  // As Table::create() and open(). A new table has one head, first_state, without a label.
  static Result<std::unique_ptr<VersionedTable>> create(Directory& directory,
                                                        const TableOptions& options);
  static Result<std::unique_ptr<VersionedTable>> open(Directory& directory,
                                                      const TableOptions& options);
  virtual ~VersionedTable() = default;

  // One state as a table; must not outlive this object. All views share jobs, tickets and failure:
  // whoever drives one drives all, and prepare_close() of a view does nothing. apply() to a
  // checkpoint says read_only; every call says stale once the state is dropped.
  virtual std::unique_ptr<Table> view(StateId state) = 0;

  virtual Result<StateId> checkpoint(StateId head, std::string_view label) = 0;
  virtual Result<StateId> branch(StateId checkpoint, std::string_view label) = 0;
  // Gives the checkpoint of what the head held. `then` (may be null, holds no data) is applied to
  // the head's new content in the same batch.
  virtual Result<StateId> rollback(StateId head, StateId to, std::string_view label,
                                   Batch* then) = 0;
  virtual Result<void> freeze(StateId head, std::string_view label) = 0;
  virtual Result<void> drop(StateId state) = 0;
  virtual Result<void> set_label(StateId state, std::string_view label) = 0;
  // By ascending id, dropped ones that are still there included.
  virtual std::vector<StateInfo> states() const = 0;

  // try_later: what it holds is not merged yet; run jobs, then again. invalid: a head (make a
  // checkpoint of it first). stale.
  virtual Result<std::unique_ptr<StatePin>> pin(StateId checkpoint) = 0;
  // What `after` has otherwise than `before` (null: than nothing). The pins must outlive it; it is
  // for a disk thread.
  virtual std::unique_ptr<TableDiff> diff(const StatePin* before, const StatePin& after) = 0;

  // Tree pages and data that this checkpoint needs and neither its parent nor any child: what comes
  // back if it is dropped (with several children: not before one is left). try_later: it is being
  // found out; run jobs, then again. The answer is of a moment since it was first asked for, and
  // costs what the checkpoint differs from its neighbours. invalid: a head. stale, corrupt, io;
  // no_space: changes cannot be merged.
  virtual Result<std::uint64_t> unique_bytes(StateId checkpoint) = 0;

  // Jobs, tickets, failure, usage: as in Table.
  virtual void want_durable(Ticket ticket) = 0;
  virtual Ticket applied() const = 0;
  virtual Ticket durable() const = 0;
  virtual const std::optional<Error>& failure() const = 0;
  virtual std::unique_ptr<Job> take_load() = 0;
  virtual std::unique_ptr<Job> next_job() = 0;
  virtual void complete(std::unique_ptr<Job> job) = 0;
  virtual bool busy() const = 0;
  virtual void prepare_close() = 0;
  virtual const std::optional<Error>& stalled() const = 0;
  virtual TableUsage usage() const = 0;
  virtual Result<DiskSpace> disk_space() const = 0;
};

}  // namespace rowan::cache
