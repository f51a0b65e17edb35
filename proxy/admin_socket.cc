// The admin interface's socket: claiming its path, the accept loop, one coroutine per connection,
// and the command's blocking call.
//
//   accept -> credentials -> read until the reader has a request or refuses -> handler -> write ->
//   close
//
// A deadline covers reading and another one writing; the handler has its own (a source that is
// asked, a store that is closed), so a stalled peer costs one of max_admin_connections places for
// ten seconds at most.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <cerrno>
#include <cstring>
#include <list>
#include <system_error>

#include "proxy/admin_http.h"
#include "rpc/asio.h"
#include "rpc/base/log.h"
#include "rpc/base/loop.h"
#include "rpc/base/unique_fd.h"

namespace rowan::proxy {

namespace {

using Protocol = asio::local::stream_protocol;

constexpr Duration read_patience = std::chrono::seconds(10);
constexpr Duration write_patience = std::chrono::seconds(10);
constexpr Duration accept_pause = std::chrono::milliseconds(100);
constexpr std::size_t max_reply_bytes = 64u << 20;

std::string words(int error) { return std::generic_category().message(error); }

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Error(Errc::name_too_long, "the admin socket's path " + path + " is longer than " +
                                          std::to_string(sizeof address.sun_path - 1) +
                                          " bytes; choose a shorter directory with --state");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<UniqueFd> connect_to(const std::string& path) {
  TRY(sockaddr_un address, unix_address(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Error(Errc::limit, "no socket: " + words(errno));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return fd;
  switch (errno) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
      return Errc::disconnected;
    case EACCES:
    case EPERM:
      return Error(Errc::access,
                   "not permitted to use " + path +
                       "; run the command as root or as the user that runs the daemon");
    default:
      return Error(Errc::io, "cannot connect to " + path + ": " + words(errno));
  }
}

Result<void> check_directory(const std::string& path) {
  std::string directory = path.substr(0, path.rfind('/'));
  if (directory.empty()) directory = "/";
  struct stat about;
  if (::stat(directory.c_str(), &about) != 0)
    return Error(Errc::io, directory + ": " + words(errno));
  if (about.st_uid != ::geteuid() && about.st_uid != 0) {
    return Error(Errc::access,
                 directory + " belongs to another user; use a state directory of your own");
  }
  if ((about.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Error(Errc::access,
                 directory + " is writable for others; run 'chmod go-w " + directory + "'");
  }
  return {};
}

// Makes room for a socket at `path`, or says why that is not ours to do.
Result<void> claim(const std::string& path) {
  TRY_VOID(check_directory(path));
  struct stat about;
  if (::lstat(path.c_str(), &about) != 0) {
    if (errno == ENOENT) return {};
    return Error(Errc::io, path + ": " + words(errno));
  }
  if (!S_ISSOCK(about.st_mode)) {
    return Error(Errc::access, path + " exists and is not a socket; move it away");
  }
  if (about.st_uid != ::geteuid()) {
    return Error(Errc::access, path + " is a socket of another user; move it away");
  }
  Result<UniqueFd> answered = connect_to(path);
  if (answered) return Error(Errc::busy, "another process answers at " + path + "; stop it first");
  if (!answered.failed_with(Errc::disconnected)) return std::move(answered).error();
  if (::unlink(path.c_str()) != 0) return Error(Errc::io, path + ": " + words(errno));
  return {};
}

Result<UniqueFd> bind_socket(const std::string& path) {
  TRY(sockaddr_un address, unix_address(path));
  TRY_VOID(claim(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Error(Errc::limit, "no socket: " + words(errno));
  // Before bind(): the name appears with this mode, whatever the umask.
  if (::fchmod(fd.get(), 0600) != 0) return Error(Errc::io, path + ": " + words(errno));
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), static_cast<int>(max_admin_connections)) != 0) {
    return Error(Errc::io, "cannot listen at " + path + ": " + words(errno));
  }
  return fd;
}

bool peer_is_admitted(int fd) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
  if (admits_peer(peer.uid, ::geteuid())) return true;
  log(Level::warn, "admin.refused", {{"uid", peer.uid}, {"pid", peer.pid}});
  return false;
}

// Awaits one Asio operation; `start` is called with its completion handler.
template <class Start>
struct Operation {
  Start start;
  boost::system::error_code error{};
  std::size_t count = 0;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> self) {
    start([this, self](boost::system::error_code e, std::size_t n) {
      error = e;
      count = n;
      self.resume();
    });
  }
  void await_resume() const noexcept {}
};
template <class Start>
Operation(Start) -> Operation<Start>;

// Closes the socket unless stood down in time.
class Deadline {
 public:
  Deadline(Loop& loop, Duration patience, Protocol::socket& socket) : loop_(loop) {
    timer_ = loop.call_after(patience, [&socket] {
      boost::system::error_code ignored;
      socket.close(ignored);
    });
  }
  Deadline(const Deadline&) = delete;
  ~Deadline() { loop_.cancel(timer_); }

 private:
  Loop& loop_;
  Loop::TimerId timer_;
};

}  // namespace

class AdminServer::Impl {
 public:
  Impl(AsioLoop& loop, std::string path, UniqueFd fd, AdminHandler& handler)
      : loop_(loop), path_(std::move(path)), handler_(handler), acceptor_(loop.context()) {
    acceptor_.assign(Protocol(), fd.release());
    accept_next();
  }

