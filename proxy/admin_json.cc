// What the admin interface shows: stable keys, plain numbers (bytes, nanoseconds, seconds since
// 1970).
#include <cstdio>
#include <ctime>

#include "proxy/admin_api.h"
#include "proxy/admin_text.h"
#include "proxy/size_text.h"
#include "rpc/nfs3.h"

namespace rowan::proxy {
namespace {

// part / whole, or null when there is no whole.
Json ratio(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return nullptr;
  return static_cast<double>(part) / static_cast<double>(whole);
}

Json procedures_json(const ApplianceStats& stats) {
  Json all = Json::object();
  for (std::size_t number = 0; number < stats.procedures.size(); ++number) {
    const rpc::ProcedureStats& counters = stats.procedures[number];
    if (counters.latency.count() == 0) continue;
    Json entry;
    entry["calls"] = counters.latency.count();
    entry["errors"] = counters.errors;
    entry["mean_ns"] = counters.latency.mean().count();
    entry["p50_ns"] = counters.latency.percentile(50).count();
    entry["p99_ns"] = counters.latency.percentile(99).count();
    entry["max_ns"] = counters.latency.longest().count();
    all[std::string(to_string(static_cast<nfs3::Procedure>(number)))] = entry;
  }
  return all;
}

Json version_json(const ImageVersion& version, const VersionStatus& status) {
  Json entry;
  entry["version"] = version.label;
  entry["source"] = version.source;
  entry["created"] = time_text(version.created);
  entry["in_use"] = status.in_use;
  entry["bytes_served"] = status.bytes_served;
  entry["bytes_fetched"] = status.bytes_fetched;
  entry["known_bytes"] = status.known_bytes;
  entry["fetched_share"] = ratio(status.bytes_fetched, status.known_bytes);
  entry["hits"] = status.hits;
  entry["misses"] = status.misses;
  entry["hit_ratio"] = ratio(status.hits, status.hits + status.misses);
  entry["objects"] = status.objects;
  entry["trouble"] = status.trouble;
  entry["drifted"] = status.drifted;
  return entry;
}

void add_damaged(Json& list, const std::vector<DamagedEntry>& damaged) {
  for (const DamagedEntry& entry : damaged) {
    Json shown;
    shown["name"] = entry.name;
    shown["state"] = "damaged";
    shown["trouble"] = entry.error.detail;
    list.push_back(shown);
  }
}

std::string state_of(const ApplianceStatus& status, bool daemon_runs) {
  if (!daemon_runs) return "stopped";
  if (status.opening) return "opening";
  if (!status.serving) return "failed";
  return status.trouble.empty() ? "serving" : "read-only";
}

}  // namespace

std::string time_text(std::int64_t seconds) {
  std::time_t time = seconds;
  std::tm parts{};
  if (::gmtime_r(&time, &parts) == nullptr) return "";
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string mode_text(std::uint32_t mode) {
  char text[16];
  std::snprintf(text, sizeof text, "%04o", mode);
  return text;
}

Error no_such_resource() {
  return Error(
      Errc::not_found,
      "no such resource; there are /v1/status, /v1/images[/NAME] and /v1/appliances[/NAME]");
}

Json AdminApi::image_json(const ImageRecord& image) const {
  Json entry;
  entry["name"] = image.name;
  entry["state"] = "ok";
  entry["used_by"] = registry_.users(ImageName{image.name, ""});
  entry["versions"] = Json::array();
  for (const ImageVersion& version : image.versions) {
    Json shown = version_json(version, host_.version_status(version));
    shown["used_by"] = registry_.users(ImageName{image.name, version.label});
    entry["versions"].push_back(shown);
  }
  return entry;
}

Json AdminApi::appliance_json(const ApplianceRecord& appliance) const {
  ApplianceStatus status = host_.appliance_status(appliance.name);
  Json entry;
  entry["name"] = appliance.name;
  entry["state"] = state_of(status, host_.daemon().has_value());
  entry["trouble"] = status.trouble;
  entry["image"] = appliance.image;
  entry["version"] = appliance.version;
  entry["export"] = "/" + appliance.name;
  entry["allow"] = appliance.allow;
  entry["quota"] = appliance.quota_bytes;
  entry["durability"] = to_string(appliance.durability);
  entry["root_squash"] = appliance.root_squash;
  entry["id"] = hex_id(static_cast<std::uint64_t>(appliance.id));
  entry["fsid"] = hex_id(appliance.fsid);
  entry["pool"] = hex_id(static_cast<std::uint64_t>(appliance.pool));
  entry["created"] = time_text(appliance.created);
  entry["every"] = period_text(appliance.schedule.every);
  entry["keep"] = appliance.schedule.keep;
  entry["clients"] = status.clients;
  entry["bytes_served"] = status.stats.bytes_read;
  entry["bytes_written"] = status.stats.bytes_written;
  entry["redirected_bytes"] = status.stats.store.data_bytes;
  entry["changed_objects"] = status.stats.store.objects;
  entry["disk_bytes"] = status.stats.store.disk_bytes;
  entry["calls_in_flight"] = status.stats.calls_in_flight;
  entry["procedures"] = procedures_json(status.stats);
  return entry;
}

Json AdminApi::images_json() const {
  Json list = Json::array();
  for (const auto& [name, image] : registry_.images()) list.push_back(image_json(image));
  add_damaged(list, registry_.damaged_images());
  return list;
}

Json AdminApi::appliances_json() const {
  Json list = Json::array();
  for (const auto& [name, appliance] : registry_.appliances())
    list.push_back(appliance_json(appliance));
  add_damaged(list, registry_.damaged_appliances());
  return list;
}

Json AdminApi::daemon_json() const {
  std::optional<DaemonStatus> status = host_.daemon();
  if (!status) return nullptr;
  Json entry;
  entry["pid"] = status->pid;
  entry["uptime_seconds"] = status->uptime_seconds;
  entry["listen"] = status->listen;
  entry["connections"] = status->connections;
  entry["calls"] = status->calls;
  entry["bytes_received"] = status->bytes_received;
  entry["bytes_sent"] = status->bytes_sent;
  return entry;
}

Json AdminApi::status_json() const {
  Json status;
  status["daemon"] = daemon_json();
  status["cache"] = nullptr;
  if (std::optional<DaemonStatus> daemon = host_.daemon()) {
    const cache::BlockCacheUsage& usage = daemon->cache;
    Json cache;
    cache["bytes"] = usage.bytes;
    cache["limit_bytes"] = usage.limit_bytes;
    cache["units"] = usage.units;
    cache["hits"] = usage.hits;
    cache["misses"] = usage.misses;
    cache["hit_ratio"] = ratio(usage.hits, usage.hits + usage.misses);
    cache["evictions"] = usage.evictions;
    cache["damaged"] = usage.damaged;
    status["cache"] = cache;
  }
  status["images"] = images_json();
  status["appliances"] = appliances_json();
  return status;
}

}  // namespace rowan::proxy
