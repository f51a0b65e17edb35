// Everything but `serve` and `doctor`: a request to the admin interface, and its answer on the
// screen.
#pragma once

#include <string_view>

#include "proxy/admin_http.h"
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

// What every command is made of: a request to the daemon if there is one, else to the state
// directory itself; the answer's JSON, or its error.
Result<proxy::HttpReply> ask(const CommandLine& line, const proxy::HttpRequest& request);
Result<proxy::Json> ask_json(const CommandLine& line, const proxy::HttpRequest& request);
// What a reply that is not 200 says.
Error error_of(const proxy::HttpReply& reply);
// To standard output.
void print(std::string_view text);

// Streams between hosts.
int run_send(const CommandLine& line);
int run_receive(const CommandLine& line);

// "rowan: create: what is wrong", to standard error; the exit status that goes with it.
int report(const CommandLine& line, const Error& error);
// --state, or the default place.
Result<std::string> state_of(const CommandLine& line);

}  // namespace rowan::tools
