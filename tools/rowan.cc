// The `rowan` command: words, then the work, then the exit status.
#include <cstdio>

#include "proxy/config.h"
#include "proxy/daemon.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/doctor.h"

namespace rowan::tools {
namespace {

// Defaults, then the file, then the flags.
Result<proxy::ServeConfig> config_of(const CommandLine& line) {
  proxy::ServeConfig config;
  std::vector<std::string> given;
  for (const auto& [name, values] : line.settings) given.push_back(name);
  if (!line.config.empty()) {
    TRY(auto settings, proxy::read_config(line.config));
    TRY_VOID(proxy::apply_settings(config, settings, line.config, given));
  }
  for (const proxy::Option& option : proxy::serve_options()) {
    auto found = line.settings.find(std::string(option.name));
    if (found == line.settings.end()) continue;
    Result<void> applied = option.apply(config, found->second);
    if (!applied)
      return Error(Errc::usage, "--" + std::string(option.name) + ": " + applied.error().detail);
  }
  return config;
}

int run_serve(const CommandLine& line) {
  Result<proxy::ServeConfig> config = config_of(line);
  if (!config) return report(line, config.error());
  Result<std::string> state = state_of(line);
  if (!state) return report(line, state.error());
  Result<void> served = proxy::run_daemon(*state, *config, [](const std::string& text) {
    std::fputs((text + "\n").c_str(), stdout);
    std::fflush(stdout);
  });
  return served ? 0 : report(line, served.error());
}

int run(const CommandLine& line) {
  switch (line.command) {
    case Command::serve:
      return run_serve(line);
    case Command::check:
      return run_check(line);
    case Command::doctor:
      return run_doctor(line);
    case Command::checkpoint:
    case Command::log:
    case Command::rollback:
    case Command::clone:
      return run_versions_command(line);
    case Command::diff:
    case Command::cat:
    case Command::ls:
    case Command::restore:
      return run_states_command(line);
    case Command::send:
      return run_send(line);
    case Command::receive:
      return run_receive(line);
    default:
      return run_admin_command(line);
  }
}

}  // namespace
}  // namespace rowan::tools

int main(int argc, char** argv) {
  auto words = rowan::tools::parse_command_line(argc, argv);
  if (auto* finished = std::get_if<rowan::tools::Finished>(&words)) return finished->exit_status;
  return rowan::tools::run(std::get<rowan::tools::CommandLine>(words));
}
