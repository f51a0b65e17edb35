// Everything but `serve` and `doctor`: a request to the admin interface, and its answer on the
// screen.
#pragma once

#include <string_view>

#include "proxy/json.h"
#include "rpc/base/result.h"
#include "tools/command_line.h"

namespace rowan::tools {

// Exit status. Errors have been written.
int run_admin_command(const CommandLine& line);

// checkpoint, log, rollback, clone.
int run_versions_command(const CommandLine& line);

// diff, cat, ls, restore.
int run_states_command(const CommandLine& line);

// Members of an answer. The daemon may be of another version than the command: what is missing is
// shown as "?", or counts as 0.
std::string member(const proxy::Json& object, const char* key);
std::uint64_t number(const proxy::Json& object, const char* key);
// One line, whatever names clients have chosen: control characters as C writes them.
std::string shown(const std::string& text);
// To standard output.
void print(std::string_view text);

int run_check(const CommandLine& line);

// Streams between hosts.
int run_send(const CommandLine& line);
int run_receive(const CommandLine& line);

// "rowan: create: what is wrong", to standard error; the exit status that goes with it.
int report(const CommandLine& line, const Error& error);
// usage: the subject is no name of an appliance, or one of a checkpoint, and what to use then.
Result<void> check_whole_appliance(const CommandLine& line);
// --state, or the default place.
Result<std::string> state_of(const CommandLine& line);

}  // namespace rowan::tools
