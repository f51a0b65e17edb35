// The states of appliances in the admin interface: checkpoints, roll-back, clones, schedules.
#include "proxy/admin_api.h"
#include "proxy/admin_text.h"
#include "proxy/blocking.h"
#include "proxy/keep_rule.h"
#include "proxy/size_text.h"

namespace rowan::proxy {
namespace {

// Every second, on a thousand appliances, is a load nobody means.
constexpr std::uint64_t shortest_interval = 10, longest_interval = 400 * 86'400;

Json checkpoint_json(const ApplianceRecord& record, const Checkpoint& checkpoint) {
  const CheckpointLabel& label = checkpoint.label;
  Json entry;
  entry["name"] = label.name;
  entry["state"] = record.name + "@" + label.name;
  entry["id"] = static_cast<std::uint64_t>(checkpoint.state);
  entry["parent"] = static_cast<std::uint64_t>(checkpoint.parent);
  entry["created"] = time_text(label.created);
  entry["message"] = label.message;
  entry["image"] = label.image;
  entry["version"] = label.version;
  entry["reason"] = to_string(label.reason);
  entry["guid"] = hex_id(label.guid);
  entry["export"] = "/" + record.name + "@" + label.name;
  return entry;
}

Result<Versions::NewCheckpoint> read_new_checkpoint(const Json& body) {
  Versions::NewCheckpoint wanted;
  if (body.is_null()) return wanted;
  TRY_VOID(only_members(body, {"name", "message"}));
  if (has_member(body, "name")) {
    TRY(wanted.name, text_member(body, "name"));
    TRY_VOID(check_name("checkpoint", wanted.name));
  }
  if (has_member(body, "message")) {
    TRY(wanted.message, text_member(body, "message"));
  }
  if (wanted.message.size() > max_message_bytes) {
    return Error(Errc::usage, "the message is longer than " + std::to_string(max_message_bytes) +
                                  " bytes; shorten it");
  }
  return wanted;
}

Result<Schedule> read_schedule(const Json& body) {
  TRY_VOID(only_members(body, {"every", "keep"}));
  Schedule schedule;
  TRY(std::string every, text_member(body, "every"));
  if (every == "off") return schedule;
  TRY(const std::uint64_t seconds, parse_duration(every));
  if (seconds < shortest_interval || seconds > longest_interval)
    return Error(Errc::usage, "'" + every + "' is no interval from 10s to 400d");
  schedule.every = std::chrono::seconds(seconds);
  if (!has_member(body, "keep")) return schedule;
  TRY(std::string keep, text_member(body, "keep"));
  TRY(KeepRule rule, parse_keep_rule(keep));
  schedule.keep = to_text(rule);
  return schedule;
}

}  // namespace

Task<Result<Json>> AdminApi::dispatch_versions(const Route& route) {
  const bool post = route.method == "POST", one = !route.version.empty();
  if (route.action == "checkpoints" && post && !one) co_return co_await make_checkpoint(route);
  if (route.action == "checkpoints" && route.method == "GET" && !one)
    co_return co_await list_checkpoints(route);
  if (route.action == "rollback" && post && one) co_return co_await roll_back(route);
  if (route.action == "clone" && post) co_return co_await clone_appliance(route);
  if (route.action == "schedule" && post && !one) co_return co_await set_schedule(route);
  if (route.action.empty() && route.method == "DELETE" && one)
    co_return co_await remove_checkpoint(route);
  co_return no_such_resource();
}

Task<Result<Json>> AdminApi::make_checkpoint(const Route& route) {
  CO_TRY(Versions::NewCheckpoint wanted, read_new_checkpoint(route.body));
  co_await turn_.take();
  Result<ApplianceRecord> record = registry_.appliance(route.name);
  Result<Checkpoint> made = Errc::io;
  if (record) made = co_await host_.versions().checkpoint(*record, wanted);
  turn_.give_back();
  if (!record) co_return std::move(record).error();
  if (!made) co_return std::move(made).error();
  co_return checkpoint_json(*record, *made);
}

Task<Result<Json>> AdminApi::list_checkpoints(const Route& route) {
  co_await turn_.take();
  Result<ApplianceRecord> record = registry_.appliance(route.name);
  Result<History> history = Errc::io;
  if (record) history = co_await host_.versions().history(*record);
  turn_.give_back();
  if (!record) co_return std::move(record).error();
  if (!history) co_return std::move(history).error();
  // Outside of the turn: it looks into the stores.
  auto sizes = co_await host_.versions().unique_bytes(*record, *history);
  if (!sizes) co_return std::move(sizes).error();
  Json answer;
  answer["name"] = record->name;
  answer["running_on"] = static_cast<std::uint64_t>(history->running_on);
  answer["image"] = record->image;
  answer["version"] = record->version;
  answer["every"] = period_text(record->schedule.every);
  answer["keep"] = record->schedule.keep;
  answer["checkpoints"] = Json::array();
  for (std::size_t i = 0; i < sizes->size(); ++i) {
    Json entry = checkpoint_json(*record, history->checkpoints[i]);
    entry["unique_bytes"] = (*sizes)[i] ? Json(*(*sizes)[i]) : Json(nullptr);
    answer["checkpoints"].push_back(std::move(entry));
  }
  co_return answer;
}

Result<void> AdminApi::check_unmounted(const std::string& mounted, const Route& route) const {
  const std::vector<std::string> clients = host_.appliance_status(mounted).clients;
  if (clients.empty() || route.force) return {};
  return Error(Errc::busy, "'" + mounted + "' is mounted by " + clients.front() +
                               (clients.size() > 1 ? " and others" : "") +
                               "; unmount it there first, or use --force");
}

Task<Result<Json>> AdminApi::roll_back(const Route& route) {
  co_await turn_.take();
  Result<ApplianceRecord> record = registry_.appliance(route.name);
  Result<Checkpoint> left = Errc::io;
  Result<void> possible = check_unmounted(route.name, route);
  if (record && possible) left = co_await host_.versions().rollback(*record, route.version);
  turn_.give_back();
  if (!record) co_return std::move(record).error();
  if (!possible) co_return std::move(possible).error();
  if (!left) co_return std::move(left).error();
  Json answer;
  answer["name"] = record->name;
  answer["running_on"] = record->name + "@" + route.version;
  answer["kept"] = checkpoint_json(*record, *left);
  co_return answer;
}

Task<Result<Json>> AdminApi::clone_appliance(const Route& route) {
  CO_TRY_VOID(only_members(route.body, {"name"}));
  NewAppliance wanted;
  CO_TRY(wanted.name, text_member(route.body, "name"));
  co_await turn_.take();
  Result<ApplianceRecord> origin = registry_.appliance(route.name);
  Result<void> done = registry_.check_new_appliance(wanted);
  Result<ApplianceRecord> made = Errc::io;
  Result<void> started;
  Versions::Adopt adopt = [&](cache::StateId head) -> Task<Result<void>> {
    auto record = [&, head] { return registry_.adopt_clone(*origin, wanted.name, head); };
    made = co_await run_blocking(disk_, loop_, std::move(record));
    if (!made) co_return made.error();
    started = co_await host_.start(*made);
    co_return Result<void>();
  };
  if (origin && done) done = co_await host_.versions().clone(*origin, route.version, adopt);
  Result<Json> answer = Errc::io;
  if (origin && done) answer = appliance_json(*made);
  turn_.give_back();
  if (!origin) co_return std::move(origin).error();
  if (!done) co_return std::move(done).error();
  if (!started)
    co_return Error(started.error().code, "appliance '" + made->name +
                                              "' was made but is not served: " +
                                              started.error().detail);
  co_return answer;
}

Task<Result<Json>> AdminApi::set_schedule(const Route& route) {
  CO_TRY(Schedule schedule, read_schedule(route.body));
  co_await turn_.take();
  Result<ApplianceRecord> record = registry_.appliance(route.name);
  Result<void> written;
  if (record) {
    record->schedule = schedule;
    auto write = [this, &record] { return registry_.update_appliance(*record); };
    written = co_await run_blocking(disk_, loop_, std::move(write));
    if (written) host_.update(*record);
  }
  turn_.give_back();
  if (!record) co_return std::move(record).error();
  if (!written) co_return std::move(written).error();
  Json answer;
  answer["name"] = record->name;
  answer["every"] = period_text(schedule.every);
  answer["keep"] = schedule.keep;
  co_return answer;
}

Task<Result<Json>> AdminApi::remove_checkpoint(const Route& route) {
  co_await turn_.take();
  Result<ApplianceRecord> record = registry_.appliance(route.name);
  Result<void> removed = check_unmounted(route.name + "@" + route.version, route);
  if (record && removed) removed = co_await host_.versions().drop(*record, route.version);
  turn_.give_back();
  if (!record) co_return std::move(record).error();
  if (!removed) co_return std::move(removed).error();
  Json answer;
  answer["removed"] = route.name + "@" + route.version;
  co_return answer;
}

}  // namespace rowan::proxy
