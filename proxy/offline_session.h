// The admin interface without a daemon, for a command that finds none: the state directory is
// opened under its lock, asked as often as it takes, and closed.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/admin_http.h"
#include "rpc/base/result.h"

namespace rowan::proxy {

struct OfflineNeeds {
  bool create = false;                  // the state directory is made if it is missing
  std::vector<std::string> appliances;  // opened as a daemon would, to look at files of theirs
};

class OfflineSession {
 public:
  // `who` ("rowan create") is what others are told while the lock is held. not_found: there is no
  // state yet; busy, naming the holder: another process has the lock. Appliances that do not exist
  // are left to the request that names them; one that cannot be opened is an error.
  static Result<std::unique_ptr<OfflineSession>> open(const std::string& state,
                                                      std::string_view who,
                                                      const OfflineNeeds& needs);
  OfflineSession(const OfflineSession&) = delete;
  // Makes everything durable and closes it.
  ~OfflineSession();

  HttpReply ask(const HttpRequest& request);

 private:
  class Impl;
  explicit OfflineSession(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace rowan::proxy
