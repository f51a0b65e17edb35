// Streams from other hosts in the admin interface.
//
//   GET    /v1/receives             what is half received
//   POST   /v1/receives/NAME        {"header", "image", "new_identity", "force"}: how far it is
//   POST   /v1/receives/NAME/frame  no JSON: an encoded FrameAnswer, names or changes
//   POST   /v1/receives/NAME/end    no JSON: an encoded FrameAnswer, totals
//   DELETE /v1/receives/NAME        gives up
#include "proxy/admin_api.h"
#include "proxy/admin_text.h"
#include "proxy/blocking.h"
#include "proxy/frame_answer.h"

namespace rowan::proxy {
namespace {

constexpr Duration receives_interval = std::chrono::hours(1);

Result<bool> optional_flag(const Json& body, std::string_view key) {
  if (!has_member(body, key)) return false;
  return flag_member(body, key);
}

}  // namespace

Task<Result<Json>> AdminApi::dispatch_receives(const Route& route) {
  const bool post = route.method == "POST" && !route.name.empty();
  if (route.method == "GET" && route.name.empty()) co_return co_await list_receives();
  if (post && route.action.empty()) co_return co_await begin_receive(route);
  if (post && route.action == "frame") co_return co_await receive_frame(route);
  if (post && route.action == "end") co_return co_await end_receive(route);
  if (route.method == "DELETE" && !route.name.empty() && route.action.empty())
    co_return co_await abort_receive(route);
  co_return no_such_resource();
}

Task<Result<Json>> AdminApi::list_receives() {
  co_await turn_.take();
  Json answer;
  answer["receives"] = Json::array();
  const auto receives = registry_.receives();
  for (const auto& [name, receive] : receives) {
    Result<Receiver::Standing> standing = co_await receiver_.standing(name);
    Json entry;
    entry["name"] = name;
    entry["touched"] = time_text(standing ? standing->touched : receive.touched);
    entry["image"] = receive.appliance.image + "@" + receive.appliance.version;
    entry["increment"] = receive.base != cache::no_state;
    entry["received_bytes"] = standing && standing->bytes ? Json(*standing->bytes) : Json(nullptr);
    entry["trouble"] = standing ? "" : to_string(standing.error());
    answer["receives"].push_back(std::move(entry));
  }
  turn_.give_back();
  co_return answer;
}

void AdminApi::watch_receives() {
  receives_timer_ = loop_.call_after(receives_interval, [this] {
    watch_receives();
    tasks_.start(give_up_receives());
  });
}

Task<void> AdminApi::give_up_receives() {
  co_await turn_.take();
  co_await receiver_.give_up_abandoned();
  turn_.give_back();
}

// The image version the received appliance shall be above: named by the operator, or the one of the
// same name here, or a new one with the sender's source.
Task<Result<ImageVersion>> AdminApi::image_for(StreamHeader& header, std::string image) {
  ImageName wanted{header.appliance.image, header.appliance.version};
  if (!image.empty()) {
    CO_TRY(wanted, parse_image_name(image));
  }
  co_await turn_.take();
  Result<ImageVersion> known = registry_.version(wanted);
  turn_.give_back();
  const std::string text = wanted.name + "@" + header.appliance.version;
  if (!known && !known.failed_with(Errc::not_found)) co_return known;
  if (!known && image.empty() && header.source.starts_with("nfs://")) {
    known = co_await add_source(wanted, header.source);
    if (!known) {
      co_return Error(known.error().code,
                      "image " + text + " is not here, and its source cannot be added: " +
                          known.error().detail + "; add it with 'rowan image add', or name "
                          "another image with --image");
    }
  }
  if (!known && image.empty()) {
    co_return Error(Errc::not_found,
                    "image " + text + " is not here, and at the sender's it comes from the "
                    "directory " + header.source + "; add the same content here with 'rowan image "
                    "add " + wanted.name + " SOURCE --version " + wanted.version +
                    "', or name an image with --image");
  }
  if (!known) co_return known;
  header.appliance.image = wanted.name;
  header.appliance.version = known->label;
  co_return known;
}

Task<Result<Json>> AdminApi::begin_receive(const Route& route) {
  CO_TRY_VOID(only_members(route.body, {"header", "image", "new_identity", "force"}));
  CO_TRY_VOID(check_name("appliance", route.name));
  Receiver::Wish wish;
  wish.name = route.name;
  CO_TRY(wish.text, text_member(route.body, "header"));
  CO_TRY(wish.header, decode_header(wish.text));
  CO_TRY(wish.new_identity, optional_flag(route.body, "new_identity"));
  CO_TRY(wish.force, optional_flag(route.body, "force"));
  std::string image;
  if (has_member(route.body, "image")) {
    CO_TRY(image, text_member(route.body, "image"));
  }
  Result<ImageVersion> version = co_await image_for(wish.header, image);
  if (!version) co_return std::move(version).error();
  wish.image = std::move(*version);
  const bool may_be_mounted = wish.header.base == 0 || wish.force;
  Route asked = route;
  asked.force = may_be_mounted;
  co_await turn_.take();
  Result<std::string> reached = std::string();
  Result<void> possible = check_unmounted(route.name, asked);
  if (possible) reached = co_await receiver_.begin(std::move(wish));
  turn_.give_back();
  if (!possible) co_return std::move(possible).error();
  if (!reached) co_return std::move(reached).error();
  Json answer;
  answer["name"] = route.name;
  answer["reached"] = hex_text(*reached);
  co_return answer;
}

Task<Result<Json>> AdminApi::receive_frame(const Route& route) {
  CO_TRY(FrameAnswer frame, decode_frame_answer(route.raw));
  const bool names = frame.type == cache::StreamFrame::names;
  if (!names && frame.type != cache::StreamFrame::changes)
    co_return Error(Errc::usage, "a frame of names or changes is expected here");
  co_await turn_.take();
  Result<void> taken;
  if (names) taken = co_await receiver_.take_names(route.name, std::move(frame.content));
  else taken = co_await receiver_.take_changes(route.name, std::move(frame.content));
  turn_.give_back();
  if (!taken) co_return std::move(taken).error();
  co_return Json::object();
}

Task<Result<Json>> AdminApi::end_receive(const Route& route) {
  CO_TRY(FrameAnswer frame, decode_frame_answer(route.raw));
  CO_TRY(cache::ChangeTotals totals, cache::decode_totals(frame.content));
  co_await turn_.take();
  Result<Receiver::Done> done = co_await receiver_.end(route.name, totals);
  Result<Json> answer = Errc::io;
  if (done) answer = appliance_json(done->record);
  turn_.give_back();
  if (!done) co_return std::move(done).error();
  if (!done->served) {
    co_return Error(done->served.error().code, "appliance '" + done->record.name +
                                                   "' was received but is not served: " +
                                                   done->served.error().detail);
  }
  (*answer)["checkpoint"] = done->record.name + "@" + done->checkpoint;
  (*answer)["put_aside"] = done->put_aside;
  co_return answer;
}

Task<Result<Json>> AdminApi::abort_receive(const Route& route) {
  co_await turn_.take();
  Result<void> aborted = co_await receiver_.abort(route.name);
  turn_.give_back();
  if (!aborted) co_return std::move(aborted).error();
  Json answer;
  answer["aborted"] = route.name;
  co_return answer;
}

}  // namespace rowan::proxy
