#include "proxy/versions.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "proxy/blocking.h"
#include "proxy/names.h"
#include "proxy/state_question.h"
#include "proxy/store_maker.h"
#include "proxy/stream_header.h"
#include "rpc/base/log.h"
#include "rpc/base/random.h"

namespace rowan::proxy {
namespace {

using cache::StateId;
using cache::StateInfo;

std::string quoted(const ApplianceRecord& record, std::string_view checkpoint) {
  return "'" + record.name + "@" + std::string(checkpoint) + "'";
}

bool is_taken(const History& history, std::string_view name) {
  auto same = [name](const Checkpoint& checkpoint) { return checkpoint.label.name == name; };
  return std::any_of(history.checkpoints.begin(), history.checkpoints.end(), same);
}

}  // namespace

Result<Checkpoint> find_checkpoint(const History& history, const ApplianceRecord& record,
                                   std::string_view name) {
  for (const Checkpoint& checkpoint : history.checkpoints) {
    if (checkpoint.label.name == name) return checkpoint;
  }
  return Error(Errc::not_found, "no checkpoint " + quoted(record, name) + "; 'rowan log " +
                                    record.name + "' shows what there is");
}

// Two in one second are told apart by a number, for which a long name gives way.
std::string free_name(const History& history, const std::string& wanted) {
  std::string name = wanted;
  for (int number = 2; is_taken(history, name); ++number) {
    const std::string suffix = "-" + std::to_string(number);
    name = wanted.substr(0, max_name_length - suffix.size()) + suffix;
  }
  return name;
}

History history_of(Pool& pool, const ApplianceRecord& record) {
  History history;
  std::unordered_map<StateId, StateId> below;  // of the appliance's own: itself
  const std::vector<StateInfo> states = pool.family().states();
  for (const StateInfo& info : states) {
    const bool there = !info.head && !info.dropped;
    const CheckpointLabel* label = there ? pool.labels().label_of(info) : nullptr;
    const bool own = label != nullptr && label->appliance == record.id;
    if (own) history.checkpoints.push_back({info.id, info.parent, *label});
    below[info.id] = own ? info.id : info.parent;
  }
  pool.labels().keep(states);
  auto nearest = [&](StateId state) {
    for (auto it = below.find(state); it != below.end(); it = below.find(state)) {
      if (it->second == state) return state;
      state = it->second;
    }
    return cache::no_state;
  };
  for (Checkpoint& checkpoint : history.checkpoints) checkpoint.parent = nearest(checkpoint.parent);
  history.running_on = nearest(record.head);
  // Ids are given out in order, whatever the clock said.
  std::reverse(history.checkpoints.begin(), history.checkpoints.end());
  return history;
}

std::size_t drop_orphans(cache::StoreFamily& family, const std::vector<ApplianceRecord>& users,
                         std::int64_t now) {
  auto is_owned = [&](const StateInfo& info) {
    if (info.dropped) return true;
    const auto mark = decode_mark(info.label);
    if (mark) return info.head && now - mark->touched < receive_patience_seconds;
    Result<CheckpointLabel> label = decode_label(info.label);
    // What nobody can read is not known to be nobody's.
    if (!info.head && !label) return true;
    return std::any_of(users.begin(), users.end(), [&](const ApplianceRecord& user) {
      return info.head ? user.head == info.id : user.id == label->appliance;
    });
  };
  std::size_t count = 0;
  for (const StateInfo& info : family.states()) {
    if (is_owned(info)) continue;
    Result<void> dropped = family.drop(info.id);
    if (dropped) ++count;
    if (!dropped) log(Level::warn, "state.not_dropped", {{"why", to_string(dropped.error())}});
  }
  return count;
}

CheckpointLabel Versions::new_label(const ApplianceRecord& record, const History& history,
                                    CheckpointReason reason) const {
  CheckpointLabel label;
  label.appliance = record.id;
  label.created = loop_.clock().wall().seconds;
  label.name = free_name(history, name_from_time(label.created));
  label.image = record.image;
  label.version = record.version;
  label.reason = reason;
  label.guid = random_number();
  return label;
}

void Versions::tell_changed(const ApplianceRecord& record, Pool& pool) {
  ++changes_told_;
  if (watch_.changed) watch_.changed(record, history_of(pool, record));
}

Task<Result<Pool*>> Versions::acquire(const ApplianceRecord& record) {
  PoolId id = record.pool;
  CO_TRY(auto directory, registry_.pool_directory(id));
  co_return co_await pools_.acquire(id, std::move(directory));
}

Task<void> Versions::release(Pool& pool) {
  Result<void> closed = co_await pools_.release(pool.id());
  if (!closed) log(Level::error, "pool.close_failed", {{"why", to_string(closed.error())}});
}

// ---- checkpoints

Task<Result<Checkpoint>> Versions::checkpoint(ApplianceRecord record, NewCheckpoint wanted) {
  Result<Pool*> pool = co_await acquire(record);
  if (!pool) co_return std::move(pool).error();
  Result<Checkpoint> made = co_await checkpoint_in(**pool, record, wanted);
  co_await release(**pool);
  co_return made;
}

Task<Result<Checkpoint>> Versions::checkpoint_in(Pool& pool, const ApplianceRecord& record,
                                                 const NewCheckpoint& wanted) {
  Checkpoint made;
  auto question = [&]() -> Result<StateId> {
    History history = history_of(pool, record);
    if (is_taken(history, wanted.name)) {
      return Error(Errc::exists, "there is a checkpoint " + quoted(record, wanted.name) +
                                     " already; choose another name");
    }
    made.parent = history.running_on;
    made.label = new_label(record, history, wanted.reason);
    if (!wanted.name.empty()) made.label.name = wanted.name;
    made.label.message = wanted.message;
    return pool.family().checkpoint(record.head, encode_label(made.label));
  };
  Result<StateId> state = co_await when_possible(pool.jobs(), question);
  if (!state) co_return std::move(state).error();
  made.state = *state;
  const std::uint64_t told_before = changes_told_;
  Result<void> written = co_await pool.settle();
  if (!written) co_return std::move(written).error();
  // If others changed meanwhile it may be gone again.
  if (changes_told_ != told_before) tell_changed(record, pool);
  else if (watch_.made) watch_.made(record, made);
  co_return made;
}

Task<Result<History>> Versions::history(ApplianceRecord record) {
  Result<Pool*> pool = co_await acquire(record);
  if (!pool) co_return std::move(pool).error();
  Result<History> history = history_of(**pool, record);
  co_await release(**pool);
  co_return history;
}

Task<Result<std::vector<std::optional<std::uint64_t>>>> Versions::unique_bytes(
    ApplianceRecord record, History history) {
  Result<Pool*> pool = co_await acquire(record);
  if (!pool) co_return std::move(pool).error();
  std::vector<std::optional<std::uint64_t>> sizes;
  for (const Checkpoint& checkpoint : history.checkpoints) {
    cache::StoreFamily& family = (*pool)->family();
    auto question = [&family, &checkpoint] { return family.unique_bytes(checkpoint.state); };
    Result<std::uint64_t> bytes = co_await when_possible((*pool)->jobs(), question);
    sizes.push_back(bytes ? std::optional(*bytes) : std::nullopt);
  }
  co_await release(**pool);
  co_return sizes;
}

// ---- rollback

Task<Result<Checkpoint>> Versions::rollback(ApplianceRecord record, std::string checkpoint) {
  Appliance* appliance = exports_.find(record.id);
  if (appliance != nullptr && appliance->waiting()) {
    co_return Error(Errc::busy, "appliance '" + record.name + "' is busy with another request");
  }
  Result<Pool*> pool = co_await acquire(record);
  if (!pool) co_return std::move(pool).error();
  if (appliance != nullptr) co_await appliance->pause();
  Result<Checkpoint> left = co_await rollback_in(**pool, record, checkpoint);
  if (appliance != nullptr) appliance->resume();
  if (left) tell_changed(record, **pool);
  co_await release(**pool);
  co_return left;
}

Task<Result<Checkpoint>> Versions::rollback_in(Pool& pool, const ApplianceRecord& record,
                                               const std::string& checkpoint) {
  Checkpoint left;
  auto question = [&]() -> Result<StateId> {
    History history = history_of(pool, record);
    TRY(Checkpoint target, find_checkpoint(history, record, checkpoint));
    if (target.label.version != record.version || target.label.image != record.image) {
      return Error(Errc::not_supported, quoted(record, checkpoint) + " is above image " +
                                            target.label.image + "@" + target.label.version +
                                            ", the appliance above another");
    }
    left.parent = history.running_on;
    left.label = new_label(record, history, CheckpointReason::rollback);
    left.label.message = "before the rollback to " + checkpoint;
    return pool.family().rollback(record.head, target.state, encode_label(left.label));
  };
  Result<StateId> state = co_await when_possible(pool.jobs(), question);
  if (!state) co_return std::move(state).error();
  left.state = *state;
  Result<void> written = co_await pool.settle();
  if (!written) co_return std::move(written).error();
  co_return left;
}

// ---- clones

Task<Result<void>> Versions::clone(ApplianceRecord record, std::string checkpoint, Adopt adopt) {
  Result<Pool*> pool = co_await acquire(record);
  if (!pool) co_return std::move(pool).error();
  Result<StateId> head = co_await branch_in(**pool, record, checkpoint);
  Result<void> done;
  if (head) {
    done = co_await adopt(*head);
    // If that fails too it goes with the pool's orphans.
    if (!done) (void)co_await (*pool)->drop(*head);
  } else {
    done = std::move(head).error();
  }
  co_await release(**pool);
  co_return done;
}

// What a clone of the running state begins with is dropped at once: it stays until one of the two
// is gone.
Task<Result<StateId>> Versions::branch_in(Pool& pool, const ApplianceRecord& record,
                                          const std::string& checkpoint) {
  StateId origin = cache::no_state;
  if (checkpoint.empty()) {
    Result<StateId> moment = co_await pool.moment(record.head);
    if (!moment) co_return moment;
    origin = *moment;
  } else {
    CO_TRY(Checkpoint named,
           find_checkpoint(history_of(pool, record), record, checkpoint));
    origin = named.state;
  }
  auto question = [&pool, origin] { return pool.family().branch(origin, {}); };
  Result<StateId> head = co_await when_possible(pool.jobs(), question);
  if (checkpoint.empty()) {
    Result<void> hidden = co_await pool.drop(origin);
    if (head && !hidden) head = std::move(hidden).error();
  }
  if (!head) co_return head;
  Result<void> written = co_await pool.settle();
  if (!written) co_return std::move(written).error();
  co_return head;
}

// ---- dropping

Task<Result<void>> Versions::drop(ApplianceRecord record, std::string checkpoint) {
  Result<Pool*> acquired = co_await acquire(record);
  if (!acquired) co_return std::move(acquired).error();
  Pool& pool = **acquired;
  auto question = [&]() -> Result<void> {
    TRY(Checkpoint target, find_checkpoint(history_of(pool, record), record, checkpoint));
    return pool.family().drop(target.state);
  };
  Result<void> dropped = co_await when_possible(pool.jobs(), question);
  if (dropped) dropped = co_await pool.settle();
  if (dropped) tell_changed(record, pool);
  co_await release(pool);
  co_return dropped;
}

Task<Result<void>> Versions::drop_all(ApplianceRecord record) {
  Result<Pool*> acquired = co_await acquire(record);
  if (!acquired) co_return std::move(acquired).error();
  Pool& pool = **acquired;
  std::vector<StateId> states{record.head};
  for (const Checkpoint& checkpoint : history_of(pool, record).checkpoints)
    states.push_back(checkpoint.state);
  Result<void> dropped;
  for (StateId state : states) {
    if (!dropped) break;
    dropped = co_await pool.drop(state);
    // Half of it was done before a crash.
    if (dropped.failed_with(Errc::stale)) dropped = Result<void>();
  }
  if (dropped) dropped = co_await pool.settle();
  co_await release(pool);
  co_return dropped;
}

// ---- checking

// What runs at this moment, by a checkpoint that only the pin keeps.
Task<Result<void>> Versions::pin_running(Pool& pool, const ApplianceRecord& record, Pins& into) {
  Result<StateId> moment = co_await pool.moment(record.head);
  if (!moment) co_return std::move(moment).error();
  Result<std::unique_ptr<cache::StatePin>> pinned = co_await pool.pin(*moment);
  Result<void> hidden = co_await pool.drop(*moment);
  if (!pinned) co_return std::move(pinned).error();
  into.push_back(std::move(*pinned));
  co_return hidden;
}

Task<Result<std::vector<std::string>>> Versions::check(ApplianceRecord record,
                                                       const cache::CheckOptions& options) {
  Result<Pool*> pool = co_await acquire(record);
  if (!pool) co_return std::move(pool).error();
  auto findings = co_await check_in(**pool, record, options);
  (*pool)->jobs().pump();
  co_await release(**pool);
  co_return findings;
}

Task<Result<std::vector<std::string>>> Versions::check_in(Pool& pool,
                                                          const ApplianceRecord& record,
                                                          const cache::CheckOptions& options) {
  Pins pins;
  Result<void> pinned = co_await pin_running(pool, record, pins);
  if (!pinned) co_return std::move(pinned).error();
  for (const Checkpoint& checkpoint : history_of(pool, record).checkpoints) {
    Result<std::unique_ptr<cache::StatePin>> one = co_await pool.pin(checkpoint.state);
    // One that was removed meanwhile is not missed.
    if (one.failed_with(Errc::stale)) continue;
    if (!one) co_return std::move(one).error();
    pins.push_back(std::move(*one));
  }
  std::vector<cache::PinnedState> states;
  for (const auto& one : pins)
    states.push_back({one->state(), one->root(), one->epoch(), states.empty()});
  auto walk = [&pool, &states, &options] {
    return cache::check_states(pool.directory(), states, options);
  };
  Result<cache::CheckReport> report = co_await run_blocking(disk_, loop_, std::move(walk));
  if (!report) co_return std::move(report).error();
  co_return findings_of(std::move(*report));
}

}  // namespace rowan::proxy
