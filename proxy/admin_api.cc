#include "proxy/admin_api.h"

#include "proxy/admin_text.h"
#include "proxy/blocking.h"
#include "proxy/size_text.h"

namespace rowan::proxy {
namespace {

unsigned http_status(Errc code) {
  switch (code) {
    case Errc::usage:
    case Errc::malformed:
    case Errc::invalid:
    case Errc::name_too_long:
      return 400;
    case Errc::access:
    case Errc::not_permitted:
      return 403;
    case Errc::not_found:
      return 404;
    case Errc::not_supported:
      return 405;
    case Errc::exists:
    case Errc::busy:
    case Errc::is_directory:
    case Errc::not_directory:
    case Errc::cross_device:
      return 409;
    case Errc::timed_out:
    case Errc::disconnected:
    case Errc::try_later:
      return 502;
    case Errc::no_space:
    case Errc::quota:
      return 507;
    default:
      return 500;
  }
}

// The path's parts between slashes; percent signs stay as they are and so name nothing.
std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    std::size_t end = std::min(path.find('/'), path.size());
    parts.emplace_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return parts;
}

Result<bool> parse_query(std::string_view query) {
  if (query == "force=true") return true;
  if (query.empty() || query == "force=false") return false;
  return Error(Errc::usage, "the only query is force=true");
}

bool is_about_versions(std::string_view action) {
  return action == "checkpoints" || action == "clone" || action == "schedule" ||
         action == "rollback";
}

Result<std::uint64_t> size_member(const Json& body, std::string_view key) {
  if (Result<std::string> text = text_member(body, key)) return parse_size(*text);
  return number_member(body, key);
}

Result<NewAppliance> read_new_appliance(const Json& body) {
  TRY_VOID(only_members(
      body, {"name", "image", "source", "allow", "quota", "durability", "root_squash"}));
  NewAppliance wanted;
  TRY(wanted.name, text_member(body, "name"));
  if (has_member(body, "image") == has_member(body, "source")) {
    return Error(Errc::usage, "give either an image or a source");
  }
  if (has_member(body, "image")) {
    TRY(std::string image, text_member(body, "image"));
    TRY(ImageName name, parse_image_name(image));
    wanted.image = name.name;
    wanted.version = name.version;
  }
  if (has_member(body, "allow")) {
    TRY(wanted.allow, texts_member(body, "allow"));
  }
  if (has_member(body, "quota")) {
    TRY(wanted.quota_bytes, size_member(body, "quota"));
  }
  if (has_member(body, "root_squash")) {
    TRY(wanted.root_squash, flag_member(body, "root_squash"));
  }
  if (has_member(body, "durability")) {
    TRY(std::string durability, text_member(body, "durability"));
    TRY(wanted.durability, parse_durability(durability));
  }
  return wanted;
}

Result<void> check_source(const std::string& source) {
  if (source.starts_with("nfs://") || source.starts_with('/')) return {};
  return Error(Errc::usage,
               "'" + source + "' is not a source; give nfs://HOST/EXPORT or an absolute directory");
}

}  // namespace

HttpReply reply_for(const Error& error) {
  return error_reply(http_status(error.code), to_string(error.code),
                     error.detail.empty() ? to_string(error.code) : std::string_view(error.detail));
}

Result<AdminApi::Route> AdminApi::parse_route(const HttpRequest& request) {
  std::string_view target = request.target;
  std::size_t mark = target.find('?');
  std::string_view path = target.substr(0, mark);
  if (!path.starts_with('/')) return no_such_resource();
  std::vector<std::string> parts = parts_of(path);
  if (parts.size() < 2 || parts.size() > 4 || parts[0] != "v1") return no_such_resource();
  Route route;
  route.method = request.method;
  route.collection = parts[1];
  if (parts.size() > 2) {
    std::size_t at = parts[2].find('@');
    route.name = parts[2].substr(0, at);
    if (at != std::string::npos) route.version = parts[2].substr(at + 1);
    if (route.name.empty()) return no_such_resource();
  }
  if (parts.size() > 3) route.action = parts[3];
  if (mark != std::string_view::npos) {
    TRY(route.force, parse_query(target.substr(mark + 1)));
  }
  if (route.collection == "receives" && !route.action.empty()) {
    route.raw = request.body;
  } else if (!request.body.empty()) {
    TRY(route.body, parse_json(request.body));
  }
  return route;
}

