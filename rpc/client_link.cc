#include "rpc/client_link.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <system_error>

#include "rpc/message.h"

//   idle -- connect() --> connecting -- a socket is connected --> up
//                             |                                     |
//                             +--------- fail(), abandon() ---------+--> down
//
// A name is resolved by Asio's resolver thread; a numeric address needs none. Every address of a
// name is tried in turn within one timeout.

namespace rowan::rpc {
namespace {

using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr std::size_t pieces_per_send = 128;
constexpr int reads_per_event = 16;
constexpr std::size_t most_addresses = 16;
// Source ports that a server takes for privileged (RFC 1813 leaves it to the server); below 600 are
// services.
constexpr std::uint16_t lowest_reserved = 600;
constexpr std::uint16_t highest_reserved = 1023;

RecordLimits record_limits(const ClientOptions& options) {
  RecordLimits limits;
  limits.record_size = options.reply_size;
  return limits;
}

std::string message_of(int error) { return std::generic_category().message(error); }

bool is_transient(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ENOBUFS ||
         error == ENOMEM;
}

}  // namespace

ClientLink::ClientLink(ClientLinkOwner& owner, AsioLoop& loop, const ClientOptions& options,
                       std::uint32_t first_xid)
    : owner_(&owner), loop_(loop), options_(options), socket_(loop.context()),
      resolver_(loop.context()), reader_(record_limits(options)),
      table_(first_xid, options.calls_per_connection) {}

void ClientLink::connect() {
  CHECK(state_ == State::idle);
  state_ = State::connecting;
  timeout_ = loop_.call_after(options_.connect_timeout, [self = shared_from_this()] {
    self->timeout_ = 0;
    self->connecting_takes_too_long();
  });
  // Never fails inside connect(): the owner is in the middle of something.
  if (auto numeric = numeric_address(options_.host, options_.port)) {
    addresses_.push_back(*numeric);
    loop_.defer([self = shared_from_this()] { self->try_next_address(); });
  } else {
    resolve();
  }
}

void ClientLink::connecting_takes_too_long() {
  if (unresolved_) fail_unresolved("no answer yet");
  else fail(last_error_.empty() ? "connecting takes too long" : last_error_);
}

void ClientLink::fail_unresolved(const std::string& why) {
  unresolved_ = true;
  fail("the name '" + options_.host + "' cannot be resolved: " + why +
       "; check its spelling, /etc/hosts and the DNS server, or give the address instead");
}

void ClientLink::resolve() {
  unresolved_ = true;
  resolver_.async_resolve(
      options_.host, std::to_string(options_.port),
      [self = shared_from_this()](const error_code& error, tcp::resolver::results_type found) {
        if (self->state_ != State::connecting) return;
        if (error || found.empty()) {
          self->fail_unresolved(error ? error.message() : "it has no address");
          return;
        }
        self->unresolved_ = false;
        for (const auto& entry : found) {
          SocketAddress address;
          tcp::endpoint endpoint = entry.endpoint();
          std::memcpy(address.get(), endpoint.data(), endpoint.size());
          address.size = static_cast<socklen_t>(endpoint.size());
          if (self->addresses_.size() < most_addresses) {
            self->addresses_.insert(self->addresses_.begin(), address);
          }
        }
        self->try_next_address();
      });
}

void ClientLink::try_next_address() {
  if (state_ != State::connecting) return;
  if (addresses_.empty()) {
    fail(last_error_);
    return;
  }
  SocketAddress address = addresses_.back();
  addresses_.pop_back();
  error_code error;
  socket_.close(error);
  tcp::endpoint endpoint;
  endpoint.resize(address.size);
  std::memcpy(endpoint.data(), address.get(), address.size);
  socket_.open(endpoint.protocol(), error);
  if (error) {
    last_error_ = error.message();
    loop_.defer([self = shared_from_this()] { self->try_next_address(); });
    return;
  }
  any_port_ = options_.reserved_port && !bind_reserved(address.family());
  socket_.async_connect(endpoint, [self = shared_from_this()](const error_code& result) {
    if (self->state_ != State::connecting) return;
    if (!result) {
      self->connected();
    } else {
      self->last_error_ = result.message();
      self->try_next_address();
    }
  });
}

// False: none is free, or this process may not.
bool ClientLink::bind_reserved(int family) {
  constexpr unsigned count = highest_reserved - lowest_reserved + 1;
  unsigned first = std::random_device()() % count;
  for (unsigned i = 0; i < count; ++i) {
    auto port = static_cast<std::uint16_t>(lowest_reserved + (first + i) % count);
    auto any = numeric_address(family == AF_INET6 ? "::" : "0.0.0.0", port);
    if (::bind(socket_.native_handle(), any->get(), any->size) == 0) return true;
    if (errno != EADDRINUSE) return false;
  }
  return false;
}

void ClientLink::connected() {
  loop_.cancel(std::exchange(timeout_, 0));
  int on = 1;
  ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  state_ = State::up;
  heard_ = loop_.clock().now();
  wait_readable();
  owner_->link_up(*this);
}

void ClientLink::abandon() {
  owner_ = nullptr;
  end();
}

void ClientLink::end() {
  state_ = State::down;
  loop_.cancel(std::exchange(timeout_, 0));
  error_code ignored;
  socket_.close(ignored);
  resolver_.cancel();
  output_ = ReplyQueue();
  reader_ = RecordReader(record_limits(options_));
}

void ClientLink::fail(const std::string& why) {
  if (state_ == State::down) return;
  std::string reason = why;  // may be a member's
  end();
  if (owner_ != nullptr) owner_->link_down(*this, reason);
}

void ClientLink::wait_readable() {
  socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](const error_code&) {
    if (self->up()) self->on_readable();
  });
}

