// Where other servers are known to answer otherwise than RFC 1813 or POSIX say. Rowan has no line
// here.
#include <cstring>

#include "tests/e2e/protocol/cases.h"

namespace rowan::protocol {
namespace {

struct Deviation {
  const char* server;
  const char* case_name;
  const char* what;  // the beginning of the expectation's text
  const char* reason;
};

constexpr Deviation deviations[] = {
    {"ganesha", "MOUNT that is refused", "MNT of a file", "says ACCES"},
    {"ganesha", "handles that the server did not give", "GETATTR of a flipped bit",
     "its handles carry no check"},
    {"ganesha", "SETATTR of the size", "size of a directory", "says BADTYPE"},
    {"ganesha", "PATHCONF", "names have 255 bytes",
     "tells its own constant, not the file system's"},
    {"ganesha", "PATHCONF", "there can be links", "tells its own constant, not the file system's"},
    {"ganesha", "paths are no names", "", "hands names with slashes to the host's file system"},
    {"ganesha", "LINK", "LINK of a directory", "says BADTYPE"},
    {"ganesha", "listing that is refused", "READDIR in 8 bytes", "answers an empty page"},
    {"ganesha", "listing that is refused", "READDIRPLUS in 8 bytes", "answers an empty page"},
    {"ganesha", "listing that is refused", "a cookie never given", "begins somewhere"},
};

}  // namespace

const char* known_deviation(const std::string& server, const std::string& case_name,
                            const std::string& what) {
  for (const auto& line : deviations) {
    if (server == line.server && case_name == line.case_name && what.starts_with(line.what))
      return line.reason;
  }
  return nullptr;
}

}  // namespace rowan::protocol
