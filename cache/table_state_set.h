// The states of a table in memory, and what each operation and edit does to them: the same code
// when a batch is applied and when it is replayed. No I/O.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cache/table_memory.h"
#include "cache/table_page.h"
#include "cache/table_versions.h"

namespace rowan::cache {

// The content of a state at some moment: a tree, or changes over another version until a merge has
// made its tree. Shared by all states that had this content.
struct Version {
  std::optional<TreeRoot> root;
  std::shared_ptr<Version> below;              // without a root: what the changes are over
  std::shared_ptr<const MemoryTable> changes;  // without a root
  // The checkpoint that was the parent when the changes were made: it may need pages they replace.
  StateId over = no_state;
  std::size_t depth = 0;                       // versions without a root, this one included
};

struct State {
  StateInfo info;
  std::size_t children = 0;
  std::shared_ptr<Version> version;
  std::unique_ptr<MemoryTable> active;         // of a head: changes over `version`
};

struct StateOperation {
  enum class Kind : std::uint8_t {
    checkpoint = 1, branch = 2, rollback = 3, freeze = 4, drop = 5, set_label = 6
  };
  Kind kind = Kind::checkpoint;
  StateId state = no_state;   // of branch: made_by() the ticket, the head to be made
  StateId other = no_state;   // what branch and rollback go on from
  std::string label;
};

// The state that the operation with this ticket makes.
constexpr StateId made_by(Ticket ticket) { return StateId{ticket + 1}; }

class StateSet {
 public:
  // A state as it is stored: versions have roots.
  void insert(StateInfo info, TreeRoot root);

  // Null: not there or dropped.
  const State* find(StateId id) const;
  // Dropped ones included.
  const std::map<StateId, State>& all() const { return states_; }
  const std::set<StateId>& dropped() const { return dropped_; }
  Ticket frozen_at(StateId id) const;           // 0: no such state
  std::vector<StateId> children(StateId id) const;

  Result<void> check(const StateOperation& operation) const;
  // After check(), with the ticket of its batch. `operation.state` of a branch is made_by(ticket).
  void apply(const StateOperation& operation, Ticket ticket);

  // A put or an erase in a head.
  void set(StateId head, Ticket ticket, std::string key, MemoryTable::Value value);
  // True if the head's parent refers to data of that birth as well.
  bool is_held(StateId head, Ticket birth) const;

  // Every head's changes become a version, so that versions without a root hold all that was
  // applied.
  void freeze_heads();
  bool anything_unmerged() const;
  // The versions without a root that have not been taken yet; each after the one it is over.
  std::vector<std::shared_ptr<Version>> take_unmerged();
  // Bytes in memory and the deepest stack of versions, without those taken.
  std::uint64_t unmerged_bytes() const { return bytes_; }
  std::size_t deepest() const { return deepest_; }

  // A dropped state with at most one child goes; the child comes to its parent.
  void remove(StateId id);

 private:
  State& at(StateId id);
  void push_changes(State& head);
  void add_checkpoint(StateId id, const State& of, Ticket ticket, const std::string& label);
  void move_to(State& state, StateId parent);

  std::map<StateId, State> states_;
  std::set<StateId> dropped_;
  std::size_t heads_with_changes_ = 0;
  std::vector<std::shared_ptr<Version>> unmerged_;
  std::uint64_t bytes_ = 0;
  std::size_t deepest_ = 0;
};

}  // namespace rowan::cache
