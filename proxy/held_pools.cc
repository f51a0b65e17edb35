#include "proxy/held_pools.h"

#include <chrono>
#include <utility>

namespace rowan::proxy {
namespace {

constexpr Duration patience = std::chrono::seconds(20);

}  // namespace

HeldPools::~HeldPools() { CHECK(held_.empty() && timer_ == 0); }

Task<Result<Pool*>> HeldPools::pool(ApplianceRecord record) {
  auto found = held_.find(record.pool);
  if (found == held_.end()) {
    if (closing_) co_return Error(Errc::busy, "the daemon is being shut down");
    Result<Pool*> pool = co_await versions_.acquire(record);
    if (!pool) co_return std::move(pool).error();
    found = held_.emplace(record.pool, Held{*pool, {}, {}}).first;
    watch();
  }
  found->second.used = loop_.clock().now();
  co_return found->second.pool;
}

Task<Result<cache::Store*>> HeldPools::store(Pool& pool, cache::StateId state) {
  std::unique_ptr<cache::Store>& held = held_.at(pool.id()).stores[state];
  if (!held) {
    Result<std::unique_ptr<cache::Store>> opened = co_await pool.store(state);
    if (!opened) co_return std::move(opened).error();
    held = std::move(*opened);
  }
  cache::Store* store = held.get();
  co_return store;
}

Task<void> HeldPools::let_go(PoolId id) {
  auto found = held_.find(id);
  if (found == held_.end()) co_return;
  Held held = std::move(found->second);
  held_.erase(found);
  held.stores.clear();
  co_await versions_.release(*held.pool);
}

Task<void> HeldPools::close() {
  closing_ = true;
  if (timer_ != 0) loop_.cancel(std::exchange(timer_, 0));
  co_await tasks_.idle();
  while (!held_.empty()) co_await let_go(held_.begin()->first);
}

void HeldPools::watch() {
  if (timer_ != 0 || closing_ || held_.empty()) return;
  timer_ = loop_.call_after(patience / 2, [this] {
    timer_ = 0;
    tasks_.start(let_go_of_idle());
  });
}

Task<void> HeldPools::let_go_of_idle() {
  co_await turn_.take();
  std::vector<PoolId> idle;
  for (const auto& [id, held] : held_) {
    if (loop_.clock().now() - held.used >= patience) idle.push_back(id);
  }
  for (const PoolId id : idle) co_await let_go(id);
  turn_.give_back();
  watch();
}

}  // namespace rowan::proxy
