// HTTP/1.1 over a Unix socket, just enough of it for the admin interface: one bounded request and
// one reply per connection. `curl --unix-socket STATE/rowan.sock http://rowan/v1/status` works. The
// door of Boost.Beast.
//
// Nobody but root and the daemon's own user is answered: the socket is mode 0600 and the peer's
// credentials are checked as well, so a socket in a careless directory gives nothing away.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "rpc/asio_loop.h"
#include "rpc/base/clock.h"
#include "rpc/base/result.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

inline constexpr std::size_t max_http_head_bytes = 16u << 10;  // request line and fields
inline constexpr std::size_t max_http_body_bytes = 2u << 20;   // a frame of a stream
inline constexpr std::size_t max_admin_connections = 32;

struct HttpRequest {
  std::string method;  // "GET"
  std::string target;  // "/v1/appliances/vm1?force=true"
  std::string body;    // JSON, or empty
};

struct HttpReply {
  unsigned status = 200;
  std::string body;  // JSON, unless another type says what
  std::string content_type = "application/json";
};

// A request from bytes in any split. Knows no socket.
class HttpRequestReader {
 public:
  enum class State : std::uint8_t { more, complete, refused };

  HttpRequestReader();
  ~HttpRequestReader();
  // Takes the next bytes; those behind the end of a request are ignored.
  State feed(std::string_view bytes);
  State state() const { return state_; }
  HttpRequest take();                                    // once complete
  const HttpReply& refusal() const { return refusal_; }  // once refused

 private:
  struct Parser;
  State refuse(unsigned status, std::string_view why);

  std::unique_ptr<Parser> parser_;
  std::string pending_;  // bytes of an unfinished line or field
  State state_ = State::more;
  HttpReply refusal_;
};

std::string encode_http_reply(const HttpReply& reply);
// The command's side of the same.
std::string encode_http_request(const HttpRequest& request);
Result<HttpReply> decode_http_reply(std::string_view text, std::size_t body_limit);
// The body of a reply that is not 200: {"error": {"code": "not_found", "message": "..."}}.
HttpReply error_reply(unsigned status, std::string_view code, std::string_view message);

// Who may talk to a daemon that runs as `own`.
constexpr bool admits_peer(uid_t peer, uid_t own) { return peer == 0 || peer == own; }

class AdminHandler {
 public:
  virtual ~AdminHandler() = default;
  // `request` outlives the task.
  virtual Task<HttpReply> handle(const HttpRequest& request) = 0;
};

class AdminServer {
 public:
  // Listens at `path`. busy: a live process answers there already. access: the path, or the
  // directory it is in, is not this process's own (a symlink, another owner, writable for others).
  // A socket that a dead process left is replaced. `loop` and `handler` outlive the server.
  static Result<std::unique_ptr<AdminServer>> listen(AsioLoop& loop, const std::string& path,
                                                     AdminHandler& handler);
  AdminServer(const AdminServer&) = delete;
  ~AdminServer();

  // Stops accepting, drops connections that have not sent a whole request, lets the others get
  // their reply, removes the socket. Before destruction.
  Task<void> close();

 private:
  class Impl;
  explicit AdminServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// One request, blocking, for the command. disconnected: nobody listens at `path`; access: not
// permitted; timed_out; malformed.
Result<HttpReply> call_admin(const std::string& path, const HttpRequest& request,
                             Duration patience);

}  // namespace rowan::proxy
