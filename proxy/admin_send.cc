// Streams to other hosts in the admin interface: what begins one, and its frames, each asked for by
// where the one before ended.
//
//   POST /v1/appliances/NAME[@CHECKPOINT]/send   {"since": "CHECKPOINT"}: the header
//   POST /v1/appliances/NAME/frames              {"state", "base", "version", "cursor"}; the answer
//                                                is no JSON: encode_frame_answer()
#include "proxy/admin_api.h"
#include "proxy/blocking.h"
#include "proxy/frame_answer.h"
#include "proxy/stream_header.h"

namespace rowan::proxy {
namespace {

using cache::StateId;

constexpr std::size_t names_per_frame = cache::max_known_names;

Result<Checkpoint> find_checkpoint(const History& history, const ApplianceRecord& record,
                                   const std::string& name) {
  for (const Checkpoint& checkpoint : history.checkpoints) {
    if (checkpoint.label.name == name) return checkpoint;
  }
  return Error(Errc::not_found, "no checkpoint '" + record.name + "@" + name +
                                    "'; 'rowan log " + record.name + "' shows what there is");
}

Result<StateId> state_member(const Json& body, std::string_view key) {
  TRY(const std::string text, text_member(body, key));
  TRY(const std::uint64_t id, parse_hex_id(text));
  return StateId{id};
}

// Names are behind 'n', changes behind 'c': a key, or nothing at the start.
std::string name_cursor(const cache::KnownName& name) {
  return "n" + hex_id(to_number(name.directory)) + name.name;
}
Result<cache::KnownName> behind_name(std::string_view cursor) {
  cache::KnownName name;
  if (cursor.empty()) return name;
  if (cursor.size() < 18 || cursor[0] != 'n') return Error(Errc::usage, "no such cursor");
  TRY(const std::uint64_t directory, parse_hex_id(cursor.substr(1, 16)));
  name.directory = cache::ObjectId{directory};
  name.name = cursor.substr(17);
  return name;
}

}  // namespace

Task<Result<Json>> AdminApi::begin_send(const Route& route) {
  std::string since;
  if (!route.body.is_null()) {
    CO_TRY_VOID(only_members(route.body, {"since"}));
    if (has_member(route.body, "since")) {
      CO_TRY(since, text_member(route.body, "since"));
    }
  }
  co_await turn_.take();
  Result<Json> answer = co_await send_header(route.name, route.version, since);
  turn_.give_back();
  co_return answer;
}

Task<Result<Json>> AdminApi::send_header(std::string name, std::string checkpoint,
                                         std::string since) {
  CO_TRY(ApplianceRecord record, registry_.appliance(name));
  StreamHeader header;
  Result<History> history = co_await host_.versions().history(record);
  if (!history) co_return std::move(history).error();
  Checkpoint base;
  if (!since.empty()) {
    CO_TRY(base, find_checkpoint(*history, record, since));
    header.base = base.label.guid;
    header.base_name = since;
  }
  Checkpoint to;
  if (!checkpoint.empty()) {
    CO_TRY(to, find_checkpoint(*history, record, checkpoint));
  } else {
    Versions::NewCheckpoint wanted;
    wanted.reason = CheckpointReason::send;
    Result<Checkpoint> made = co_await host_.versions().checkpoint(record, wanted);
    if (!made) co_return std::move(made).error();
    to = std::move(*made);
  }
  header.checkpoint = to.label;
  header.appliance = record;
  header.appliance.image = to.label.image;
  header.appliance.version = to.label.version;
  CO_TRY(ImageVersion version, registry_.version({to.label.image, to.label.version}));
  header.source = version.source;
  Json answer;
  answer["header"] = encode_header(header);
  answer["checkpoint"] = to.label.name;
  answer["made"] = checkpoint.empty();
  answer["state"] = hex_id(static_cast<std::uint64_t>(to.state));
  answer["base"] = hex_id(static_cast<std::uint64_t>(base.state));
  answer["image"] = to.label.image;
  answer["version"] = to.label.version;
  co_return answer;
}

Task<Result<FrameAnswer>> AdminApi::send_frame(const Route& route) {
  CO_TRY_VOID(only_members(route.body, {"state", "base", "image", "version", "cursor"}));
  CO_TRY(StateId state, state_member(route.body, "state"));
  CO_TRY(StateId base, state_member(route.body, "base"));
  CO_TRY(ImageName image, image_member(route.body));
  CO_TRY(std::string digits, text_member(route.body, "cursor"));
  CO_TRY(std::string cursor, parse_hex_text(digits));
  co_await turn_.take();
  Result<ApplianceRecord> record = registry_.appliance(route.name);
  Result<FrameAnswer> answer = Errc::io;
  if (!record) {
    answer = record.error();
  } else if (cursor.starts_with('c')) {
    answer = co_await changes_frame(*record, base, state, cursor.substr(1));
  } else {
    answer = co_await names_frame(image, cursor);
  }
  turn_.give_back();
  co_return answer;
}

Result<ImageName> AdminApi::image_member(const Json& body) {
  ImageName image;
  TRY(image.name, text_member(body, "image"));
  TRY(image.version, text_member(body, "version"));
  return image;
}

Task<Result<FrameAnswer>> AdminApi::names_frame(ImageName image, std::string cursor) {
  CO_TRY(cache::KnownName behind, behind_name(cursor));
  CO_TRY(ImageVersion version, registry_.version(image));
  Result<std::vector<cache::KnownName>> names =
      co_await host_.known_names(image.name, version, behind, names_per_frame);
  if (!names) co_return std::move(names).error();
  FrameAnswer answer{cache::StreamFrame::names, "c", cache::encode_names(*names)};
  if (names->size() == names_per_frame) answer.cursor = name_cursor(names->back());
  co_return answer;
}

Task<Result<FrameAnswer>> AdminApi::changes_frame(ApplianceRecord record, StateId base,
                                                  StateId state, std::string behind) {
  Result<Sender::Changes> changes =
      co_await sender_.changes(std::move(record), base, state, std::move(behind));
  if (changes.failed_with(Errc::stale))
    co_return Error(Errc::stale, "the checkpoint was removed while it was sent");
  if (!changes) co_return std::move(changes).error();
  FrameAnswer answer{cache::StreamFrame::changes, "", cache::encode(changes->frame)};
  if (changes->more) answer.cursor = "c" + changes->frame.reached;
  co_return answer;
}

}  // namespace rowan::proxy
