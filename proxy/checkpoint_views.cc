#include "proxy/checkpoint_views.h"

#include <set>
#include <utility>

#include "proxy/serve_state.h"
#include "rpc/base/log.h"

namespace rowan::proxy {
namespace {

// splitmix64's finisher: neighbours end far apart.
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
  value = (value ^ value >> 27) * 0x94d049bb133111ebu;
  return value ^ value >> 31;
}

// Never zero.
std::uint64_t derived(std::uint64_t from, std::uint64_t guid) {
  const std::uint64_t value = mixed(from ^ mixed(guid));
  return value != 0 ? value : 1;
}

}  // namespace

cache::ApplianceId view_id(cache::ApplianceId appliance, std::uint64_t guid) {
  return cache::ApplianceId{derived(static_cast<std::uint64_t>(appliance), guid)};
}

CheckpointViews::Shared CheckpointViews::make_view(const ApplianceRecord& record,
                                                   const ImageVersion& version,
                                                   const Checkpoint& checkpoint) {
  auto view = std::make_shared<View>(loop_);
  view->id = view_id(record.id, checkpoint.label.guid);
  view->name = record.name + "@" + checkpoint.label.name;
  view->record = record;
  view->version = version;
  view->checkpoint = checkpoint;
  return view;
}

void CheckpointViews::add(const ApplianceRecord& record, const ImageVersion& version,
                          const Checkpoint& checkpoint) {
  const cache::ApplianceId id = view_id(record.id, checkpoint.label.guid);
  if (views_.contains(id)) return;
  Shared view = make_view(record, version, checkpoint);
  exports_.expect(id, view->name);
  by_name_[view->name] = view;
  views_[id] = std::move(view);
}

void CheckpointViews::know(const ApplianceRecord& record, const ImageVersion& version,
                           const History& history) {
  std::set<cache::ApplianceId> present;
  for (const Checkpoint& checkpoint : history.checkpoints) {
    present.insert(view_id(record.id, checkpoint.label.guid));
    add(record, version, checkpoint);
  }
  std::vector<Shared> gone;
  const std::string prefix = record.name + "@";
  for (auto it = by_name_.lower_bound(prefix);
       it != by_name_.end() && it->first.starts_with(prefix); ++it) {
    if (!present.contains(it->second->id)) gone.push_back(it->second);
  }
  for (const Shared& view : gone) tasks_.start(take_away(view));
}

Task<void> CheckpointViews::take_away(Shared view) {
  view->doomed = true;
  exports_.forget(view->id, view->name);
  views_.erase(view->id);
  by_name_.erase(view->name);
  co_await close_view(view);
}

Task<void> CheckpointViews::forget(cache::ApplianceId appliance) {
  std::vector<Shared> gone;
  for (const auto& [id, view] : views_) {
    if (view->record.id == appliance) gone.push_back(view);
  }
  for (const Shared& view : gone) co_await take_away(view);
}

// ---- opening

Task<Result<Appliance*>> CheckpointViews::open(std::string name) {
  auto found = by_name_.find(name);
  if (found == by_name_.end()) co_return Error(Errc::not_found, "no checkpoint '" + name + "'");
  Shared view = found->second;
  co_return co_await open_view(view);
}

void CheckpointViews::summon(cache::ApplianceId id) {
  auto found = views_.find(id);
  if (found != views_.end() && !stopping_) tasks_.start(open_unasked(found->second));
}

Task<void> CheckpointViews::open_unasked(Shared view) {
  Result<Appliance*> opened = co_await open_view(view);
  // It has been logged; the client asks again.
  if (!opened) co_return;
}

Task<Result<Appliance*>> CheckpointViews::open_view(Shared view) {
  co_await view->turn.take();
  Result<void> opened;
  if (view->doomed || stopping_) {
    opened = Error(Errc::not_found, "checkpoint '" + view->name + "' is going");
  } else if (exports_.find(view->id) == nullptr) {
    opened = co_await open_now(*view);
    if (!opened)
      log(Level::error, "checkpoint.failed",
          {{"checkpoint", view->name}, {"why", to_string(opened.error())}});
  }
  Appliance* appliance = exports_.find(view->id);
  view->turn.give_back();
  if (!opened) co_return std::move(opened).error();
  co_return appliance;
}

Task<Result<void>> CheckpointViews::open_now(View& view) {
  StateToServe what;
  CO_TRY(what.settings, settings_of(view.record));
  what.settings.name = view.name;
  what.settings.id = view.id;
  what.settings.fsid = derived(view.record.fsid, view.checkpoint.label.guid);
  what.settings.read_only = true;
  what.settings.quota_bytes = 0;
  what.image = view.record.image;
  what.version = view.version;
  what.pool = view.record.pool;
  what.state = view.checkpoint.state;
  const ServingPlace place{loop_, registry_, images_, pools_, exports_};
  Result<Pool*> pool = co_await serve_state(place, what);
  if (!pool) co_return std::move(pool).error();
  watch();
  co_return Result<void>();
}

// ---- closing

Task<void> CheckpointViews::close_view(Shared view) {
  co_await view->turn.take();
  if (std::unique_ptr<Appliance> appliance = exports_.remove(view->id)) {
    Result<void> closed = co_await appliance->close();
    appliance.reset();
    Result<void> released = co_await pools_.release(view->record.pool);
    if (closed) closed = std::move(released);
    if (!closed)
      log(Level::error, "checkpoint.close_failed",
          {{"checkpoint", view->name}, {"why", to_string(closed.error())}});
    co_await images_.release(view->version.id);
  }
  view->turn.give_back();
}

// One timer for all, while any is open.
void CheckpointViews::watch() {
  if (timer_ != 0 || stopping_) return;
  timer_ = loop_.call_after(patience_.look, [this] {
    timer_ = 0;
    close_idle();
  });
}

void CheckpointViews::close_idle() {
  const MonotonicTime now = loop_.clock().now();
  bool any_open = false;
  for (const auto& [id, view] : views_) {
    const Appliance* appliance = exports_.find(id);
    if (appliance == nullptr) continue;
    any_open = true;
    if (now - appliance->last_call() >= patience_.idle) tasks_.start(close_view(view));
  }
  if (any_open) watch();
}

Task<void> CheckpointViews::close_all() {
  stopping_ = true;
  loop_.cancel(std::exchange(timer_, 0));
  for (const auto& [id, view] : views_) tasks_.start(close_view(view));
  co_await tasks_.idle();
}

}  // namespace rowan::proxy
