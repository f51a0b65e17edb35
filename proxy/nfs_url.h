// Where an NFSv3 image comes from, as libnfs writes it:
//   nfs://HOST[:PORT]/EXPORT[?nfsport=N&mountport=N&uid=N&gid=N&version=3]
// HOST: a name, an IPv4 address or an IPv6 address in brackets. PORT is short for nfsport. EXPORT
// may reach below an export. %XX stands for a byte in EXPORT.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rpc/base/result.h"

namespace rowan::proxy {

struct NfsUrl {
  std::string host;         // IPv6 without brackets
  std::string export_path;  // begins with '/'; does not end with one, unless it is "/"
  std::optional<std::uint16_t> nfs_port;    // none: ask the port mapper
  std::optional<std::uint16_t> mount_port;  // none: try nfs_port, then ask the port mapper
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  friend bool operator==(const NfsUrl&, const NfsUrl&) = default;
};

// True if the text begins as such a URL does.
bool is_nfs_url(std::string_view text);
// usage: names the part that is wrong and what would be right.
Result<NfsUrl> parse_nfs_url(std::string_view text);
// The same place in one spelling: "nfs://10.0.0.1/images/debian?nfsport=2049". Parses to the same
// value.
std::string to_string(const NfsUrl& url);

}  // namespace rowan::proxy
