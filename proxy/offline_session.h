// The daemon's insides without its sockets, for a command that finds no daemon: some appliances are
// opened under the state directory's lock, asked as often as it takes, and closed.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/admin_http.h"
#include "rpc/base/result.h"

namespace rowan::proxy {

class OfflineSession {
 public:
  // `who` as in offline.h, and so are not_found and busy. Appliances that do not exist are left to
  // the request that names them; one that cannot be opened is an error.
  static Result<std::unique_ptr<OfflineSession>> open(const std::string& state,
                                                      std::string_view who,
                                                      const std::vector<std::string>& appliances);
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
