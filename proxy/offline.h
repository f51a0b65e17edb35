// The admin interface without a daemon: one request, done on the state directory under its lock, so
// that an operator can prepare images and appliances before the first `rowan serve`.
#pragma once

#include <string>
#include <string_view>

#include "proxy/admin_http.h"
#include "rpc/base/result.h"

namespace rowan::proxy {

// `who` ("rowan create") is what others are told while the lock is held. not_found: there is no
// state yet and the request would not make any. busy, naming the holder: another process has the
// lock.
Result<HttpReply> answer_offline(const std::string& state, const HttpRequest& request,
                                 std::string_view who);

}  // namespace rowan::proxy
