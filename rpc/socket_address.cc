#include "rpc/socket_address.h"

#include <arpa/inet.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "rpc/base/bytes.h"

namespace rowan::rpc {
namespace {

constexpr std::size_t mapped_prefix = 12;  // ten zero bytes and 0xffff (RFC 4291, 2.5.5.2)

bool is_mapped(const PeerAddress& peer) {
  for (std::size_t i = 0; i < 10; ++i) {
    if (peer.ip[i] != std::byte{0}) return false;
  }
  return peer.ip[10] == std::byte{0xff} && peer.ip[11] == std::byte{0xff};
}

}  // namespace

}  // namespace rowan::rpc

namespace rowan {

std::string ip_to_string(const PeerAddress& peer) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (rpc::is_mapped(peer)) {
    inet_ntop(AF_INET, peer.ip.data() + rpc::mapped_prefix, text.data(), text.size());
  } else {
    inet_ntop(AF_INET6, peer.ip.data(), text.data(), text.size());
  }
  return text.data();
}

std::string to_string(const PeerAddress& peer) {
  std::string ip = ip_to_string(peer), port = std::to_string(peer.port);
  return rpc::is_mapped(peer) ? ip + ':' + port : '[' + ip + "]:" + port;
}

}  // namespace rowan

namespace rowan::rpc {

Result<SocketAddress> numeric_address(const std::string& host, std::uint16_t port) {
  SocketAddress address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.size = sizeof *v4;
    return address;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.size = sizeof *v6;
    return address;
  }
  return Error(Errc::usage, "'" + host + "' is not a numeric IPv4 or IPv6 address");
}

PeerAddress to_peer(const sockaddr_storage& address) {
  PeerAddress peer;
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    peer.ip[10] = peer.ip[11] = std::byte{0xff};
    std::memcpy(peer.ip.data() + mapped_prefix, &v4.sin_addr, sizeof v4.sin_addr);
    peer.port = ntohs(v4.sin_port);
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    std::memcpy(peer.ip.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
    peer.port = ntohs(v6.sin6_port);
  }
  return peer;
}

SocketAddress to_socket_address(const PeerAddress& peer) {
  SocketAddress address;
  if (is_mapped(peer)) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(peer.port);
    std::memcpy(&v4->sin_addr, peer.ip.data() + mapped_prefix, sizeof v4->sin_addr);
    address.size = sizeof *v4;
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(peer.port);
    std::memcpy(&v6->sin6_addr, peer.ip.data(), sizeof v6->sin6_addr);
    address.size = sizeof *v6;
  }
  return address;
}

Result<PeerAddress> local_address(int socket) {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (getsockname(socket, address.get(), &address.size) != 0) {
    return Error(Errc::io, "getsockname: " + std::generic_category().message(errno));
  }
  return to_peer(address.storage);
}

}  // namespace rowan::rpc
