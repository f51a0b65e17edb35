// The requests of one command: to the daemon, or, if there is none, to the state directory, which
// then stays open and locked until the command ends.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/admin_http.h"
#include "proxy/json.h"
#include "proxy/offline_session.h"
#include "rpc/base/result.h"
#include "tools/command_line.h"

namespace rowan::tools {

class AdminSession {
 public:
  // `opened`: the appliances whose files are looked at. `line` outlives the session.
  explicit AdminSession(const CommandLine& line, std::vector<std::string> opened = {});

  // The first request finds out whether there is a daemon. One that starts or ends, and another
  // command at work, is waited for a little. disconnected: the daemon went away since.
  Result<proxy::HttpReply> ask(const proxy::HttpRequest& request);
  // The body of a reply that is well, or its error.
  Result<std::string> ask_text(const proxy::HttpRequest& request);
  Result<proxy::Json> ask_json(const proxy::HttpRequest& request);
  // Two threads may not ask at the same time, then. Known after the first request.
  bool offline() const { return offline_ != nullptr; }

 private:
  Result<proxy::HttpReply> ask_first(const proxy::HttpRequest& request);

  const CommandLine& line_;
  proxy::OfflineNeeds needs_;
  std::string socket_;  // empty: nothing was asked yet
  std::unique_ptr<proxy::OfflineSession> offline_;
};

// What a reply that is not 200 says.
Error error_of(const proxy::HttpReply& reply);

}  // namespace rowan::tools
