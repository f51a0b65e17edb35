#include "tools/commands.h"

#include <cstdio>
#include <filesystem>
#include <thread>

#include "proxy/checkpoint_label.h"
#include "proxy/names.h"
#include "proxy/offline.h"
#include "proxy/size_text.h"
#include "proxy/state_dir.h"
#include "tools/output.h"

namespace rowan::tools {
namespace {

using proxy::HttpReply;
using proxy::HttpRequest;
using proxy::Json;

// Asking a source may take its whole deadline, removing a large store its time as well.
constexpr Duration answer_patience = std::chrono::minutes(10);
// A daemon that holds the lock opens its socket within this time, or will not.
constexpr Duration start_patience = std::chrono::seconds(10);

// A directory is named absolutely in the record: the daemon has another working directory.
Result<std::string> absolute_source(const std::string& source) {
  if (source.starts_with("nfs://")) return source;
  if (source.find("://") != std::string::npos) {
    return Error(Errc::usage,
                 "'" + source + "' is not a source; give nfs://HOST/EXPORT or a directory");
  }
  std::error_code error;
  std::filesystem::path path = std::filesystem::canonical(source, error);
  if (error) return Error(Errc::usage, "source " + source + ": " + error.message());
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
  TRY_VOID(proxy::check_name("appliance", line.subject));
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
    TRY_VOID(proxy::check_name(what, line.subject));
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
    case Command::check:
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
  auto member = [&answer](const char* key) {
    Result<std::string> text = proxy::text_member(answer, key);
    return text ? *text : std::string("?");
  };
  switch (line.command) {
    case Command::image_add:
      return "image " + member("name") + "@" + member("version") + " added from " +
             member("source") + "\n";
    case Command::image_list:
      return image_list_text(answer);
    case Command::image_show:
      return image_text(answer);
    case Command::create:
      return "appliance " + member("name") + " made from " + member("image") + "@" +
             member("version") + "; mount it as HOST:" + member("export") + "\n";
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

Result<std::vector<std::string>> names_to_check(const CommandLine& line) {
  if (!line.subject.empty()) {
    TRY_VOID(proxy::check_name("appliance", line.subject));
    return std::vector<std::string>{line.subject};
  }
  TRY(Json answer, ask_json(line, HttpRequest{"GET", "/v1/appliances", ""}));
  std::vector<std::string> names;
  for (const Json& entry : answer["appliances"]) {
    TRY(std::string name, proxy::text_member(entry, "name"));
    names.push_back(std::move(name));
  }
  return names;
}

std::vector<std::string> lines_of(const Json& answer, const char* key) {
  Result<std::vector<std::string>> listed = proxy::texts_member(answer, key);
  return listed ? std::move(*listed) : std::vector<std::string>();
}

std::string repair_text(const CommandLine& line, const Json& answer) {
  std::string text;
  for (const std::string& finding : lines_of(answer, "findings")) text += "  " + finding + "\n";
  const std::vector<std::string> lost = lines_of(answer, "lost");
  const bool changed = answer.contains("repaired") && answer["repaired"] == true;
  std::string outcome = lost.empty() ? "sound, nothing to repair" : "opens as it is";
  if (changed) outcome = "repaired";
  text += "appliance " + line.subject + ": " + outcome + "\n";
  for (const std::string& part : lost) text += "  lost: " + part + "\n";
  return text;
}

// One appliance, by name: what a repair cannot save is gone.
int run_repair(const CommandLine& line) {
  Result<void> valid = proxy::check_name("appliance", line.subject);
  if (line.subject.empty())
    valid = Error(Errc::usage, "--repair is for one APPLIANCE; name it");
  if (!valid) return report(line, valid.error());
  const std::string target = "/v1/appliances/" + line.subject + "/check?repair=true";
  Result<Json> answer = ask_json(line, HttpRequest{"POST", target, ""});
  if (!answer) return report(line, answer.error());
  print(line.json ? proxy::json_pretty(*answer) + "\n" : repair_text(line, *answer));
  return 0;
}

// One line an appliance: a damaged one does not end the walk.
int run_check(const CommandLine& line) {
  if (line.repair) return run_repair(line);
  Result<std::vector<std::string>> names = names_to_check(line);
  if (!names) return report(line, names.error());
  const std::string query = line.offline ? "?offline=true" : "";
  int exit_status = 0;
  Json all = Json::array();
  for (const std::string& name : *names) {
    Result<Json> answer =
        ask_json(line, HttpRequest{"POST", "/v1/appliances/" + name + "/check" + query, ""});
    if (!answer) {
      exit_status = report(line, answer.error());
      all.push_back(Json{{"name", name}, {"ok", false}, {"error", answer.error().detail}});
      continue;
    }
    const std::vector<std::string> findings = lines_of(*answer, "findings");
    if (!findings.empty()) exit_status = 1;
    all.push_back(*answer);
    if (line.json) continue;
    print("appliance " + name + ": " +
          (findings.empty() ? "sound" : std::to_string(findings.size()) + " findings") + "\n");
    for (const std::string& finding : findings) print("  " + finding + "\n");
  }
  if (line.json) print(proxy::json_pretty(Json{{"appliances", all}}) + "\n");
  if (names->empty() && !line.json) print("no appliances to check\n");
  return exit_status;
}

}  // namespace

// The message and code of an error reply.
Error error_of(const HttpReply& reply) {
  Errc code = reply.status == 400 ? Errc::usage : Errc::io;
  Result<Json> body = proxy::parse_json(reply.body);
  if (body && body->is_object() && body->contains("error")) {
    if (auto message = proxy::text_member((*body)["error"], "message"))
      return Error(code, *message);
  }
  return Error(code, "the daemon answered with status " + std::to_string(reply.status));
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

// To the daemon if there is one; else on the state directory itself. Between the two a process that
// holds the lock without a socket is starting, ending, or another command at work: wait for it a
// little.
Result<HttpReply> ask(const CommandLine& line, const HttpRequest& request) {
  TRY(std::string state, state_of(line));
  auto give_up = std::chrono::steady_clock::now() + start_patience;
  while (true) {
    Result<HttpReply> reply =
        proxy::call_admin(proxy::socket_path(state), request, answer_patience);
    if (!reply.failed_with(Errc::disconnected)) return reply;
    reply = proxy::answer_offline(state, request, "rowan " + line.name);
    if (!reply.failed_with(Errc::busy) || std::chrono::steady_clock::now() > give_up) return reply;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

Result<Json> ask_json(const CommandLine& line, const HttpRequest& request) {
  TRY(HttpReply reply, ask(line, request));
  if (reply.status != 200) return error_of(reply);
  return proxy::parse_json(reply.body);
}

Result<std::string> state_of(const CommandLine& line) {
  if (line.state.empty()) return proxy::default_state_path();
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(line.state, error);
  if (error) return Error(Errc::usage, "--state " + line.state + ": " + error.message());
  return path.lexically_normal().string();
}

int report(const CommandLine& line, const Error& error) {
  std::string text = "rowan: " + line.name + ": " +
                     (error.detail.empty() ? to_string(error) : error.detail) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
  return error.code == Errc::usage ? 2 : 1;
}

int run_admin_command(const CommandLine& line) {
  if (line.command == Command::check) return run_check(line);
  Result<HttpRequest> request = request_of(line);
  if (!request) return report(line, request.error());
  Result<Json> answer = ask_json(line, *request);
  // Where there is no state yet, no daemon runs either.
  if (line.command == Command::status && answer.failed_with(Errc::not_found))
    answer = Json{{"daemon", nullptr}};
  if (!answer) return report(line, answer.error());
  if (line.command == Command::status) return finish_status(line, *answer);
  print(line.json ? proxy::json_pretty(*answer) + "\n" : text_for(line, *answer));
  return 0;
}

}  // namespace rowan::tools
