// A head's changes since the last freeze are in its active memory table. Whatever needs the content
// of that moment (a checkpoint, a merge) turns the table into a version, which is never changed
// again, and begins a new one. Versions hang together as the states do, so that a content which
// several states have is kept, merged and read once.
#include "cache/table_state_set.h"

#include <algorithm>
#include <utility>

#include "rpc/base/check.h"

namespace rowan::cache {
namespace {

std::string name_of(StateId id) { return "state " + std::to_string(to_number(id)); }

Error gone(StateId id) { return Error(Errc::stale, "there is no " + name_of(id)); }

std::size_t depth_of(const Version* version) {
  std::size_t depth = 0;
  for (; version != nullptr && !version->root; version = version->below.get()) ++depth;
  return depth;
}

using Kind = StateOperation::Kind;

}  // namespace

void StateSet::insert(StateInfo info, TreeRoot root) {
  const StateId id = info.id;
  if (info.dropped) dropped_.insert(id);
  State& state = states_[id];
  const std::size_t children = state.children;  // they may have come first
  state = State{std::move(info), children, std::make_shared<Version>(), nullptr};
  state.version->root = root;
  if (state.info.head) state.active = std::make_unique<MemoryTable>();
  if (state.info.parent != no_state) ++states_[state.info.parent].children;
}

State& StateSet::at(StateId id) {
  const auto found = states_.find(id);
  CHECK(found != states_.end());
  return found->second;
}

const State* StateSet::find(StateId id) const {
  const auto found = states_.find(id);
  return found == states_.end() || found->second.info.dropped ? nullptr : &found->second;
}

Ticket StateSet::frozen_at(StateId id) const {
  const auto found = states_.find(id);
  return found == states_.end() ? 0 : found->second.info.frozen_at;
}

std::vector<StateId> StateSet::children(StateId id) const {
  std::vector<StateId> found;
  for (const auto& [child, state] : states_) {
    if (state.info.parent == id) found.push_back(child);
  }
  return found;
}

// ---- operations

Result<void> StateSet::check(const StateOperation& operation) const {
  if (operation.label.size() > max_label_bytes)
    return Error(Errc::too_big, "a label of " + std::to_string(operation.label.size()) + " bytes");
  const bool branches = operation.kind == Kind::branch;
  const State* state = find(operation.state);
  if (!branches && state == nullptr) return gone(operation.state);
  if (branches || operation.kind == Kind::rollback) {
    const State* other = find(operation.other);
    if (other == nullptr) return gone(operation.other);
    if (other->info.head)
      return Error(Errc::invalid, name_of(operation.other) + " is not a checkpoint");
  }
  const bool of_head = operation.kind == Kind::checkpoint || operation.kind == Kind::rollback ||
                       operation.kind == Kind::freeze;
  if (of_head && !state->info.head)
    return Error(Errc::invalid, name_of(operation.state) + " is not a head");
  if (operation.kind == Kind::drop && states_.size() - dropped_.size() == 1)
    return Error(Errc::invalid, name_of(operation.state) + " is the last one of its table");
  return {};
}

void StateSet::apply(const StateOperation& operation, Ticket ticket) {
  const StateId made = made_by(ticket);
  if (operation.kind == Kind::branch) {
    State& head = states_[made];
    head.info.id = made;
    head.info.label = operation.label;
    head.version = at(operation.other).version;
    head.active = std::make_unique<MemoryTable>();
    return move_to(head, operation.other);
  }
  State& state = at(operation.state);
  if (operation.kind == Kind::set_label) {
    state.info.label = operation.label;
    return;
  }
  if (state.info.head) push_changes(state);
  switch (operation.kind) {
    case Kind::checkpoint:
      add_checkpoint(made, state, ticket, operation.label);
      return move_to(state, made);
    case Kind::rollback:
      add_checkpoint(made, state, ticket, operation.label);
      state.version = at(operation.other).version;
      return move_to(state, operation.other);
    case Kind::freeze:
      state.info.label = operation.label;
      break;
    case Kind::drop:
      state.info.dropped = true;
      dropped_.insert(operation.state);
      break;
    case Kind::branch:
    case Kind::set_label:
      CHECK(false);
  }
  if (!state.info.head) return;
  state.info.head = false;
  state.info.frozen_at = ticket;
  state.active.reset();
}

void StateSet::add_checkpoint(StateId id, const State& of, Ticket ticket,
                              const std::string& label) {
  State& checkpoint = states_[id];
  checkpoint.info.id = id;
  checkpoint.info.head = false;
  checkpoint.info.frozen_at = ticket;
  checkpoint.info.label = label;
  checkpoint.version = of.version;
  move_to(checkpoint, of.info.parent);
}

void StateSet::move_to(State& state, StateId parent) {
  if (state.info.parent != no_state) --at(state.info.parent).children;
  state.info.parent = parent;
  if (parent != no_state) ++at(parent).children;
}

void StateSet::remove(StateId id) {
  const State& gone = at(id);
  CHECK_LE(gone.children, 1u);
  const StateId parent = gone.info.parent;
  // What is not merged yet will be, without this state.
  for (const auto& version : unmerged_) {
    if (version->over == id) version->over = parent;
  }
  for (const StateId child : children(id)) move_to(at(child), parent);
  if (parent != no_state) --at(parent).children;
  dropped_.erase(id);
  states_.erase(id);
}

// ---- changes

void StateSet::set(StateId head, Ticket ticket, std::string key, MemoryTable::Value value) {
  MemoryTable& active = *at(head).active;
  if (active.empty()) ++heads_with_changes_;
  const std::uint64_t before = active.bytes();
  active.set(std::move(key), std::move(value));
  active.last = ticket;
  bytes_ += active.bytes() - before;
}

bool StateSet::is_held(StateId head, Ticket birth) const {
  const auto found = states_.find(head);
  CHECK(found != states_.end());
  return birth <= frozen_at(found->second.info.parent);
}

void StateSet::push_changes(State& head) {
  if (head.active->empty()) return;
  auto version = std::make_shared<Version>();
  version->below = head.version;
  version->changes = std::move(head.active);
  version->over = head.info.parent;
  version->depth = depth_of(head.version.get()) + 1;
  deepest_ = std::max(deepest_, version->depth);
  unmerged_.push_back(version);
  head.version = std::move(version);
  head.active = std::make_unique<MemoryTable>();
  --heads_with_changes_;
}

void StateSet::freeze_heads() {
  if (heads_with_changes_ == 0) return;
  for (auto& [id, state] : states_) {
    if (state.info.head) push_changes(state);
  }
}

bool StateSet::anything_unmerged() const { return heads_with_changes_ != 0 || !unmerged_.empty(); }

std::vector<std::shared_ptr<Version>> StateSet::take_unmerged() {
  CHECK_EQ(heads_with_changes_, 0u);
  bytes_ = 0;
  deepest_ = 0;
  return std::exchange(unmerged_, {});
}

}  // namespace rowan::cache
