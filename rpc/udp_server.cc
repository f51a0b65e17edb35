#include "rpc/udp_server.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "rpc/asio.h"
#include "rpc/base/log.h"
#include "rpc/socket_address.h"

namespace rowan::rpc {
namespace {

using udp = asio::ip::udp;
using boost::system::error_code;

constexpr int datagrams_per_event = 32;
constexpr std::size_t control_size = 64;
static_assert(control_size >= CMSG_SPACE(sizeof(in6_pktinfo)) &&
              control_size >= CMSG_SPACE(sizeof(in_pktinfo)));

// Where a datagram came from, and the control message that says to which of our addresses: sent
// back as it is, it makes the reply leave from there.
struct Origin {
  SocketAddress from;
  alignas(cmsghdr) std::array<std::byte, control_size> control{};
  std::size_t control_length = 0;
};

Errc listen_error(int error) {
  if (error == EADDRINUSE) return Errc::busy;
  if (error == EACCES || error == EPERM) return Errc::access;
  return Errc::io;
}

void ask_for_destination(int socket, int family) {
  int on = 1;  // if the kernel refuses, replies leave from the address that routing chooses
  if (family == AF_INET6) {
    ::setsockopt(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  } else {
    ::setsockopt(socket, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  }
}

// Keeps the one control message that is wanted, without the interface: routing chooses that.
void keep_destination(const msghdr& message, Origin& origin) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr;
       c = CMSG_NXTHDR(const_cast<msghdr*>(&message), c)) {
    bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO;
    bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO;
    if (!v4 && !v6) continue;
    std::size_t size = v4 ? sizeof(in_pktinfo) : sizeof(in6_pktinfo);
    std::array<std::byte, control_size> kept{};
    std::memcpy(kept.data(), c, CMSG_LEN(size));
    auto* header = reinterpret_cast<cmsghdr*>(kept.data());
    if (v4) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(header), sizeof info);
      info.ipi_spec_dst = info.ipi_addr;
      info.ipi_ifindex = 0;
      std::memcpy(CMSG_DATA(header), &info, sizeof info);
    }
    origin.control = kept;
    origin.control_length = CMSG_SPACE(size);
    return;
  }
}

}  // namespace

class UdpServer::Impl {
 public:
  Impl(AsioLoop& loop, RecordHandler& handler, UdpServerLimits limits)
      : loop_(loop), handler_(handler), limits_(limits), scratch_(limits.call_size + 1) {}

  ~Impl() {
    alive_->impl = nullptr;
    close();
  }

  Result<PeerAddress> listen(const std::string& host, std::uint16_t port);
  Task<void> drain() {
    draining_ = true;
    co_await calls_.idle();
    close();
  }
  const UdpServerCounters& counters() const { return counters_; }

 private:
  using Socket = std::shared_ptr<udp::socket>;
  struct Alive {
    Impl* impl;
  };

  void close() {
    error_code ignored;
    for (const Socket& socket : sockets_) socket->close(ignored);
  }
  void wait(const Socket& socket);
  bool receive(const Socket& socket);
  Task<void> serve(Socket socket, Buffer record, Origin origin);
  void send(udp::socket& socket, const Reply& reply, Origin& origin);

  AsioLoop& loop_;
  RecordHandler& handler_;
  const UdpServerLimits limits_;
  UdpServerCounters counters_;
  std::shared_ptr<Alive> alive_ = std::make_shared<Alive>(Alive{this});
  std::vector<Socket> sockets_;
  std::vector<std::byte> scratch_;
  TaskGroup calls_;
  bool draining_ = false;
};

Result<PeerAddress> UdpServer::Impl::listen(const std::string& host, std::uint16_t port) {
  TRY(SocketAddress address, numeric_address(host, port));
  auto socket = std::make_shared<udp::socket>(loop_.context());
  udp::endpoint endpoint;
  endpoint.resize(address.size);
  std::memcpy(endpoint.data(), address.get(), address.size);
  error_code error;
  socket->open(endpoint.protocol(), error);
  if (!error && address.family() == AF_INET6) socket->set_option(asio::ip::v6_only(true), error);
  if (!error) socket->bind(endpoint, error);
  if (!error) socket->non_blocking(true, error);
  if (error) {
    return Error(listen_error(error.value()),
                 "cannot listen on UDP " + to_string(to_peer(address.storage)) + ": " +
                     error.message());
  }
  ask_for_destination(socket->native_handle(), address.family());
  TRY(PeerAddress bound, local_address(socket->native_handle()));
  sockets_.push_back(socket);
  wait(socket);
  return bound;
}

void UdpServer::Impl::wait(const Socket& socket) {
  socket->async_wait(udp::socket::wait_read, [alive = alive_, socket](const error_code& error) {
    Impl* self = alive->impl;
    if (error || self == nullptr || self->draining_) return;
    for (int i = 0; i < datagrams_per_event && self->receive(socket); ++i) {
    }
    self->wait(socket);
  });
}

// True if there may be another datagram.
bool UdpServer::Impl::receive(const Socket& socket) {
  Origin origin;
  iovec piece{scratch_.data(), scratch_.size()};
  alignas(cmsghdr) std::array<std::byte, 2 * control_size> control;
  msghdr message{};
  message.msg_name = origin.from.get();
  message.msg_namelen = sizeof origin.from.storage;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t count = ::recvmsg(socket->native_handle(), &message, MSG_DONTWAIT);
  if (count < 0) return errno == EINTR || errno == ECONNREFUSED;
  origin.from.size = message.msg_namelen;
  auto size = static_cast<std::size_t>(count);
  if (size > limits_.call_size || calls_.running() >= limits_.calls_in_flight) {
    ++counters_.dropped;
    return true;
  }
  keep_destination(message, origin);
  ++counters_.calls;
  calls_.start(serve(socket, Buffer::copy_of({scratch_.data(), size}), origin));
  return true;
}

Task<void> UdpServer::Impl::serve(Socket socket, Buffer record, Origin origin) {
  PeerAddress peer = to_peer(origin.from.storage);
  MonotonicTime now = loop_.clock().now();
  std::optional<Reply> reply = co_await handler_.handle(std::move(record), peer, now);
  if (reply && reply->size() <= limits_.reply_size) {
    send(*socket, *reply, origin);
  } else {
    ++counters_.dropped;
  }
}

void UdpServer::Impl::send(udp::socket& socket, const Reply& reply, Origin& origin) {
  std::array<std::byte, 4> zeros{};
  std::array<iovec, 3> pieces{{{const_cast<std::byte*>(reply.head.data()), reply.head.size()},
                               {const_cast<std::byte*>(reply.body.data()), reply.body.size()},
                               {zeros.data(), reply.padding()}}};
  msghdr message{};
  message.msg_name = origin.from.get();
  message.msg_namelen = origin.from.size;
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  if (origin.control_length != 0) {
    message.msg_control = origin.control.data();
    message.msg_controllen = origin.control_length;
  }
  if (::sendmsg(socket.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    ++counters_.dropped;
  } else {
    ++counters_.replies;
  }
}

UdpServer::UdpServer(AsioLoop& loop, RecordHandler& handler, UdpServerLimits limits)
    : impl_(std::make_unique<Impl>(loop, handler, limits)) {}
UdpServer::~UdpServer() = default;
Result<PeerAddress> UdpServer::listen(const std::string& host, std::uint16_t port) {
  return impl_->listen(host, port);
}
Task<void> UdpServer::drain() { return impl_->drain(); }
const UdpServerCounters& UdpServer::counters() const { return impl_->counters(); }

}  // namespace rowan::rpc