  Task<void> close() {
    closing_ = true;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    ::unlink(path_.c_str());
    for (Connection& connection : connections_) {
      if (connection.reading) connection.socket.close(ignored);
    }
    co_await tasks_.idle();
    // The cancelled accept's handler still refers to this object: let it run.
    while (accepting_) co_await sleep_for(loop_, accept_pause / 10);
  }

 private:
  struct Connection {
    explicit Connection(Protocol::socket s) : socket(std::move(s)) {}
    Protocol::socket socket;
    bool reading = true;
  };
  using Place = std::list<Connection>::iterator;

  void accept_next() {
    if (closing_ || accepting_ || connections_.size() >= max_admin_connections) return;
    accepting_ = true;
    acceptor_.async_accept([this](boost::system::error_code error, Protocol::socket socket) {
      accepting_ = false;
      if (closing_) return;
      if (error) {
        pause_accepting();
        return;
      }
      if (peer_is_admitted(socket.native_handle())) {
        tasks_.start(converse(connections_.emplace(connections_.end(), std::move(socket))));
      }
      accept_next();
    });
  }

  // Out of descriptors, most likely: they come back when a connection ends.
  void pause_accepting() {
    accepting_ = true;
    loop_.call_after(accept_pause, [this] {
      accepting_ = false;
      accept_next();
    });
  }

  Task<void> converse(Place place) {
    HttpRequestReader reader;
    bool heard = co_await read_request(*place, reader);
    place->reading = false;
    if (heard) {
      HttpReply reply = reader.refusal();
      if (reader.state() == HttpRequestReader::State::complete) {
        HttpRequest request = reader.take();
        reply = co_await handler_.handle(request);
      }
      std::string text = encode_http_reply(reply);
      co_await write_all(*place, text);
    }
    connections_.erase(place);
    accept_next();
  }

  // False: the peer went away or was too slow.
  Task<bool> read_request(Connection& connection, HttpRequestReader& reader) {
    Deadline deadline(loop_, read_patience, connection.socket);
    std::array<char, 64u << 10> chunk;
    while (reader.state() == HttpRequestReader::State::more) {
      Operation read{
          [&](auto done) { connection.socket.async_read_some(asio::buffer(chunk), done); }};
      co_await read;
      if (read.error) co_return false;
      reader.feed({chunk.data(), read.count});
    }
    co_return true;
  }

  Task<void> write_all(Connection& connection, const std::string& text) {
    Deadline deadline(loop_, write_patience, connection.socket);
    std::size_t done_bytes = 0;
    while (done_bytes < text.size()) {
      Operation write{[&](auto done) {
        connection.socket.async_write_some(
            asio::buffer(text.data() + done_bytes, text.size() - done_bytes), done);
      }};
      co_await write;
      if (write.error) co_return;
      done_bytes += write.count;
    }
  }

  AsioLoop& loop_;
  std::string path_;
  AdminHandler& handler_;
  Protocol::acceptor acceptor_;
  std::list<Connection> connections_;
  bool accepting_ = false;
  bool closing_ = false;
  TaskGroup tasks_;
};

AdminServer::AdminServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AdminServer::~AdminServer() = default;
Task<void> AdminServer::close() { return impl_->close(); }

Result<std::unique_ptr<AdminServer>> AdminServer::listen(AsioLoop& loop, const std::string& path,
                                                         AdminHandler& handler) {
  TRY(UniqueFd fd, bind_socket(path));
  auto impl = std::make_unique<Impl>(loop, path, std::move(fd), handler);
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(impl)));
}

namespace {

Result<void> send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Errc::timed_out;
    // A daemon that refuses early closes before it has read everything; its answer may be there
    // already.
    if (sent < 0) return {};
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<std::string> receive_all(int fd) {
  std::string text;
  std::array<char, 64u << 10> chunk;
  while (text.size() <= max_reply_bytes) {
    ssize_t got = ::recv(fd, chunk.data(), chunk.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return Error(Errc::timed_out, "the daemon accepts but does not answer; see its log");
    }
    if (got <= 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return Error(Errc::limit, "the daemon's answer is longer than 64 MiB");
}

// Whoever is let in and hears nothing, has lost the daemon.
Error no_answer(int fd) {
  ucred daemon{};
  socklen_t length = sizeof daemon;
  const bool known = ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &daemon, &length) == 0;
  if (known && !admits_peer(::geteuid(), daemon.uid)) {
    return Error(Errc::access,
                 "the daemon closed the connection without an answer; it answers root and its own "
                 "user only");
  }
  return Error(Errc::io, "the daemon went away before it answered; see its log, and what it has "
                         "done, before the command is run again");
}

}  // namespace

Result<HttpReply> call_admin(const std::string& path, const HttpRequest& request,
                             Duration patience) {
  TRY(UniqueFd fd, connect_to(path));
  timeval limit{};
  limit.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(patience).count();
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  TRY_VOID(send_all(fd.get(), encode_http_request(request)));
  TRY(std::string text, receive_all(fd.get()));
  if (text.empty()) {
    return no_answer(fd.get());
  }
  return decode_http_reply(text, max_reply_bytes);
}

}  // namespace rowan::proxy
