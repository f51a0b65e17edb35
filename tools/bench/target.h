// Which NFSv3 server and which export a load runs against.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "rpc/base/result.h"

namespace rowan::bench {

struct Target {
  std::string host;
  std::string export_path;  // begins with '/'
  std::uint16_t nfs_port = 2049;
  std::uint16_t mount_port = 0;  // 0: the same as nfs_port
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;

  std::uint16_t mount_or_nfs_port() const { return mount_port != 0 ? mount_port : nfs_port; }
  std::string url() const;
};

// nfs://HOST/EXPORT[?nfsport=N&mountport=N&uid=N&gid=N&version=3], as libnfs writes it. Unknown
// keys are refused (Errc::usage), so that a misspelt port is not silently 2049.
Result<Target> parse_target(std::string_view url);

}  // namespace rowan::bench
