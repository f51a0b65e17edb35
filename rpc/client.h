// Calls to one RPC program of one server, over a few TCP connections that are opened when they are
// needed and reopened when they break. Belongs to one loop.
//
// The server is not trusted: replies that match no call are dropped; one that is malformed,
// oversized or cut ends its connection. Calls that were outstanding on a broken connection are sent
// again on the next one while their deadline allows, so only calls that may be repeated belong
// here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "rpc/asio_loop.h"
#include "rpc/base/buffer.h"
#include "rpc/base/result.h"
#include "rpc/xdr_cursor.h"

namespace rowan::rpc {

struct ClientOptions {
  std::string host;  // a name or a numeric address, IPv6 without brackets
  std::uint16_t port = 0;
  std::uint32_t program = 0;
  std::uint32_t version = 0;
  std::size_t connections = 2;
  std::size_t calls_per_connection = 64;
  // Calls for which there is no connection, or no place on one; more fail with limit.
  std::size_t calls_waiting = 4096;
  std::size_t reply_size = (1u << 20) + (64u << 10);
  Duration deadline = std::chrono::seconds(10);       // of a call, connecting included
  Duration connect_timeout = std::chrono::seconds(5);
  Duration first_back_off = std::chrono::milliseconds(50);
  Duration longest_back_off = std::chrono::seconds(5);
  // False: a connection that cannot be made fails the calls that wait for it at once, with
  // disconnected.
  bool patient = true;
  // Whether to try a source port below 1024 first, as servers with the export option `secure` want
  // it.
  bool reserved_port = false;
  // AUTH_SYS credentials (RFC 5531, appendix A); none: AUTH_NONE.
  struct Identity {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
  };
  std::optional<Identity> identity;
};

struct ClientCounters {
  std::uint64_t calls = 0;
  std::uint64_t resent = 0;      // on another connection than at first
  std::uint64_t timed_out = 0;
  std::uint64_t connected = 0;   // connections made
  std::uint64_t broken = 0;      // connections that ended, or could not be made
  std::uint64_t unmatched = 0;   // replies dropped
};

// Decodes results into `into` and says whether they follow the grammar to the last byte. Called at
// most once for a call, before it completes; never after its deadline.
using DecodeResults = bool (*)(xdr::Reader& results, void* into);

class Client {
 public:
  Client(AsioLoop& loop, ClientOptions options);
  // After close(), or if no call was ever made.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // The start of a call message; the arguments follow in `message`.
  void begin(xdr::Writer& message, std::uint32_t procedure) const;
  // Sends `message` and waits for the results; `into` outlives the task. Errors: timed_out and
  // disconnected name the server and what went wrong last; malformed: the server's answers make no
  // sense, twice; access, not_supported, server_fault: the server refuses at RPC level; limit.
  Task<Result<void>> call(Buffer message, DecodeResults decode, void* into);

  // Goes to another port of the host from now on; what is outstanding is sent again there.
  void move_to_port(std::uint16_t port);
  // Ends all calls with disconnected; later ones fail at once.
  void abort();
  // abort(), and completes when no call is left.
  Task<void> close();

  const ClientOptions& options() const;
  const ClientCounters& counters() const;
  // Connections that are up now.
  std::size_t connected() const;
  // True if reserved_port was asked for and the connection made last could not have one.
  bool fell_back_to_any_port() const;
  // True if the connection that ended last could not be made for want of the host's address.
  bool unresolved() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rowan::rpc
