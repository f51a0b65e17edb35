// An NFSv3 export as a source (proxy/source.h): finds the ports, mounts, and asks. Connects at the
// first question and mounts again by itself when the server has lost the root or moved to other
// ports.
//
// What the server says is checked before it is believed: data beyond what was asked for, an end of
// file that the attributes do not confirm, names that cannot be names, listings that make no
// progress. NFS3ERR_JUKEBOX is asked again with back-off within the deadline, then timed_out.
#pragma once

#include <memory>

#include "proxy/nfs_url.h"
#include "proxy/source.h"
#include "rpc/asio_loop.h"

namespace rowan::proxy {

struct NfsSourceOptions {
  std::size_t connections = 2;
  std::uint32_t reads_in_flight = 32;
  Duration deadline = std::chrono::seconds(10);    // of one call, and of JUKEBOX retries
  Duration first_retry = std::chrono::milliseconds(100);  // after JUKEBOX; doubles
  Duration longest_retry = std::chrono::seconds(2);
  // After a failed mount the next attempt waits: until then operations fail with what the last one
  // failed with.
  Duration mount_pause = std::chrono::milliseconds(500);
  std::uint16_t portmap_port = 111;
  bool reserved_port = true;  // try one; needs privilege
};

class NfsSource : public Source {
 public:
  // Starts nothing yet. `loop` outlives the source.
  static std::unique_ptr<NfsSource> create(AsioLoop& loop, NfsUrl url,
                                           NfsSourceOptions options = {});
};

}  // namespace rowan::proxy
