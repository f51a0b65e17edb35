// checkpoint, log, rollback, clone, and remove of a checkpoint.
#include <langinfo.h>

#include <clocale>
#include <cstdio>
#include <cstring>

#include "proxy/checkpoint_label.h"
#include "proxy/json.h"
#include "proxy/names.h"
#include "proxy/size_text.h"
#include "tools/admin_session.h"
#include "tools/commands.h"
#include "tools/history_graph.h"
#include "tools/output.h"

namespace rowan::tools {
namespace {

using proxy::HttpRequest;
using proxy::Json;

std::string appliance_target(const std::string& name) { return "/v1/appliances/" + name; }

// What is drawn on must know the characters.
bool draws_unicode() {
  std::setlocale(LC_CTYPE, "");
  return std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0;
}

Result<HttpRequest> checkpoint_request(const CommandLine& line) {
  TRY_VOID(check_whole_appliance(line));
  Json body = Json::object();
  if (!line.every.empty()) {
    if (!line.checkpoint.empty() || !line.message.empty())
      return Error(Errc::usage, "--every is for checkpoints that get their names by themselves");
    body["every"] = line.every;
    if (!line.keep.empty()) body["keep"] = line.keep;
    return HttpRequest{"POST", appliance_target(line.subject) + "/schedule",
                       proxy::json_line(body)};
  }
  if (!line.keep.empty()) return Error(Errc::usage, "--keep goes with --every");
  if (!line.checkpoint.empty()) {
    TRY_VOID(proxy::check_name("checkpoint", line.checkpoint));
    body["name"] = line.checkpoint;
  }
  if (!line.message.empty()) body["message"] = line.message;
  return HttpRequest{"POST", appliance_target(line.subject) + "/checkpoints",
                     proxy::json_line(body)};
}

Result<HttpRequest> rollback_request(const CommandLine& line) {
  TRY(proxy::StateName state, proxy::parse_state_name(line.subject));
  if (state.checkpoint.empty()) {
    return Error(Errc::usage, "say where to: " + state.appliance + "@CHECKPOINT; 'rowan log " +
                                  state.appliance + "' shows what there is");
  }
  return HttpRequest{"POST",
                     appliance_target(line.subject) + "/rollback" +
                         (line.force ? "?force=true" : ""),
                     ""};
}

Result<HttpRequest> clone_request(const CommandLine& line) {
  Result<proxy::StateName> state = proxy::parse_state_name(line.subject);
  if (!state) return std::move(state).error();
  TRY_VOID(proxy::check_name("appliance", line.target));
  Json body;
  body["name"] = line.target;
  return HttpRequest{"POST", appliance_target(line.subject) + "/clone", proxy::json_line(body)};
}

Result<HttpRequest> request_of(const CommandLine& line) {
  switch (line.command) {
    case Command::checkpoint:
      return checkpoint_request(line);
    case Command::rollback:
      return rollback_request(line);
    case Command::clone:
      return clone_request(line);
    default:
      break;
  }
  TRY_VOID(check_whole_appliance(line));
  return HttpRequest{"GET", appliance_target(line.subject) + "/checkpoints", ""};
}

// One line, whatever is in it.
std::string first_line(std::string text) {
  if (std::size_t end = text.find('\n'); end != std::string::npos) text = text.substr(0, end) + "…";
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

std::string why_of(const Json& checkpoint) {
  const std::string reason = member(checkpoint, "reason");
  return reason == "asked" ? "" : "[" + reason + "] ";
}

Table log_table(const Json& answer, const std::vector<GraphLine>& graph, const Json& entries) {
  Table table({"", "CHECKPOINT", "CREATED", "ONLY HERE", "IMAGE", ""});
  for (const GraphLine& drawn : graph) {
    if (!drawn.node) {
      table.add({drawn.text, "", "", "", "", ""});
    } else if (*drawn.node == 0) {
      table.add({drawn.text, "(running)", "", "", member(answer, "image") + "@" +
                 member(answer, "version"), ""});
    } else {
      const Json& entry = entries[*drawn.node - 1];
      const bool sized = entry.contains("unique_bytes") && entry["unique_bytes"].is_number();
      table.add({drawn.text, member(entry, "name"), member(entry, "created"),
                 sized ? proxy::size_text(number(entry, "unique_bytes")) : "-",
                 member(entry, "image") + "@" + member(entry, "version"),
                 why_of(entry) + first_line(member(entry, "message"))});
    }
  }
  return table;
}

std::string log_text(const Json& answer) {
  if (!answer.contains("checkpoints") || !answer["checkpoints"].is_array()) return "?\n";
  const Json& entries = answer["checkpoints"];
  std::vector<HistoryNode> nodes{{~std::uint64_t{0}, number(answer, "running_on")}};
  for (const Json& entry : entries) nodes.push_back({number(entry, "id"), number(entry, "parent")});
  std::string text = log_table(answer, draw_history(nodes, draws_unicode()), entries).text();
  if (member(answer, "every") != "off") {
    const std::string keep = member(answer, "keep");
    text += "\na checkpoint every " + member(answer, "every") +
            (keep.empty() ? ", all kept\n" : ", kept " + keep + "\n");
  }
  return text;
}

std::string schedule_text(const CommandLine& line, const Json& answer) {
  if (member(answer, "every") == "off")
    return "no scheduled checkpoints of " + line.subject + " any more\n";
  const std::string keep = member(answer, "keep");
  return "a checkpoint of " + line.subject + " every " + member(answer, "every") +
         (keep.empty() ? ", all kept\n" : ", kept " + keep + "\n");
}

std::string text_for(const CommandLine& line, const Json& answer) {
  switch (line.command) {
    case Command::checkpoint:
      if (!line.every.empty()) return schedule_text(line, answer);
      return "checkpoint " + member(answer, "state") + " made; HOST:" + member(answer, "export") +
             " shows it read-only\n";
    case Command::rollback: {
      const std::string kept = answer.contains("kept") ? member(answer["kept"], "state") : "?";
      return "appliance " + member(answer, "name") + " goes on from " +
             member(answer, "running_on") + "; what it was is kept as " + kept + "\n";
    }
    case Command::clone:
      return "appliance " + member(answer, "name") + " made from " + line.subject +
             "; mount it as HOST:" + member(answer, "export") + "\n";
    default:
      return log_text(answer);
  }
}

}  // namespace

int run_versions_command(const CommandLine& line) {
  Result<HttpRequest> request = request_of(line);
  if (!request) return report(line, request.error());
  AdminSession session(line);
  Result<Json> answer = session.ask_json(*request);
  if (!answer) return report(line, answer.error());
  print(line.json ? proxy::json_pretty(*answer) + "\n" : text_for(line, *answer));
  return 0;
}

}  // namespace rowan::tools
