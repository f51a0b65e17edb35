#include "proxy/appliance_set.h"

#include <algorithm>
#include <utility>

#include "proxy/blocking.h"
#include "proxy/serve_state.h"
#include "proxy/store_maker.h"
#include "rpc/base/log.h"

namespace rowan::proxy {
namespace {

// How often somebody looks whether what is under way has ended.
constexpr Duration look_again = std::chrono::milliseconds(5);

// What is lost is what RFC 1813 allows to be (4.8): clients notice by the write verifier.
void log_unclean(const std::string& name, const Error& error) {
  std::string_view remedy = "see what is wrong with that disk";
  if (error.code == Errc::no_space) remedy = "make room on that disk before the next start";
  if (error.code == Errc::limit) remedy = "raise the limit before the next start";
  log(Level::error, "appliance.close_failed",
      {{"appliance", name},
       {"why", to_string(error)},
       {"effect", "writes that were not committed may be lost; their clients send them again"},
       {"remedy", remedy}});
}

}  // namespace

ApplianceSet::Entry& ApplianceSet::know(const ApplianceRecord& record) {
  Entry entry{record, registry_.version(ImageName{record.image, record.version})};
  exports_.expect(record.id, record.name);
  return entries_.insert_or_assign(record.name, std::move(entry)).first->second;
}

ApplianceSet::Entry* ApplianceSet::find(std::string_view name) {
  auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

const ApplianceSet::Entry* ApplianceSet::find(std::string_view name) const {
  auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

std::size_t ApplianceSet::count(State state) const {
  auto is_so = [state](const auto& entry) { return entry.second.state == state; };
  return static_cast<std::size_t>(std::count_if(entries_.begin(), entries_.end(), is_so));
}

std::size_t ApplianceSet::serving() const { return count(State::open); }

// Also while they are tried again.
std::size_t ApplianceSet::failed() const {
  auto is_so = [](const auto& entry) {
    return entry.second.state != State::open && !entry.second.why.empty();
  };
  return static_cast<std::size_t>(std::count_if(entries_.begin(), entries_.end(), is_so));
}

bool ApplianceSet::opening(std::string_view name) const {
  const Entry* entry = find(name);
  return entry != nullptr && entry->state != State::open && entry->why.empty();
}

std::string ApplianceSet::trouble(std::string_view name) const {
  const Entry* entry = find(name);
  if (entry == nullptr || entry->why.empty()) return "";
  return entry->why + "; it is tried again by itself";
}

// ---- opening

Task<void> ApplianceSet::open_all() {
  for (const auto& [name, record] : registry_.appliances()) {
    know(record);
    due_.push_back(name);
  }
  start_workers();
  while (workers_ > 0) co_await sleep_for(loop_, look_again);
}

Task<Result<void>> ApplianceSet::open(ApplianceRecord record) {
  co_return co_await attempt(know(record));
}

// A loop of its own kind each: a chain of openings that fail at once must not nest.
void ApplianceSet::start_workers() {
  while (!stopping_ && workers_ < limits_.at_once && !due_.empty()) {
    ++workers_;
    tasks_.start(work());
  }
}

Task<void> ApplianceSet::work() {
  while (!due_.empty()) {
    std::string name = std::move(due_.front());
    due_.pop_front();
    Entry* entry = find(name);
    // It may have been removed, or taken by somebody else, since it became due.
    if (entry == nullptr || entry->state == State::open || entry->state == State::busy) continue;
    Result<void> opened = co_await attempt(*entry);
    // The failure is noted; the others are served all the same.
    if (!opened) continue;
  }
  --workers_;
}

// The entry stays where it is while it is busy.
Task<Result<void>> ApplianceSet::attempt(Entry& entry) {
  entry.state = State::busy;
  Result<void> opened = co_await open_entry(entry);
  entry.state = opened ? State::open : State::failed;
  if (!opened) {
    note_failure(entry, opened.error());
    co_return opened;
  }
  if (!entry.why.empty())
    log(Level::info, "appliance.recovered", {{"appliance", entry.record.name}});
  entry.why.clear();
  entry.pause = Duration::zero();
  co_return opened;
}

Task<Result<void>> ApplianceSet::open_entry(Entry& entry) {
  if (!entry.version) co_return entry.version.error();
  const ApplianceRecord& record = entry.record;
  StateToServe what;
  CO_TRY(what.settings, settings_of(record));
  what.image = record.image;
  what.version = *entry.version;
  what.pool = record.pool;
  what.state = record.head;
  const ServingPlace place{loop_, registry_, images_, pools_, exports_};
  Result<Pool*> pool = co_await serve_state(place, what);
  if (!pool) co_return std::move(pool).error();
  views_.know(record, *entry.version, history_of(**pool, record));
  co_return Result<void>();
}

void ApplianceSet::note_failure(Entry& entry, const Error& error) {
  std::string why = to_string(error);
  // Once a reason: the same one every minute would drown the log.
  if (why != entry.why)
    log(Level::error, "appliance.failed", {{"appliance", entry.record.name}, {"why", why}});
  entry.why = std::move(why);
  entry.pause = std::clamp(2 * entry.pause, limits_.first_pause, limits_.longest_pause);
  entry.retry_at = loop_.clock().now() + entry.pause;
  arm();
}

// One timer for all: for the failed one that is due first.
void ApplianceSet::arm() {
  loop_.cancel(std::exchange(timer_, 0));
  if (stopping_) return;
  MonotonicTime next = MonotonicTime::max();
  for (const auto& [name, entry] : entries_) {
    if (entry.state == State::failed) next = std::min(next, entry.retry_at);
  }
  if (next == MonotonicTime::max()) return;
  Duration delay = std::max(next - loop_.clock().now(), Duration::zero());
  timer_ = loop_.call_after(delay, [this] { retry_due(); });
}

void ApplianceSet::retry_due() {
  timer_ = 0;
  MonotonicTime now = loop_.clock().now();
  for (auto& [name, entry] : entries_) {
    if (entry.state != State::failed || entry.retry_at > now) continue;
    entry.state = State::waiting;
    due_.push_back(name);
  }
  start_workers();
  arm();
}

// ---- closing

Task<void> ApplianceSet::until_idle(std::string name) {
  while (true) {
    const Entry* entry = find(name);
    if (entry == nullptr || entry->state != State::busy) co_return;
    co_await sleep_for(loop_, look_again);
  }
}

Task<void> ApplianceSet::close(std::string name) {
  co_await until_idle(name);
  auto found = entries_.find(name);
  if (found == entries_.end()) co_return;
  Entry entry = std::move(found->second);
  entries_.erase(found);
  exports_.forget(entry.record.id, name);
  if (entry.state == State::open) co_await shut(entry, exports_.remove(entry.record.id));
}

Task<void> ApplianceSet::shut(Entry& entry, std::unique_ptr<Appliance> appliance) {
  co_await views_.forget(entry.record.id);
  Result<void> closed = co_await appliance->close();
  if (!closed) note_unclean(entry, closed.error());
  appliance.reset();
  co_await release(entry);
}

// Its pool fails for the same reason: that is said once.
void ApplianceSet::note_unclean(Entry& entry, const Error& error) {
  std::string why = to_string(error);
  if (why != entry.unclean) log_unclean(entry.record.name, error);
  entry.unclean = std::move(why);
}

// What it was opened with.
Task<void> ApplianceSet::release(Entry& entry) {
  Result<void> closed = co_await pools_.release(entry.record.pool);
  if (!closed) note_unclean(entry, closed.error());
  entry.unclean.clear();
  co_await images_.release(entry.version->id);
}

Task<Result<std::vector<std::string>>> ApplianceSet::while_closed(std::string name, Work work) {
  co_await until_idle(name);
  Entry* asked = find(name);
  if (asked == nullptr) co_return Error(Errc::not_found, "appliance '" + name + "'");
  bool was_open = asked->state == State::open;
  std::vector<Entry*> entries;
  for (const ApplianceRecord& user : users(asked->record.pool)) {
    co_await until_idle(user.name);
    Entry* entry = find(user.name);
    if (entry == nullptr) continue;
    // Still expected, so its clients wait.
    if (std::exchange(entry->state, State::busy) == State::open)
      co_await shut(*entry, exports_.remove(entry->record.id));
    entries.push_back(entry);
  }
  Result<std::vector<std::string>> done = co_await run_blocking(disk_, loop_, std::move(work));
  Result<void> opened;
  for (Entry* entry : entries) {
    Result<void> again = co_await attempt(*entry);
    if (entry == asked) opened = std::move(again);
  }
  if (!opened && was_open) co_return std::move(opened).error();
  co_return done;
}

void ApplianceSet::update(const ApplianceRecord& record) {
  Entry* entry = find(record.name);
  if (entry == nullptr) return;
  entry->record = record;
  Appliance* appliance = exports_.find(record.id);
  if (appliance == nullptr) return;
  Result<ApplianceSettings> settings = settings_of(record);
  if (settings) appliance->update(*settings);
}

// While one is closed nobody can mount its checkpoints either.
const ApplianceSet::Entry* ApplianceSet::find_open(std::string_view name) const {
  const Entry* entry = find(name);
  return entry != nullptr && entry->state == State::open ? entry : nullptr;
}

void ApplianceSet::checkpoint_made(const ApplianceRecord& record, const Checkpoint& checkpoint) {
  const Entry* entry = find_open(record.name);
  if (entry != nullptr) views_.add(entry->record, *entry->version, checkpoint);
}

void ApplianceSet::checkpoints_changed(const ApplianceRecord& record, const History& history) {
  const Entry* entry = find_open(record.name);
  if (entry != nullptr) views_.know(entry->record, *entry->version, history);
}

std::vector<const ApplianceRecord*> ApplianceSet::scheduled() const {
  std::vector<const ApplianceRecord*> found;
  for (const auto& [name, entry] : entries_) {
    if (is_scheduled(entry)) found.push_back(&entry.record);
  }
  return found;
}

const ApplianceRecord* ApplianceSet::scheduled(std::string_view name) const {
  const Entry* entry = find(name);
  return entry != nullptr && is_scheduled(*entry) ? &entry->record : nullptr;
}

bool ApplianceSet::is_scheduled(const Entry& entry) {
  return entry.state == State::open && entry.record.schedule.every != Duration::zero();
}

std::vector<ApplianceRecord> ApplianceSet::users(PoolId pool) const {
  std::vector<ApplianceRecord> found;
  for (const auto& [name, entry] : entries_) {
    if (entry.record.pool == pool) found.push_back(entry.record);
  }
  return found;
}

void ApplianceSet::stop_opening() {
  stopping_ = true;
  due_.clear();
  loop_.cancel(std::exchange(timer_, 0));
}

// They stay among the exports while they close: clients are told to wait, not that their files are
// gone.
Task<void> ApplianceSet::end_calls(Entry& entry) {
  Appliance* appliance = exports_.find(entry.record.id);
  Result<void> closed = co_await appliance->close();
  if (!closed) note_unclean(entry, closed.error());
}

Task<void> ApplianceSet::close_all() {
  stop_opening();
  co_await tasks_.idle();
  co_await views_.close_all();
  for (auto& [name, entry] : entries_) {
    if (entry.state == State::open) tasks_.start(end_calls(entry));
  }
  co_await tasks_.idle();
  for (auto& [name, entry] : entries_) {
    if (entry.state != State::open) continue;
    exports_.remove(entry.record.id).reset();
    tasks_.start(release(entry));
  }
  co_await tasks_.idle();
  entries_.clear();
}

}  // namespace rowan::proxy
