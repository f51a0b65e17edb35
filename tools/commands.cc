#include "tools/commands.h"

#include <cstdio>
#include <filesystem>

#include "proxy/checkpoint_label.h"
#include "proxy/names.h"
#include "proxy/size_text.h"
#include "proxy/state_dir.h"
#include "tools/admin_session.h"
#include "tools/output.h"

namespace rowan::tools {
namespace {

using proxy::HttpRequest;
using proxy::Json;

// A directory is named absolutely in the record: the daemon has another working directory.
Result<std::string> absolute_source(const std::string& source) {
  if (source.starts_with("nfs://")) return source;
  if (source.find("://") != std::string::npos) {
    return Error(Errc::usage,
                 "'" + source + "' is not a source; give nfs://HOST/EXPORT or a directory");
  }
  std::error_code error;
  std::filesystem::path path = std::filesystem::canonical(source, error);
  if (error) {
    return Error(Errc::not_found, "source " + source + ": " + error.message() +
                                      "; give a directory of this machine or nfs://HOST/EXPORT");
  }
  return path.string();
}

Result<HttpRequest> add_image_request(const CommandLine& line) {
  TRY_VOID(proxy::check_name("image", line.subject));
  Json body;
  body["name"] = line.subject;
  TRY(body["source"], absolute_source(line.source));
  if (!line.version.empty()) body["version"] = line.version;
  return HttpRequest{"POST", "/v1/images", proxy::json_line(body)};
}

// Names of images have no '/', and never are "." or "..".
bool names_a_source(const std::string& image) {
  return image.find('/') != std::string::npos || image == "." || image == "..";
}

Result<HttpRequest> create_request(const CommandLine& line) {
  TRY_VOID(check_whole_appliance(line));
  if (line.source.empty() == line.image.empty()) {
    return Error(Errc::usage,
                 "give --image NAME[@VERSION] or a SOURCE; 'rowan image list' shows the images");
  }
  Json body;
  body["name"] = line.subject;
  if (names_a_source(line.image)) {
    TRY(body["source"], absolute_source(line.image));
  } else if (!line.image.empty()) {
    Result<proxy::ImageName> name = proxy::parse_image_name(line.image);
    if (!name) return std::move(name).error();
    body["image"] = line.image;
  } else {
    TRY(body["source"], absolute_source(line.source));
  }
  if (!line.allow.empty()) body["allow"] = line.allow;
  if (!line.quota.empty()) {
    TRY(body["quota"], proxy::parse_size(line.quota));
  }
  body["durability"] = line.durability;
  body["root_squash"] = line.root_squash;
  return HttpRequest{"POST", "/v1/appliances", proxy::json_line(body)};
}

Result<HttpRequest> named_request(const CommandLine& line, std::string_view what,
                                  std::string method) {
  if (what == "image") {
    Result<proxy::ImageName> name = proxy::parse_image_name(line.subject);
    if (!name) return std::move(name).error();
  } else {
    TRY_VOID(check_whole_appliance(line));
  }
  std::string target = "/v1/" + std::string(what) + "s/" + line.subject;
  if (line.force) target += "?force=true";
  return HttpRequest{std::move(method), std::move(target), ""};
}

// An appliance, or one of its checkpoints.
Result<HttpRequest> remove_request(const CommandLine& line) {
  Result<proxy::StateName> state = proxy::parse_state_name(line.subject);
  if (!state) return std::move(state).error();
  return HttpRequest{"DELETE", "/v1/appliances/" + line.subject + (line.force ? "?force=true" : ""),
                     ""};
}

Result<HttpRequest> request_of(const CommandLine& line) {
  switch (line.command) {
    case Command::image_add:
      return add_image_request(line);
    case Command::image_list:
      return HttpRequest{"GET", "/v1/images", ""};
    case Command::image_show:
      return named_request(line, "image", "GET");
    case Command::image_remove:
      return named_request(line, "image", "DELETE");
    case Command::create:
      return create_request(line);
    case Command::list:
      return HttpRequest{"GET", "/v1/appliances", ""};
    case Command::show:
      return named_request(line, "appliance", "GET");
    case Command::remove:
      return remove_request(line);
    case Command::status:
    default:
      break;
  }
  return HttpRequest{"GET", "/v1/status", ""};
}

std::string text_for(const CommandLine& line, const Json& answer) {
  switch (line.command) {
    case Command::image_add:
      return "image " + member(answer, "name") + "@" + member(answer, "version") + " added from " +
             member(answer, "source") + "\n";
    case Command::image_list:
      return image_list_text(answer);
    case Command::image_show:
      return image_text(answer);
    case Command::create:
      return "appliance " + member(answer, "name") + " made from " + member(answer, "image") + "@" +
             member(answer, "version") + "; mount it as HOST:" + member(answer, "export") + "\n";
    case Command::image_remove:
      return "image " + line.subject + " removed\n";
    case Command::remove:
      return (line.subject.find('@') == std::string::npos ? "appliance " : "checkpoint ") +
             line.subject + " removed\n";
    case Command::list:
      return appliance_list_text(answer);
    case Command::show:
      return appliance_text(answer);
    default:
      return status_text(answer);
  }
}

// Without a daemon there is nothing to report but that, and what would be served.
int finish_status(const CommandLine& line, const Json& answer) {
  bool runs = answer.contains("daemon") && answer["daemon"].is_object();
  if (line.json) print(proxy::json_pretty(answer) + "\n");
  if (runs && !line.json) print(status_text(answer));
  if (runs) return 0;
  Result<std::string> state = state_of(line);
  std::string option = line.state.empty() || !state ? "" : " --state " + *state;
  return report(line,
                Error(Errc::disconnected,
                      "the daemon is not running; start it with 'rowan serve" + option + "'"));
}

}  // namespace

std::string shown(const std::string& text) {
  std::string result;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      result += c;
      continue;
    }
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\%03o", byte);
    result += escape;
  }
  return result;
}

