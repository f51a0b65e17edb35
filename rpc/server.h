// ONC RPC over TCP: accepts connections, hands call records to a RecordHandler, sends replies in
// the order in which they are ready. Belongs to one loop; nothing here is locked.
//
// What bounds it: connections, calls in flight and bytes held per connection, bytes held by all of
// them (records that are arriving, calls being served, replies not yet taken by the peer). A
// connection at a bound is not read until it is below again; the others go on. Trouble of one
// connection, and the process running out of descriptors, ends at most that connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "rpc/asio_loop.h"
#include "rpc/base/result.h"
#include "rpc/record.h"
#include "rpc/record_handler.h"

namespace rowan::rpc {

struct ServerLimits {
  // Beyond it a new connection takes the place of the one that has been idle longest; if none is
  // idle, the new one is closed.
  std::size_t connections = 4096;
  std::size_t calls_per_connection = 128;
  // Bytes that one connection may hold before it is not read any more; and what it may exceed them
  // by is one record and the replies of the calls in flight.
  std::size_t bytes_per_connection = 8u << 20;
  // Above this sum a connection that holds anything gets one call at a time; above twice this sum a
  // connection that must grow is closed.
  std::size_t bytes_total = 256u << 20;
  RecordLimits record;
  // A connection that takes none of its replies, or sends nothing in the middle of a record, for
  // this long is closed; checked four times in that time.
  Duration stall = std::chrono::minutes(2);
};

struct ServerCounters {
  std::size_t connections = 0;     // now
  std::size_t bytes_held = 0;      // now
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;       // at the connection limit, or out of descriptors
  std::uint64_t evicted = 0;       // idle, made room for another
  std::uint64_t dropped = 0;       // closed by us: limits, stalls, what came was no call
  std::uint64_t calls = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
};

class Server {
 public:
  // Both outlive the server.
  Server(AsioLoop& loop, RecordHandler& handler, ServerLimits limits = {});
  // No call may be running: co_await drain() first unless nothing was ever served.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Listens on a numeric address and gives the one that was bound (port 0: a free one). An IPv6
  // address takes IPv6 only. Errors name the address: usage (not numeric), busy (in use), access,
  // io.
  Result<PeerAddress> listen(const std::string& host, std::uint16_t port);

  // Stops accepting and reading, lets the calls in flight finish, sends their replies, closes.
  // After `patience` the sockets are closed as they are; calls still running are waited for all the
  // same, since nothing can end a handler but itself.
  Task<void> drain(Duration patience);

  const ServerCounters& counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rowan::rpc
