#include "rpc/base/result.h"

namespace rowan {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::not_permitted: return "not permitted";
    case Errc::not_found: return "not found";
    case Errc::io: return "input/output error";
    case Errc::no_device: return "no such device";
    case Errc::access: return "access denied";
    case Errc::exists: return "already exists";
    case Errc::cross_device: return "on another file system";
    case Errc::not_directory: return "not a directory";
    case Errc::is_directory: return "is a directory";
    case Errc::invalid: return "invalid argument";
    case Errc::too_big: return "too big";
    case Errc::no_space: return "no space left";
    case Errc::read_only: return "read-only";
    case Errc::too_many_links: return "too many links";
    case Errc::name_too_long: return "name too long";
    case Errc::not_empty: return "directory not empty";
    case Errc::quota: return "quota exceeded";
    case Errc::stale: return "stale file handle";
    case Errc::bad_handle: return "bad file handle";
    case Errc::not_sync: return "guard does not match";
    case Errc::bad_cookie: return "bad directory cookie";
    case Errc::not_supported: return "not supported";
    case Errc::too_small: return "buffer too small";
    case Errc::server_fault: return "server fault";
    case Errc::bad_type: return "bad type";
    case Errc::try_later: return "try again later";
    case Errc::corrupt: return "damaged on disk";
    case Errc::malformed: return "malformed message";
    case Errc::limit: return "limit reached";
    case Errc::disconnected: return "disconnected";
    case Errc::timed_out: return "timed out";
    case Errc::needs_load: return "not in memory";
    case Errc::drift: return "source has drifted";
    case Errc::busy: return "busy";
    case Errc::usage: return "usage";
  }
  return "unknown error";
}

std::string to_string(const Error& error) {
  std::string text(to_string(error.code));
  return error.detail.empty() ? text : error.detail + ": " + text;
}

}  // namespace rowan