void ClientLink::wait_writable() {
  if (waiting_to_write_) return;
  waiting_to_write_ = true;
  socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](const error_code&) {
    self->waiting_to_write_ = false;
    if (self->up()) self->flush();
  });
}

void ClientLink::on_readable() {
  for (int i = 0; i < reads_per_event && receive(); ++i) {
  }
  if (up()) wait_readable();
}

// True if there may be more to read at once.
bool ClientLink::receive() {
  ByteSpan space = reader_.space();
  ssize_t count = ::recv(socket_.native_handle(), space.data(), space.size(), MSG_DONTWAIT);
  int error = errno;
  reader_.commit(count > 0 ? static_cast<std::size_t>(count) : 0);
  if (count == 0) {
    fail(reader_.inside_record() ? "the server closed the connection inside a reply"
                                 : "the server closed the connection");
    return false;
  }
  if (count < 0) {
    if (!is_transient(error)) fail(message_of(error));
    return false;
  }
  heard_ = loop_.clock().now();
  parse();
  return up() && static_cast<std::size_t>(count) == space.size();
}

void ClientLink::parse() {
  while (up()) {
    Result<std::optional<Buffer>> record = reader_.next();
    if (!record) {
      fail("the server's reply: " + record.error().detail);
      return;
    }
    if (!*record) return;
    accept_reply(std::move(**record));
  }
}

void ClientLink::accept_reply(Buffer record) {
  xdr::Reader in(record.view());
  ReplyHeader header;
  if (!decode_reply(in, header)) {
    fail("the server sent what is not a reply");
    return;
  }
  std::optional<OutgoingCall*> call = table_.take(header.xid);
  if (!call) return;  // late, repeated or invented
  Result<void> outcome = to_result(header);
  if (!outcome) {
    owner_->answered(**call, std::move(outcome).error());
  } else if ((*call)->decode(in, (*call)->into)) {
    owner_->answered(**call, std::nullopt);
  } else {
    ++(*call)->malformed;
    const char* reason = in.failure();
    std::string why = "the server's results make no sense";
    if (reason != nullptr) why += std::string(": ") + reason;
    owner_->answered(**call, Error(Errc::malformed, why));
    fail(why);
  }
}

void ClientLink::send(OutgoingCall& call) {
  Result<std::uint32_t> xid = table_.add(&call, call.deadline);
  CHECK(xid.has_value());  // has_room()
  store_be(call.message.data(), *xid);
  call.sent_at = loop_.clock().now();
  Reply message;
  message.head = Buffer::copy_of(call.message.view());
  output_.push(std::move(message));
  if (flush_wanted_ || waiting_to_write_) return;
  flush_wanted_ = true;
  loop_.defer([self = shared_from_this()] {
    self->flush_wanted_ = false;
    if (self->up()) self->flush();
  });
}

void ClientLink::flush() {
  std::array<iovec, pieces_per_send> pieces;
  while (!output_.empty() && !waiting_to_write_) {
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = output_.gather(pieces);
    ssize_t count = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) {
      output_.consume(static_cast<std::size_t>(count));
    } else if (count < 0 && is_transient(errno)) {
      wait_writable();
    } else {
      fail(message_of(errno));
      return;
    }
  }
}

}  // namespace rowan::rpc
