// Between sockaddr and PeerAddress. Numeric only: nothing here asks a name server.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "rpc/base/result.h"
#include "rpc/service.h"

namespace rowan::rpc {

// An address ready for bind or connect.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

// `host`: a numeric IPv4 or IPv6 address without brackets. usage: anything else.
Result<SocketAddress> numeric_address(const std::string& host, std::uint16_t port);
// IPv4-mapped for IPv4; all zero for another family.
PeerAddress to_peer(const sockaddr_storage& address);
// An IPv4-mapped address as IPv4.
SocketAddress to_socket_address(const PeerAddress& peer);

// The socket's own address. Errors: io, with the reason.
Result<PeerAddress> local_address(int socket);

}  // namespace rowan::rpc
