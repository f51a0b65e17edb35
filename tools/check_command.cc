// rowan check: walks the stores of appliances, and repairs the store of one.
#include "proxy/json.h"
#include "tools/admin_session.h"
#include "tools/commands.h"
#include "tools/progress.h"

namespace rowan::tools {
namespace {

using proxy::HttpRequest;
using proxy::Json;

Result<std::vector<std::string>> names_to_check(AdminSession& session,
                                                const CommandLine& line) {
  if (!line.subject.empty()) {
    TRY_VOID(check_whole_appliance(line));
    return std::vector<std::string>{line.subject};
  }
  TRY(Json answer, session.ask_json(HttpRequest{"GET", "/v1/appliances", ""}));
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
  for (const std::string& finding : lines_of(answer, "findings"))
    text += "  " + shown(finding) + "\n";
  const std::vector<std::string> lost = lines_of(answer, "lost");
  const bool changed = answer.contains("repaired") && answer["repaired"] == true;
  std::string outcome = lost.empty() ? "sound, nothing to repair" : "opens as it is";
  if (changed) outcome = "repaired";
  text += "appliance " + line.subject + ": " + outcome + "\n";
  for (const std::string& part : lost) text += "  lost: " + shown(part) + "\n";
  return text;
}

Result<Json> checked(AdminSession& session, const CommandLine& line, const std::string& name,
                     const std::string& order) {
  const HttpRequest begin{
      "POST", "/v1/appliances/" + name + "/check?background=true" + order, ""};
  TRY(FinishedWork work, finish_work(session, line, begin, check_progress));
  forget_work(session, work);
  work.answer.erase("done");
  work.answer.erase("kind");
  return std::move(work.answer);
}

// One appliance, by name: what a repair cannot save is gone.
int run_repair(AdminSession& session, const CommandLine& line) {
  Result<void> valid = check_whole_appliance(line);
  if (line.subject.empty())
    valid = Error(Errc::usage, "--repair is for one APPLIANCE; name it");
  if (!valid) return report(line, valid.error());
  Result<Json> answer = checked(session, line, line.subject, "&repair=true");
  if (!answer) return report(line, answer.error());
  print(line.json ? proxy::json_pretty(*answer) + "\n" : repair_text(line, *answer));
  return 0;
}

}  // namespace

// One line an appliance: a damaged one does not end the walk.
int run_check(const CommandLine& line) {
  AdminSession session(line);
  if (line.repair) return run_repair(session, line);
  Result<std::vector<std::string>> names = names_to_check(session, line);
  if (!names) return report(line, names.error());
  const std::string order = line.offline ? "&offline=true" : "";
  int exit_status = 0;
  Json all = Json::array();
  for (const std::string& name : *names) {
    Result<Json> answer = checked(session, line, name, order);
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
    for (const std::string& finding : findings) print("  " + shown(finding) + "\n");
  }
  if (line.json) print(proxy::json_pretty(Json{{"appliances", all}}) + "\n");
  if (names->empty() && !line.json) print("no appliances to check\n");
  return exit_status;
}

}  // namespace rowan::tools
