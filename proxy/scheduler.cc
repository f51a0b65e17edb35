#include "proxy/scheduler.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "proxy/keep_rule.h"
#include "rpc/base/log.h"

namespace rowan::proxy {
namespace {

constexpr Duration look_again = std::chrono::seconds(1);
constexpr std::int64_t retry_seconds = 60;

std::int64_t seconds_of(const Schedule& schedule) {
  return schedule.every / std::chrono::seconds(1);
}

std::vector<const Checkpoint*> scheduled(const History& history) {
  std::vector<const Checkpoint*> found;
  for (const Checkpoint& checkpoint : history.checkpoints) {
    if (checkpoint.label.reason == CheckpointReason::schedule) found.push_back(&checkpoint);
  }
  return found;
}

}  // namespace

std::vector<const ApplianceRecord*> Agenda::due(
    std::span<const ApplianceRecord* const> scheduled, std::int64_t now) {
  if (due_.size() > scheduled.size()) {
    std::map<cache::ApplianceId, std::int64_t> kept;
    for (const ApplianceRecord* record : scheduled) {
      if (auto node = due_.extract(record->id)) kept.insert(std::move(node));
    }
    due_ = std::move(kept);
  }
  std::vector<const ApplianceRecord*> found;
  for (const ApplianceRecord* record : scheduled) {
    auto known = due_.find(record->id);
    // Never further off than one interval, whatever was done to the clock or the schedule.
    const bool waits = known != due_.end() && known->second > now &&
                       known->second <= now + std::max(seconds_of(record->schedule), retry_seconds);
    if (!waits) found.push_back(record);
  }
  return found;
}

std::int64_t next_due(const Schedule& schedule, std::optional<std::int64_t> last,
                      std::int64_t now) {
  if (!last) return now;
  return std::max(now, std::min(*last, now) + seconds_of(schedule));
}

std::vector<std::string> superseded(const Schedule& schedule, const History& history) {
  std::vector<std::string> names;
  Result<KeepRule> rule = parse_keep_rule(schedule.keep);
  if (!rule) return names;
  const std::vector<const Checkpoint*> made = scheduled(history);
  std::vector<std::int64_t> times;
  for (const Checkpoint* checkpoint : made) times.push_back(checkpoint->label.created);
  const std::vector<bool> keep = kept(*rule, times);
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (!keep[i]) names.push_back(made[i]->label.name);
  }
  return names;
}

void Scheduler::start() {
  timer_ = loop_.call_after(look_again, [this] { look(); });
}

Task<void> Scheduler::stop() {
  stopping_ = true;
  loop_.cancel(std::exchange(timer_, 0));
  co_await tasks_.idle();
}

void Scheduler::look() {
  start();
  if (!busy_) tasks_.start(serve_due());
}

std::vector<std::string> Scheduler::due() {
  const std::vector<const ApplianceRecord*> scheduled = appliances_.all();
  std::vector<std::string> names;
  for (const ApplianceRecord* record : agenda_.due(scheduled, loop_.clock().wall().seconds))
    names.push_back(record->name);
  return names;
}

// One appliance at a time: checkpoints are cheap, and nobody waits for these.
Task<void> Scheduler::serve_due() {
  busy_ = true;
  const std::vector<std::string> names = due();
  for (const std::string& name : names) {
    if (stopping_) break;
    // It may have changed, or be gone, since the round began.
    const ApplianceRecord* record = appliances_.find(name);
    if (record != nullptr) co_await serve(*record);
  }
  busy_ = false;
}

// A copy: the appliance may be removed while it is served.
Task<void> Scheduler::serve(ApplianceRecord record) {
  Result<void> done = co_await make_and_thin(record);
  if (done) co_return;
  agenda_.set(record.id, loop_.clock().wall().seconds + retry_seconds);
  log(Level::error, "schedule.failed",
      {{"appliance", record.name}, {"why", to_string(done.error())}});
}

Task<Result<void>> Scheduler::make_and_thin(const ApplianceRecord& record) {
  Result<History> history = co_await versions_.history(record);
  if (!history) co_return std::move(history).error();
  const std::int64_t now = loop_.clock().wall().seconds;
  std::optional<std::int64_t> last;
  if (const auto made = scheduled(*history); !made.empty()) last = made.front()->label.created;
  const std::int64_t due = next_due(record.schedule, last, now);
  agenda_.set(record.id, due);
  if (due > now) co_return Result<void>();
  Versions::NewCheckpoint wanted;
  wanted.reason = CheckpointReason::schedule;
  Result<Checkpoint> made = co_await versions_.checkpoint(record, wanted);
  if (!made) co_return std::move(made).error();
  agenda_.set(record.id, now + seconds_of(record.schedule));
  if (record.schedule.keep.empty()) co_return Result<void>();
  history->checkpoints.insert(history->checkpoints.begin(), *made);
  for (const std::string& name : superseded(record.schedule, *history)) {
    Result<void> dropped = co_await versions_.drop(record, name);
    if (!dropped && !dropped.failed_with(Errc::not_found)) co_return dropped;
  }
  co_return Result<void>();
}

}  // namespace rowan::proxy
