#include "rpc/server.h"

#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>
#include <list>
#include <vector>

#include "rpc/base/log.h"
#include "rpc/server_connection.h"
#include "rpc/socket_address.h"

// Accepting, the list of connections, and what is decided across them: eviction, stalls, shutdown.
// A single connection's life is server_connection.cc.

namespace rowan::rpc {
namespace {

using tcp = asio::ip::tcp;
using boost::system::error_code;

constexpr Duration accept_pause = std::chrono::milliseconds(100);
constexpr int accepts_per_event = 64;
constexpr int keepalive_idle_seconds = 120;

Errc listen_error(int error) {
  if (error == EADDRINUSE) return Errc::busy;
  if (error == EACCES || error == EPERM) return Errc::access;
  return Errc::io;
}

bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

void set_options(int socket) {
  // Failing to set one makes the connection slower or later found dead, not wrong.
  int on = 1, idle = keepalive_idle_seconds;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
}

}  // namespace

class Server::Impl final : public ConnectionOwner {
 public:
  Impl(AsioLoop& loop, RecordHandler& handler, ServerLimits limits)
      : loop_(loop), handler_(handler), limits_(limits) {}

  ~Impl() {
    loop_.cancel(sweep_);
    alive_->impl = nullptr;
    for (auto& listener : listeners_) close(*listener);
    for (auto& connection : connections_) connection->abandon();
  }

  RecordHandler& handler() override { return handler_; }
  const ServerLimits& limits() const override { return limits_; }
  ServerCounters& counters() override { return counters_; }
  MonotonicTime now() override { return loop_.clock().now(); }
  void pump_later(Connection& connection) override;
  void touched(Connection& connection) override {
    connections_.splice(connections_.end(), connections_, connection.place);
  }
  void retired(Connection& connection) override;

  Result<PeerAddress> listen(const std::string& host, std::uint16_t port);
  Task<void> drain(Duration patience);

 private:
  struct Listener {
    explicit Listener(asio::io_context& context) : acceptor(context) {}
    tcp::acceptor acceptor;
    bool short_of_descriptors = false;
  };
  // Completions and deferred work may come after the server: they look here first.
  struct Alive {
    Impl* impl;
  };

  template <class Work>
  auto guarded(Work work) {
    return [alive = alive_, work](const error_code& = {}) {
      if (alive->impl != nullptr) work();
    };
  }
  static void close(Listener& listener) {
    error_code ignored;
    listener.acceptor.close(ignored);
  }
  Result<void> open(Listener& listener, const SocketAddress& address);
  void accept(std::shared_ptr<Listener> listener);
  void accept_ready(std::shared_ptr<Listener> listener);
  void accept_after_shortage(std::shared_ptr<Listener> listener, int error);
  void admit(tcp::socket socket);
  bool make_room();
  void pump_all();
  void remove_retired();
  void sweep();