Result<void> check_whole_appliance(const CommandLine& line) {
  Result<proxy::StateName> state = proxy::parse_state_name(line.subject);
  if (!state || state->checkpoint.empty()) return proxy::check_name("appliance", line.subject);
  const std::string& name = state->appliance;
  std::string instead = "give the appliance alone: rowan " + line.name + " " + name;
  if (line.command == Command::show)
    instead = "'rowan log " + name + "' shows the checkpoints, 'rowan ls " + line.subject +
              "' what is in this one";
  if (line.command == Command::checkpoint)
    instead = "the name comes apart: rowan checkpoint " + name + " " + state->checkpoint;
  if (line.command == Command::create)
    instead = "'rowan clone " + line.subject + " NEW' makes an appliance of it";
  return Error(Errc::usage,
               "'" + line.subject + "' names a checkpoint, not an appliance; " + instead);
}

std::string member(const Json& object, const char* key) {
  Result<std::string> text = proxy::text_member(object, key);
  return text ? *text : std::string("?");
}

std::uint64_t number(const Json& object, const char* key) {
  Result<std::uint64_t> value = proxy::number_member(object, key);
  return value ? *value : 0;
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

Result<std::string> state_of(const CommandLine& line) {
  if (line.state.empty()) return proxy::default_state_path();
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(line.state, error);
  if (error) return Error(Errc::usage, "--state " + line.state + ": " + error.message());
  return path.lexically_normal().string();
}

int report(const CommandLine& line, const Error& error) {
  const std::string why = error.detail.empty() ? to_string(error) : error.detail;
  const std::string text = "rowan: " + line.name + ": " + shown(why) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
  return error.code == Errc::usage ? 2 : 1;
}

int run_admin_command(const CommandLine& line) {
  Result<HttpRequest> request = request_of(line);
  if (!request) return report(line, request.error());
  AdminSession session(line);
  Result<Json> answer = session.ask_json(*request);
  // Where there is no state yet, no daemon runs either.
  if (line.command == Command::status && answer.failed_with(Errc::not_found))
    answer = Json{{"daemon", nullptr}};
  if (!answer) return report(line, answer.error());
  if (line.command == Command::list) {
    Result<Json> half = session.ask_json({"GET", "/v1/receives", ""});
    if (!half) return report(line, half.error());
    (*answer)["receives"] = (*half)["receives"];
  }
  if (line.command == Command::status) return finish_status(line, *answer);
  print(line.json ? proxy::json_pretty(*answer) + "\n" : text_for(line, *answer));
  return 0;
}

}  // namespace rowan::tools
