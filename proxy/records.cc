#include "proxy/records.h"

#include <charconv>
#include <cstdio>
#include <set>

#include "proxy/json.h"
#include "proxy/keep_rule.h"
#include "proxy/names.h"

namespace rowan::proxy {
namespace {

constexpr std::uint64_t image_format = 1, receive_format = 1;
// 1 had a store of its own for each appliance, without checkpoints.
constexpr std::uint64_t appliance_format = 2;
constexpr std::uint64_t max_every_seconds = 400u * 86'400;

// FNV-1a, 64 bits: a few hundred bytes, read by people and scripts; no library needed to recompute
// it.
std::uint64_t record_sum(std::string_view text) {
  std::uint64_t sum = 0xcbf29ce484222325u;
  for (char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return sum;
}

std::string hex_bytes(ByteView bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (std::byte value : bytes) {
    text += digits[std::to_integer<unsigned>(value) >> 4];
    text += digits[std::to_integer<unsigned>(value) & 15];
  }
  return text;
}

Result<void> parse_key(const std::string& text, ApplianceKey& key) {
  if (text.size() != 2 * key.size())
    return Error(Errc::malformed, "member 'key' must be 64 hexadecimal digits");
  for (std::size_t word = 0; word < key.size() / 8; ++word) {
    auto value = parse_hex_id(std::string_view(text).substr(16 * word, 16));
    // Without its text: it is secret.
    if (!value) return Error(Errc::malformed, "member 'key' must be 64 hexadecimal digits");
    store_be(key.data() + 8 * word, *value);
  }
  return {};
}

Result<std::uint64_t> id_member(const Json& object, std::string_view key) {
  TRY(std::string text, text_member(object, key));
  auto id = parse_hex_id(text);
  if (!id || *id == 0)
    return Error(Errc::malformed, "member '" + std::string(key) + "' is not an id");
  return *id;
}

Result<std::string> name_member(const Json& object, std::string_view key) {
  TRY(std::string name, text_member(object, key));
  TRY_VOID(check_name(key, name));
  return name;
}

// Seconds; a clock before 1970 is not worth a signed member.
Result<std::int64_t> time_member(const Json& object) {
  TRY(std::uint64_t seconds, number_member(object, "created"));
  if (seconds > static_cast<std::uint64_t>(INT64_MAX))
    return Error(Errc::malformed, "member 'created' is no time");
  return static_cast<std::int64_t>(seconds);
}
std::uint64_t time_value(std::int64_t seconds) {
  return seconds < 0 ? 0 : static_cast<std::uint64_t>(seconds);
}

std::string seal(std::string_view kind, std::uint64_t format, const Json& record) {
  Json envelope;
  envelope["format"] = format;
  envelope["kind"] = kind;
  envelope["sum"] = hex_id(record_sum(json_line(record)));
  envelope["record"] = record;
  return json_pretty(envelope) + "\n";
}

// The record inside, once kind, format and checksum are right.
Result<Json> unseal(std::string_view kind, std::uint64_t known, std::string_view text) {
  TRY(Json envelope, parse_json(text));
  TRY(std::string found, text_member(envelope, "kind"));
  if (found != kind) return Error(Errc::malformed, "is a record of kind '" + found + "'");
  TRY(std::uint64_t format, number_member(envelope, "format"));
  if (format != known) {
    const std::string age = format < known ? ", of an older rowan," : "";
    return Error(Errc::not_supported,
                 "format " + std::to_string(format) + age +
                     " is not known to this rowan; use the version that wrote it");
  }
  TRY(std::string sum, text_member(envelope, "sum"));
  if (!has_member(envelope, "record")) return Error(Errc::malformed, "member 'record' is missing");
  Json record = envelope["record"];
  if (sum != hex_id(record_sum(json_line(record))))
    return Error(Errc::malformed, "its checksum is wrong");
  return record;
}

// Bytes from disk that are wrong are corrupt, whatever the reader below called them.
template <class T>
Result<T> as_corrupt(Result<T> result) {
  if (result || result.failed_with(Errc::not_supported)) return result;
  return Error(Errc::corrupt, std::move(result.error().detail));
}

Result<ImageVersion> read_version(const Json& object) {
  ImageVersion version;
  TRY(version.label, name_member(object, "version"));
  TRY(std::uint64_t id, id_member(object, "id"));
  version.id = cache::VersionId{id};
  TRY(version.source, text_member(object, "source"));
  TRY(version.created, time_member(object));
  return version;
}

Result<ImageRecord> read_image(std::string_view text) {
  TRY(Json record, unseal("image", image_format, text));
  ImageRecord image;
  TRY(image.name, name_member(record, "name"));
  if (!has_member(record, "versions") || !record["versions"].is_array() ||
      record["versions"].empty()) {
    return Error(Errc::malformed, "member 'versions' must be a list that is not empty");
  }
  std::set<std::string> labels;
  for (const Json& entry : record["versions"]) {
    TRY(ImageVersion version, read_version(entry));
    if (!labels.insert(version.label).second)
      return Error(Errc::malformed, "version '" + version.label + "' twice");
    image.versions.push_back(std::move(version));
  }
  return image;
}

Result<Schedule> read_schedule(const Json& object) {
  Schedule schedule;
  TRY(std::uint64_t every, number_member(object, "every_seconds"));
  if (every > max_every_seconds) return Error(Errc::malformed, "member 'every_seconds'");
  schedule.every = std::chrono::seconds(every);
  TRY(schedule.keep, text_member(object, "keep"));
  if (schedule.keep.empty()) return schedule;
  Result<KeepRule> rule = parse_keep_rule(schedule.keep);
  if (!rule) return std::move(rule).error();
  return schedule;
}

Result<ApplianceRecord> read_appliance(std::string_view text) {
  TRY(Json record, unseal("appliance", appliance_format, text));
  ApplianceRecord appliance;
  TRY(appliance.name, name_member(record, "name"));
  TRY(std::uint64_t id, id_member(record, "id"));
  appliance.id = cache::ApplianceId{id};
  TRY(std::string key, text_member(record, "key"));
  TRY_VOID(parse_key(key, appliance.key));
  TRY(appliance.fsid, id_member(record, "fsid"));
  TRY(appliance.image, name_member(record, "image"));
  TRY(appliance.version, name_member(record, "version"));
  TRY(appliance.allow, texts_member(record, "allow"));
  TRY(appliance.quota_bytes, number_member(record, "quota"));
  TRY(std::string durability, text_member(record, "durability"));
  TRY(appliance.durability, parse_durability(durability));
  TRY(appliance.root_squash, flag_member(record, "root_squash"));
  TRY(appliance.created, time_member(record));
  TRY(std::uint64_t pool, id_member(record, "pool"));
  appliance.pool = PoolId{pool};
  TRY(std::uint64_t head, id_member(record, "head"));
  appliance.head = cache::StateId{head};
  TRY(appliance.schedule, read_schedule(record));
  return appliance;
}

Result<ReceiveRecord> read_receive(std::string_view text) {
  TRY(Json record, unseal("receive", receive_format, text));
  ReceiveRecord receive;
  TRY(receive.name, name_member(record, "name"));
  TRY(receive.stream, text_member(record, "stream"));
  TRY(std::string appliance, text_member(record, "appliance"));
  TRY(receive.appliance, read_appliance(appliance));
  TRY(std::string base, text_member(record, "base"));
  TRY(const std::uint64_t state, parse_hex_id(base));
  receive.base = cache::StateId{state};
  TRY(receive.force, flag_member(record, "force"));
  TRY(receive.touched, time_member(record));
  return receive;
}

}  // namespace

std::string_view to_string(Durability durability) {
  return durability == Durability::sync ? "sync" : "async";
}

Result<Durability> parse_durability(std::string_view text) {
  if (text == "sync") return Durability::sync;
  if (text == "async") return Durability::async;
  return Error(Errc::usage, "'" + std::string(text) + "' is not a durability; use sync or async");
}

Result<std::uint64_t> parse_hex_id(std::string_view text) {
  std::uint64_t id = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, id, 16);
  const bool lower = text.find_first_of("ABCDEF-") == std::string_view::npos;
  if (text.size() == 16 && lower && error == std::errc() && at == end) return id;
  return Error(Errc::malformed, "'" + std::string(text) + "' is not 16 hexadecimal digits");
}

Result<ApplianceSettings> settings_of(const ApplianceRecord& record) {
  ApplianceSettings settings;
  settings.name = record.name;
  settings.id = record.id;
  settings.key = record.key;
  settings.fsid = record.fsid;
  settings.image = record.image;
  settings.image_version = record.version;
  if (!record.allow.empty()) {
    TRY(settings.allow, AccessList::parse(record.allow));
  }
  settings.quota_bytes = record.quota_bytes;
  settings.durability = record.durability;
  settings.root_squash = record.root_squash;
  return settings;
}

std::string hex_id(std::uint64_t id) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(id));
  return text;
}