  AsioLoop& loop_;
  RecordHandler& handler_;
  const ServerLimits limits_;
  ServerCounters counters_;
  std::shared_ptr<Alive> alive_ = std::make_shared<Alive>(Alive{this});
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::list<std::shared_ptr<Connection>> connections_;  // least recently used first
  std::vector<std::shared_ptr<Connection>> to_pump_;
  std::vector<Connection*> retired_;
  Loop::TimerId sweep_ = 0;
  bool draining_ = false;
  std::unique_ptr<Signal> empty_;  // while draining
};

Result<PeerAddress> Server::Impl::listen(const std::string& host, std::uint16_t port) {
  TRY(SocketAddress address, numeric_address(host, port));
  auto listener = std::make_shared<Listener>(loop_.context());
  Result<void> opened = open(*listener, address);
  if (!opened) {
    Error error = std::move(opened).error();
    error.detail =
        "cannot listen on TCP " + to_string(to_peer(address.storage)) + ": " + error.detail;
    return error;
  }
  TRY(PeerAddress bound, local_address(listener->acceptor.native_handle()));
  listeners_.push_back(listener);
  accept(listener);
  if (sweep_ == 0) sweep_ = loop_.call_after(limits_.stall / 4, [this] { sweep(); });
  return bound;
}

Result<void> Server::Impl::open(Listener& listener, const SocketAddress& address) {
  tcp::endpoint endpoint;
  endpoint.resize(address.size);
  std::memcpy(endpoint.data(), address.get(), address.size);
  tcp::acceptor& acceptor = listener.acceptor;
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && address.family() == AF_INET6) acceptor.set_option(asio::ip::v6_only(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (!error) acceptor.non_blocking(true, error);
  if (error) return Error(listen_error(error.value()), error.message());
  return {};
}

void Server::Impl::accept(std::shared_ptr<Listener> listener) {
  tcp::acceptor& acceptor = listener->acceptor;
  acceptor.async_wait(tcp::acceptor::wait_read, guarded([this, listener] {
                        if (listener->acceptor.is_open()) accept_ready(listener);
                      }));
}

void Server::Impl::accept_ready(std::shared_ptr<Listener> listener) {
  for (int i = 0; i < accepts_per_event; ++i) {
    error_code error;
    tcp::socket socket(loop_.context());
    listener->acceptor.accept(socket, error);
    if (error && is_shortage(error.value())) {
      accept_after_shortage(listener, error.value());
      return;
    }
    if (error) {  // none is waiting, or the peer has given up already
      listener->short_of_descriptors = false;
      break;
    }
    admit(std::move(socket));
  }
  accept(listener);
}

void Server::Impl::accept_after_shortage(std::shared_ptr<Listener> listener, int error) {
  ++counters_.refused;
  if (!listener->short_of_descriptors) {
    listener->short_of_descriptors = true;
    log(Level::warn, "rpc.accept",
        {{"error", std::strerror(error)}, {"connections", connections_.size()},
         {"remedy", "raise the limit of open files (LimitNOFILE=, ulimit -n)"}});
  }
  make_room();
  loop_.call_after(accept_pause, guarded([this, listener] {
                     if (listener->acceptor.is_open()) accept(listener);
                   }));
}

void Server::Impl::admit(tcp::socket socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(socket.native_handle(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return;  // gone before we looked
  }
  if (connections_.size() - retired_.size() >= limits_.connections && !make_room()) {
    ++counters_.refused;
    return;
  }
  set_options(socket.native_handle());
  ++counters_.accepted;
  ++counters_.connections;
  ConnectionOwner& owner = *this;
  auto connection = std::make_shared<Connection>(owner, std::move(socket), to_peer(address));
  connection->place = connections_.insert(connections_.end(), connection);
  connection->start();
}

// Closes the connection that has been idle longest. False if none is idle.
bool Server::Impl::make_room() {
  for (auto& connection : connections_) {
    if (connection->closed() || !connection->idle()) continue;
    ++counters_.evicted;
    connection->close("idle longest, and room is needed for another", false);
    return true;
  }
  return false;
}

void Server::Impl::pump_later(Connection& connection) {
  if (connection.pump_wanted) return;
  connection.pump_wanted = true;
  to_pump_.push_back(connection.shared_from_this());
  if (to_pump_.size() == 1) loop_.defer(guarded([this] { pump_all(); }));
}

void Server::Impl::pump_all() {
  auto batch = std::move(to_pump_);
  to_pump_.clear();
  for (auto& connection : batch) {
    connection->pump_wanted = false;
    connection->pump();
  }
}

void Server::Impl::retired(Connection& connection) {
  retired_.push_back(&connection);
  if (retired_.size() == 1) loop_.defer(guarded([this] { remove_retired(); }));
}

void Server::Impl::remove_retired() {
  for (Connection* connection : retired_) connections_.erase(connection->place);
  counters_.connections -= retired_.size();
  retired_.clear();
  if (connections_.empty() && empty_) empty_->set();
}

void Server::Impl::sweep() {
  MonotonicTime since = now() - limits_.stall;
  std::vector<std::shared_ptr<Connection>> stalled;
  for (auto& connection : connections_) {
    if (!connection->closed() && connection->stalled_since(since)) stalled.push_back(connection);
  }
  for (auto& connection : stalled) connection->close("the peer has stalled", true);
  sweep_ = loop_.call_after(limits_.stall / 4, [this] { sweep(); });
}

Task<void> Server::Impl::drain(Duration patience) {
  draining_ = true;
  for (auto& listener : listeners_) close(*listener);
  listeners_.clear();
  empty_ = std::make_unique<Signal>(loop_);
  std::vector<std::shared_ptr<Connection>> all(connections_.begin(), connections_.end());
  for (auto& connection : all) connection->finish();
  all.clear();
  if (connections_.empty()) empty_->set();
  auto give_up = [this] {
    std::vector<std::shared_ptr<Connection>> left(connections_.begin(), connections_.end());
    for (auto& connection : left) connection->close("shutting down", false);
  };
  Loop::TimerId deadline = loop_.call_after(patience, give_up);
  co_await empty_->wait();
  loop_.cancel(deadline);
  loop_.cancel(std::exchange(sweep_, 0));
  empty_.reset();
}

Server::Server(AsioLoop& loop, RecordHandler& handler, ServerLimits limits)
    : impl_(std::make_unique<Impl>(loop, handler, limits)) {}
Server::~Server() = default;
Result<PeerAddress> Server::listen(const std::string& host, std::uint16_t port) {
  return impl_->listen(host, port);
}
Task<void> Server::drain(Duration patience) { return impl_->drain(patience); }
const ServerCounters& Server::counters() const { return impl_->counters(); }

}  // namespace rowan::rpc
