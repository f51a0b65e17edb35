// Everything but `serve` and `doctor`: a request to the admin interface, and its answer on the
// screen.
#pragma once

#include "rpc/base/result.h"
#include "tools/command_line.h"

namespace rowan::tools {

// Exit status. Errors have been written.
int run_admin_command(const CommandLine& line);

// "rowan: create: what is wrong", to standard error; the exit status that goes with it.
int report(const CommandLine& line, const Error& error);
// --state, or the default place.
Result<std::string> state_of(const CommandLine& line);

}  // namespace rowan::tools
