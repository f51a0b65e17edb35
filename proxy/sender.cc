#include "proxy/sender.h"

#include <utility>

#include "proxy/blocking.h"

namespace rowan::proxy {

using cache::StateId;
using cache::StatePin;

Task<Result<Sender::Pins>> Sender::pin(Pool& pool, StateId base, StateId state) {
  Pins pins;
  CO_TRY(pins.after, co_await pool.pin(state));
  if (base != cache::no_state) {
    CO_TRY(pins.before, co_await pool.pin(base));
  }
  co_return pins;
}

Task<Result<bool>> Sender::step(cache::ChangeWalk& walk, std::size_t bytes, std::string& into) {
  auto work = [&walk, bytes, &into] { return walk.step(bytes, into); };
  return run_blocking(disk_, loop_, std::move(work));
}

Task<Result<Sender::Changes>> Sender::changes(ApplianceRecord record, StateId base, StateId state,
                                              std::string behind) {
  Result<Pool*> pool = co_await pools_.pool(std::move(record));
  if (!pool) co_return std::move(pool).error();
  Result<Pins> pins = co_await pin(**pool, base, state);
  if (!pins) co_return std::move(pins).error();
  cache::ChangeWalk walk(&(*pool)->directory(),
                         (*pool)->family().diff(pins->before.get(), *pins->after));
  walk.start_after(behind);
  Changes found;
  while (found.more && found.frame.changes.empty()) {
    Result<bool> more = co_await step(walk, frame_bytes_, found.frame.changes);
    if (!more) co_return std::move(more).error();
    found.more = *more;
  }
  found.frame.reached = walk.reached();
  found.frame.totals = walk.totals();
  co_return found;
}

Task<Result<cache::ChangeTotals>> Sender::difference(Pool& pool, StateId base, StateId state) {
  Result<Pins> pins = co_await pin(pool, base, state);
  if (!pins) co_return std::move(pins).error();
  cache::ChangeWalk walk(nullptr, pool.family().diff(pins->before.get(), *pins->after));
  std::string none;
  bool more = true;
  while (more) {
    Result<bool> stepped = co_await step(walk, 1, none);
    if (!stepped) co_return std::move(stepped).error();
    more = *stepped;
  }
  co_return walk.totals();
}

}  // namespace rowan::proxy
