// Registration with the system's port mapper, so that `mount -t nfs -o vers=3 host:/vm1` finds us
// without being told ports. The only door to libtirpc. Blocks on the port mapper's local socket:
// call it from a thread of its own or at start and shutdown, not from a loop.
#pragma once

#include <cstdint>
#include <vector>

#include "rpc/base/result.h"

namespace rowan::rpc {

struct Registration {
  std::uint32_t program = 0;
  std::uint32_t version = 0;
  bool udp = false;        // else TCP
  std::uint16_t port = 0;  // on all addresses
  bool ipv6 = false;       // of IPv6, else of IPv4
};

// Registers each of them, replacing what is registered for the same program, version and transport:
// a forgotten registration of a process that died must not keep us out. Errors: disconnected, no
// port mapper answers; access, it refuses; both say what to do. On an error nothing of `wanted`
// stays registered.
Result<void> register_with_rpcbind(const std::vector<Registration>& wanted);

// Removes those registrations that still name these ports; somebody else's are left alone. Never
// fails: what cannot be removed is replaced by the next to register.
void unregister_from_rpcbind(const std::vector<Registration>& registered);

}  // namespace rowan::rpc
