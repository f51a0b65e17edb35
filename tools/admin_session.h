// Several requests of one command: to the daemon, or, if there is none, to the state directory,
// which stays open between them.
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
  // The appliances that the command is about. `line` outlives the session.
  AdminSession(const CommandLine& line, std::vector<std::string> appliances)
      : line_(line), appliances_(std::move(appliances)) {}

  Result<proxy::HttpReply> ask(const proxy::HttpRequest& request);
  // The body of a reply that is well, or its error.
  Result<proxy::Json> ask_json(const proxy::HttpRequest& request);

 private:
  Result<proxy::HttpReply> ask_first(const proxy::HttpRequest& request);

  const CommandLine& line_;
  std::vector<std::string> appliances_;
  bool asked_ = false;
  std::unique_ptr<proxy::OfflineSession> offline_;
};

// On standard error, how far long work is: one line that changes on a terminal, a line now and then
// elsewhere. Cleared by the destructor.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  void show(const std::string& text);

 private:
  bool terminal_;
  std::size_t shown_ = 0;   // columns on a terminal
  std::int64_t next_ = 0;   // seconds, elsewhere
};

}  // namespace rowan::tools