std::string encode_record(const ImageRecord& image) {
  Json record;
  record["name"] = image.name;
  record["versions"] = Json::array();
  for (const ImageVersion& version : image.versions) {
    Json entry;
    entry["version"] = version.label;
    entry["id"] = hex_id(static_cast<std::uint64_t>(version.id));
    entry["source"] = version.source;
    entry["created"] = time_value(version.created);
    record["versions"].push_back(entry);
  }
  return seal("image", image_format, record);
}

std::string encode_record(const ApplianceRecord& appliance) {
  Json record;
  record["name"] = appliance.name;
  record["id"] = hex_id(static_cast<std::uint64_t>(appliance.id));
  record["key"] = hex_bytes(appliance.key);
  record["fsid"] = hex_id(appliance.fsid);
  record["image"] = appliance.image;
  record["version"] = appliance.version;
  record["allow"] = appliance.allow;
  record["quota"] = appliance.quota_bytes;
  record["durability"] = to_string(appliance.durability);
  record["root_squash"] = appliance.root_squash;
  record["created"] = time_value(appliance.created);
  record["pool"] = hex_id(static_cast<std::uint64_t>(appliance.pool));
  record["head"] = hex_id(static_cast<std::uint64_t>(appliance.head));
  record["every_seconds"] =
      static_cast<std::uint64_t>(appliance.schedule.every / std::chrono::seconds(1));
  record["keep"] = appliance.schedule.keep;
  return seal("appliance", appliance_format, record);
}

std::string encode_record(const ReceiveRecord& receive) {
  Json record;
  record["name"] = receive.name;
  record["stream"] = receive.stream;
  record["appliance"] = encode_record(receive.appliance);
  record["base"] = hex_id(static_cast<std::uint64_t>(receive.base));
  record["force"] = receive.force;
  record["created"] = time_value(receive.touched);
  return seal("receive", receive_format, record);
}

Result<ImageRecord> decode_image_record(std::string_view text) {
  return as_corrupt(read_image(text));
}
Result<ApplianceRecord> decode_appliance_record(std::string_view text) {
  return as_corrupt(read_appliance(text));
}
Result<ReceiveRecord> decode_receive_record(std::string_view text) {
  return as_corrupt(read_receive(text));
}

}  // namespace rowan::proxy
