// Words that several resources of the admin interface share.
#pragma once

#include <cstdint>
#include <string>

#include "proxy/admin_http.h"
#include "rpc/base/result.h"

namespace rowan::proxy {

// RFC 3339, for people and for every JSON reader.
std::string time_text(std::int64_t seconds);

// Octal, as `chmod` takes it: "0755".
std::string mode_text(std::uint32_t mode);

Error no_such_resource();
HttpReply reply_for(const Error& error);

}  // namespace rowan::proxy