Task<HttpReply> AdminApi::handle(const HttpRequest& request) {
  if (StatesApi::handles(request)) co_return co_await states_.handle(request);
  Result<Route> route = parse_route(request);
  if (!route) co_return reply_for(route.error());
  HttpReply reply;
  if (route->collection == "appliances" && route->action == "frames" && route->method == "POST") {
    Result<FrameAnswer> frame = co_await send_frame(*route);
    if (!frame) co_return reply_for(frame.error());
    reply.body = encode_frame_answer(*frame);
    co_return reply;
  }
  Result<Json> answer = co_await dispatch(*route);
  if (!answer) co_return reply_for(answer.error());
  reply.body = json_line(*answer) + "\n";
  co_return reply;
}

Task<Result<Json>> AdminApi::dispatch(Route& route) {
  if (route.collection == "status" && route.name.empty()) {
    if (route.method != "GET") co_return Errc::not_supported;
    co_await turn_.take();
    Result<Json> answer = status_json();
    turn_.give_back();
    co_return answer;
  }
  if (route.collection == "images") co_return co_await dispatch_images(route);
  if (route.collection == "appliances") co_return co_await dispatch_appliances(route);
  if (route.collection == "receives") co_return co_await dispatch_receives(route);
  co_return no_such_resource();
}

Task<Result<Json>> AdminApi::dispatch_images(Route& route) {
  if (!route.action.empty()) co_return no_such_resource();
  if (route.method == "POST" && route.name.empty()) co_return co_await add_image(route);
  if (route.method == "DELETE" && !route.name.empty()) co_return co_await remove_image(route);
  if (route.method != "GET") co_return Error(Errc::not_supported, "not that method on images");
  co_await turn_.take();
  Result<Json> answer = Errc::not_found;
  if (route.name.empty()) {
    Json list;
    list["images"] = images_json();
    answer = std::move(list);
  } else if (Result<ImageRecord> image = registry_.image(route.name)) {
    answer = image_json(*image);
  } else {
    answer = image.error();
  }
  turn_.give_back();
  co_return answer;
}

Task<Result<Json>> AdminApi::dispatch_appliances(Route& route) {
  if (route.action == "send" && route.method == "POST") co_return co_await begin_send(route);
  if (!route.version.empty() || is_about_versions(route.action))
    co_return co_await dispatch_versions(route);
  if (!route.action.empty()) co_return no_such_resource();
  if (route.method == "POST" && route.name.empty()) co_return co_await create_appliance(route);
  if (route.method == "DELETE" && !route.name.empty()) co_return co_await remove_appliance(route);
  if (route.method != "GET") co_return Error(Errc::not_supported, "not that method on appliances");
  co_await turn_.take();
  Result<Json> answer = Errc::not_found;
  if (route.name.empty()) {
    Json list;
    list["appliances"] = appliances_json();
    answer = std::move(list);
  } else if (Result<ApplianceRecord> appliance = registry_.appliance(route.name)) {
    answer = appliance_json(*appliance);
  } else {
    answer = appliance.error();
  }
  turn_.give_back();
  co_return answer;
}

Task<Result<ImageVersion>> AdminApi::add_source(ImageName name, std::string source) {
  CO_TRY_VOID(check_source(source));
  co_await turn_.take();
  Result<void> possible = registry_.check_new_version(name);
  turn_.give_back();
  if (!possible) co_return std::move(possible).error();
  // Outside of the turn: a source may take its whole deadline to answer.
  Result<void> probed = co_await host_.probe_source(source);
  if (!probed) co_return std::move(probed).error();
  co_await turn_.take();
  auto add = [this, &name, &source] { return registry_.add_version(name, source); };
  Result<ImageVersion> added = co_await run_blocking(disk_, loop_, std::move(add));
  turn_.give_back();
  co_return added;
}

