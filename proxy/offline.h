// The admin interface without a daemon: one request, done on the state directory under its lock, so
// that an operator can prepare images and appliances before the first `rowan serve`.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "proxy/admin_http.h"
#include "rpc/base/result.h"

namespace rowan::proxy {

// `who` ("rowan create") is what others are told while the lock is held. not_found: there is no
// state yet and the request would not make any. busy, naming the holder: another process has the
// lock.
class OfflineAdmin {
 public:
  // `create`: makes the directory if it is missing. The lock is held as long as the session lives.
  static Result<std::unique_ptr<OfflineAdmin>> open(const std::string& state, bool create,
                                                      std::string_view who);
  ~OfflineAdmin();
  HttpReply answer(const HttpRequest& request);

 private:
  class Impl;
  explicit OfflineAdmin(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// One request; a POST makes the directory.
Result<HttpReply> answer_offline(const std::string& state, const HttpRequest& request,
                                 std::string_view who);

}  // namespace rowan::proxy
