// ONC RPC over UDP, for the small calls that boot loaders make: MOUNT and the port mapper. One
// datagram is one call, one reply another. Belongs to one loop.
//
// A reply leaves from the address the call came to, which matters on a host with several. Calls
// beyond the limit in flight, and replies that do not fit a datagram, are dropped: the client asks
// again.
#pragma once

#include <memory>
#include <string>

#include "rpc/asio_loop.h"
#include "rpc/base/result.h"
#include "rpc/record_handler.h"

namespace rowan::rpc {

struct UdpServerLimits {
  std::size_t calls_in_flight = 64;
  std::size_t call_size = 8800;     // larger datagrams are dropped
  std::size_t reply_size = 65507;   // of UDP over IPv4
};

struct UdpServerCounters {
  std::uint64_t calls = 0;
  std::uint64_t replies = 0;
  std::uint64_t dropped = 0;  // over a limit, not a call, or could not be sent
};

class UdpServer {
 public:
  // Both outlive the server.
  UdpServer(AsioLoop& loop, RecordHandler& handler, UdpServerLimits limits = {});
  // No call may be running: co_await drain() first unless nothing was ever served.
  ~UdpServer();
  UdpServer(const UdpServer&) = delete;
  UdpServer& operator=(const UdpServer&) = delete;

  // As Server::listen().
  Result<PeerAddress> listen(const std::string& host, std::uint16_t port);
  // Receives no more and waits for the calls in flight, whose replies are still sent.
  Task<void> drain();

  const UdpServerCounters& counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rowan::rpc