Task<Result<Json>> AdminApi::add_image(const Route& route) {
  CO_TRY_VOID(only_members(route.body, {"name", "source", "version"}));
  ImageName name;
  CO_TRY(name.name, text_member(route.body, "name"));
  if (has_member(route.body, "version")) {
    CO_TRY(name.version, text_member(route.body, "version"));
  }
  CO_TRY(std::string source, text_member(route.body, "source"));
  Result<ImageVersion> added = co_await add_source(name, source);
  if (!added) co_return std::move(added).error();
  Json answer;
  answer["name"] = name.name;
  answer["version"] = added->label;
  answer["source"] = added->source;
  co_return answer;
}

Task<Result<Json>> AdminApi::remove_image(const Route& route) {
  co_await turn_.take();
  ImageName name{route.name, route.version};
  // The record is looked up first, so that the daemon knows what to forget.
  Result<ImageRecord> image = registry_.image(route.name);
  auto remove = [this, &name] { return registry_.remove_image(name); };
  Result<void> removed = registry_.check_remove_image(name);
  if (removed && image) removed = co_await host_.forget_image(*image, name.version);
  if (removed) removed = co_await run_blocking(disk_, loop_, std::move(remove));
  turn_.give_back();
  if (!removed) co_return std::move(removed).error();
  Json answer;
  answer["removed"] = route.name;
  if (!route.version.empty()) answer["version"] = route.version;
  co_return answer;
}

// The version a source stands for: the same source again is the same image, another one of that
// name is its next version.
Task<Result<ImageVersion>> AdminApi::version_of_source(std::string source) {
  CO_TRY_VOID(check_source(source));
  ImageName name{name_from_source(source), ""};
  co_await turn_.take();
  Result<ImageVersion> newest = registry_.version(name);
  turn_.give_back();
  if (newest && newest->source == source) co_return newest;
  co_return co_await add_source(name, source);
}

Task<Result<Json>> AdminApi::create_appliance(const Route& route) {
  CO_TRY(NewAppliance wanted, read_new_appliance(route.body));
  co_await turn_.take();
  Result<void> possible = registry_.check_new_appliance(wanted);
  turn_.give_back();
  if (!possible) co_return std::move(possible).error();
  if (wanted.image.empty()) {
    CO_TRY(std::string source, text_member(route.body, "source"));
    wanted.image = name_from_source(source);
    Result<ImageVersion> version = co_await version_of_source(source);
    if (!version) co_return std::move(version).error();
    wanted.version = version->label;
  }
  co_await turn_.take();
  auto create = [this, &wanted] { return registry_.create_appliance(wanted); };
  Result<ApplianceRecord> made = co_await run_blocking(disk_, loop_, std::move(create));
  Result<void> started;
  if (made) started = co_await host_.start(*made);
  Result<Json> answer = Errc::io;
  if (made) answer = appliance_json(*made);
  turn_.give_back();
  if (!made) co_return std::move(made).error();
  if (!started)
    co_return Error(
        started.error().code,
        "appliance '" + made->name + "' was made but is not served: " + started.error().detail);
  co_return answer;
}

Task<Result<Json>> AdminApi::remove_appliance(const Route& route) {
  co_await turn_.take();
  ApplianceStatus status = host_.appliance_status(route.name);
  Result<void> removed;
  if (!status.clients.empty() && !route.force) {
    removed =
        Error(Errc::busy, "appliance '" + route.name + "' is mounted by " + status.clients.front() +
                              (status.clients.size() > 1 ? " and others" : "") +
                              "; unmount it there first, or use --force");
  }
  if (removed) removed = co_await host_.stop(route.name);
  Result<ApplianceRecord> record = registry_.appliance(route.name);
  if (removed && record) removed = co_await receiver_.appliance_goes(*record);
  auto remove = [this, &route] { return registry_.remove_appliance(route.name); };
  if (removed) removed = co_await run_blocking(disk_, loop_, std::move(remove));
  // The stores of its clones lie beside it and stay.
  if (removed && record && !registry_.users(record->pool).empty())
    removed = co_await host_.versions().drop_all(*record);
  turn_.give_back();
  if (!removed) co_return std::move(removed).error();
  Json answer;
  answer["removed"] = route.name;
  co_return answer;
}

}  // namespace rowan::proxy
