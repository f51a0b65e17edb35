#include "proxy/pool_set.h"

#include <utility>

#include "proxy/blocking.h"
#include "proxy/state_question.h"
#include "proxy/stream_header.h"

namespace rowan::proxy {

Task<Result<std::unique_ptr<cache::Store>>> Pool::store(cache::StateId state) {
  auto question = [this, state] { return family_->store(state); };
  co_return co_await jobs_.with_loads(question);
}

Task<Result<std::unique_ptr<cache::StatePin>>> Pool::pin(cache::StateId checkpoint) {
  return pin_state(*family_, jobs_, checkpoint);
}

Task<Result<cache::StateId>> Pool::moment(cache::StateId head) {
  auto question = [this, head] { return family_->checkpoint(head, encode_mark({})); };
  co_return co_await when_possible(jobs_, question);
}

Task<Result<void>> Pool::drop(cache::StateId state) {
  auto question = [this, state] { return family_->drop(state); };
  Result<void> dropped = co_await when_possible(jobs_, question);
  jobs_.pump();
  co_return dropped;
}

Task<Result<void>> Pool::settle() { return jobs_.durable(family_->applied()); }

Task<Result<Pool*>> PoolSet::acquire(PoolId id, std::unique_ptr<cache::Directory> directory) {
  Entry& entry = entries_.try_emplace(id, loop_).first->second;
  ++entry.users;
  co_await entry.turn.take();
  Result<void> opened;
  if (!entry.pool) opened = co_await open(entry, id, std::move(directory));
  if (!opened) --entry.users;
  entry.turn.give_back();
  Pool* pool = entry.pool.get();
  if (entry.users == 0) entries_.erase(id);
  if (!opened) co_return std::move(opened).error();
  co_return pool;
}

Task<Result<void>> PoolSet::open(Entry& entry, PoolId id,
                                 std::unique_ptr<cache::Directory> directory) {
  auto open_it = [&directory, this] { return cache::StoreFamily::open(*directory, options_); };
  Result<std::unique_ptr<cache::StoreFamily>> family =
      co_await run_blocking(disk_, loop_, std::move(open_it));
  if (!family) co_return std::move(family).error();
  entry.pool =
      std::make_unique<Pool>(loop_, disk_, id, std::move(directory), std::move(*family));
  entry.pool->jobs().stop_waiting(patience_ends_);
  if (prepare_) prepare_(*entry.pool);
  entry.pool->jobs().pump();
  co_return Result<void>();
}

Task<Result<void>> PoolSet::release(PoolId id) {
  auto found = entries_.find(id);
  CHECK(found != entries_.end() && found->second.users > 0);
  Entry& entry = found->second;
  co_await entry.turn.take();
  --entry.users;
  Result<void> closed;
  if (entry.users == 0) closed = co_await close(entry);
  entry.turn.give_back();
  if (entry.users == 0) entries_.erase(id);
  co_return closed;
}

Task<Result<void>> PoolSet::close(Entry& entry) {
  Pool& pool = *entry.pool;
  Result<void> result;
  if (!pool.family().stalled()) result = co_await pool.settle();
  if (pool.family().stalled()) result = *pool.family().stalled();
  // A failed store has nothing to note; a stalled one would wait for room.
  if (result) pool.family().prepare_close();
  co_await pool.jobs().drain();
  entry.pool.reset();
  co_return result;
}

void PoolSet::stop_waiting(MonotonicTime from) {
  patience_ends_ = from;
  for (auto& [id, entry] : entries_) {
    if (entry.pool) entry.pool->jobs().stop_waiting(from);
  }
}

Pool* PoolSet::find(PoolId id) {
  auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second.pool.get();
}

std::size_t PoolSet::open_pools() const {
  std::size_t count = 0;
  for (const auto& [id, entry] : entries_) count += entry.pool ? 1 : 0;
  return count;
}

}  // namespace rowan::proxy
