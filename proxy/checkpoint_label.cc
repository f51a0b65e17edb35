#include "proxy/checkpoint_label.h"

#include <array>
#include <chrono>
#include <cstdio>

#include "cache/table_versions.h"
#include "proxy/json.h"
#include "proxy/names.h"
#include "proxy/records.h"

namespace rowan::proxy {
namespace {

constexpr std::array<std::string_view, 4> reasons{"asked", "schedule", "rollback", "send"};

Result<CheckpointReason> reason_member(const Json& object) {
  TRY(const std::string text, text_member(object, "reason"));
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    if (reasons[i] == text) return static_cast<CheckpointReason>(i);
  }
  return Error(Errc::malformed, "member 'reason' is none that is known");
}

Result<std::uint64_t> id_member(const Json& object, std::string_view key) {
  TRY(const std::string text, text_member(object, key));
  return parse_hex_id(text);
}

// What comes with a stream has room here as well.
Result<void> check_size(std::string_view text) {
  if (text.size() <= cache::max_label_bytes) return {};
  return Error(Errc::malformed, "longer than " + std::to_string(cache::max_label_bytes) + " bytes");
}

Result<CheckpointLabel> read_label(std::string_view text) {
  TRY_VOID(check_size(text));
  TRY(const Json object, parse_json(text));
  CheckpointLabel label;
  TRY(const std::uint64_t appliance, id_member(object, "appliance"));
  label.appliance = cache::ApplianceId{appliance};
  TRY(label.name, text_member(object, "name"));
  TRY_VOID(check_name("checkpoint", label.name));
  TRY(label.message, text_member(object, "message"));
  TRY(const std::uint64_t created, number_member(object, "created"));
  if (created > static_cast<std::uint64_t>(INT64_MAX))
    return Error(Errc::malformed, "member 'created' is no time");
  label.created = static_cast<std::int64_t>(created);
  TRY(label.image, text_member(object, "image"));
  TRY_VOID(check_name("image", label.image));
  TRY(label.version, text_member(object, "version"));
  TRY_VOID(check_name("image version", label.version));
  TRY(label.reason, reason_member(object));
  TRY(label.guid, id_member(object, "guid"));
  return label;
}

}  // namespace

std::string encode_label(const CheckpointLabel& label) {
  Json object;
  object["appliance"] = hex_id(static_cast<std::uint64_t>(label.appliance));
  object["name"] = label.name;
  object["message"] = label.message;
  object["created"] = label.created < 0 ? 0 : label.created;
  object["image"] = label.image;
  object["version"] = label.version;
  object["reason"] = to_string(label.reason);
  object["guid"] = hex_id(label.guid);
  return json_line(object);
}

Result<CheckpointLabel> decode_label(std::string_view text) {
  auto label = read_label(text);
  if (label) return label;
  return Error(Errc::corrupt, "the label of a checkpoint: " + label.error().detail);
}

std::string_view to_string(CheckpointReason reason) {
  return reasons[static_cast<std::size_t>(reason)];
}

std::string name_from_time(std::int64_t seconds) {
  const std::chrono::sys_seconds at{std::chrono::seconds(seconds)};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(at - day);
  char text[64];
  std::snprintf(text, sizeof text, "%04d%02u%02u-%02d%02d%02d", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()));
  return text;
}

Result<StateName> parse_state_name(std::string_view text) {
  StateName name;
  const std::size_t at = text.find('@');
  name.appliance = text.substr(0, at);
  TRY_VOID(check_name("appliance", name.appliance));
  if (at == std::string_view::npos) return name;
  name.checkpoint = text.substr(at + 1);
  TRY_VOID(check_name("checkpoint", name.checkpoint));
  return name;
}

}  // namespace rowan::proxy
