#include "tools/doctor.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>

#include "proxy/json.h"
#include "tools/bench/target.h"
#include "tools/commands.h"
#include "tools/doctor_text.h"

namespace rowan::tools {
namespace {

constexpr std::uint16_t default_port = 2049;

Error not_a_target(std::string_view text) {
  return Error(
      Errc::usage,
      "'" + std::string(text) +
          "' is not something to look at; give HOST[:PORT]:/APPLIANCE or nfs://HOST/EXPORT");
}

Result<std::uint16_t> parse_port(std::string_view text, std::string_view whole) {
  std::uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || port == 0)
    return not_a_target(whole);
  return port;
}

// Ports that the URL does not name are asked of the port mapper; bench::parse_target has defaults
// instead.
Result<DoctorTarget> parse_url(std::string_view url) {
  TRY(bench::Target parsed, bench::parse_target(url));
  DoctorTarget target;
  target.host = parsed.host;
  target.path = parsed.export_path;
  std::size_t mark = url.find('?');
  std::string_view options = mark == std::string_view::npos ? "" : url.substr(mark);
  auto given = [options](std::string_view key) {
    return options.find(key) != std::string_view::npos;
  };
  if (given("nfsport=")) target.nfs_port = parsed.nfs_port;
  target.mount_port = parsed.mount_port;
  target.uid = given("uid=") ? parsed.uid : ::geteuid();
  target.gid = given("gid=") ? parsed.gid : ::getegid();
  return target;
}

}  // namespace

Result<DoctorTarget> parse_doctor_target(std::string_view text) {
  if (text.starts_with("nfs://")) return parse_url(text);
  DoctorTarget target;
  target.uid = ::geteuid();
  target.gid = ::getegid();
  if (text.empty()) {
    target.nfs_port = target.mount_port = default_port;
    return target;
  }
  std::string_view rest = text;
  std::size_t path = rest.find(":/");
  if (path != std::string_view::npos) {
    target.path = rest.substr(path + 1);
    rest = rest.substr(0, path);
  }
  bool bracketed = rest.starts_with('[');
  std::size_t host_end = bracketed ? rest.find(']') : rest.find(':');
  if (bracketed && host_end == std::string_view::npos) return not_a_target(text);
  target.host = rest.substr(bracketed ? 1 : 0, bracketed ? host_end - 1 : host_end);
  rest = host_end == std::string_view::npos ? "" : rest.substr(host_end + (bracketed ? 1 : 0));
  if (target.host.empty() || target.host.find('/') != std::string::npos) return not_a_target(text);
  if (rest.empty()) return target;
  if (!rest.starts_with(':')) return not_a_target(text);
  TRY(target.nfs_port, parse_port(rest.substr(1), text));
  target.mount_port = target.nfs_port;
  return target;
}

std::string_view to_string(Finding::Level level) {
  switch (level) {
    case Finding::Level::ok:
      return "ok";
    case Finding::Level::warn:
      return "warn";
    case Finding::Level::fail:
      return "fail";
  }
  return "fail";
}

int run_doctor(const CommandLine& line) {
  Result<DoctorTarget> target = parse_doctor_target(line.subject);
  if (!target) return report(line, target.error());
  target->write = line.write;
  if (line.write && target->path.empty()) {
    return report(
        line,
        Error(Errc::usage, "--write needs an export; give HOST:/APPLIANCE or nfs://HOST/EXPORT"));
  }
  proxy::Json findings = proxy::Json::array();
  bool failed = false;
  auto seen = [&](const Finding& finding) {
    failed = failed || finding.level == Finding::Level::fail;
    if (line.json) {
      findings.push_back(finding_json(finding));
    } else {
      std::string text = finding_text(finding);
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::fflush(stdout);
    }
  };
  auto body = [&](Notebook& notebook) { examine(*target, notebook); };
  run_watched(body, line.timeout_seconds, seen);
  if (line.json) {
    proxy::Json answer;
    answer["ok"] = !failed;
    answer["findings"] = findings;
    std::string text = proxy::json_pretty(answer) + "\n";
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
  return failed ? 1 : 0;
}

}  // namespace rowan::tools
