#include "rpc/server_connection.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "rpc/base/log.h"
#include "rpc/socket_address.h"

// Asio only says when a socket is ready; recv and sendmsg are called here. So an idle connection
// has no buffer, a read is as large as there is room, and replies that are ready together leave
// with one sendmsg.
//
// pump() is the whole machine, called whenever something may have changed:
//
//   serve records --> send replies --> room and a whole record? again : nothing whole? wait to read
//
// It never waits to read while the connection is above its bounds: that is the back-pressure. Every
// bound is left by progress of the connection's own (a call ends, the peer takes bytes), and each
// of these pumps.

namespace rowan::rpc {
namespace {

constexpr std::size_t pieces_per_send = 128;
// Reads per readiness, when the peer has filled all room each time: enough for a 1 MiB record at
// once, and a bound, so that one fast peer does not keep the loop.
constexpr int reads_per_event = 8;
// From here on it is worth a look where a record's bulk lies.
constexpr std::size_t large_record = 64u << 10;

bool is_transient(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ENOBUFS ||
         error == ENOMEM;
}

}  // namespace

Connection::Connection(ConnectionOwner& owner, asio::ip::tcp::socket socket, PeerAddress peer)
    : owner_(&owner), socket_(std::move(socket)), peer_(peer), reader_(owner.limits().record) {}

void Connection::start() {
  progress_ = owner_->now();
  wait_readable();
}

void Connection::wait_readable() {
  if (waiting_to_read_) return;
  waiting_to_read_ = true;
  socket_.async_wait(asio::socket_base::wait_read,
                     [self = shared_from_this()](const boost::system::error_code&) {
                       self->waiting_to_read_ = false;
                       if (!self->closed_) self->on_readable();
                     });
}

void Connection::wait_writable() {
  if (waiting_to_write_) return;
  waiting_to_write_ = true;
  socket_.async_wait(asio::socket_base::wait_write,
                     [self = shared_from_this()](const boost::system::error_code&) {
                       self->waiting_to_write_ = false;
                       if (!self->closed_) self->pump();
                     });
}

void Connection::on_readable() {
  if (finishing_) return;
  owner_->touched(*this);
  received_ = progress_ = owner_->now();
  for (int i = 0; i < reads_per_event && receive(); ++i) serve_records();
  if (!closed_) pump();
}

// True if the peer filled all the room there was, so that more may be there, and there is room
// again.
bool Connection::receive() {
  if (closed_ || finishing_ || !drained_ || !may_start()) return false;
  ByteSpan space = reader_.space();
  ssize_t count = ::recv(socket_.native_handle(), space.data(), space.size(), MSG_DONTWAIT);
  int error = errno;
  reader_.commit(count > 0 ? static_cast<std::size_t>(count) : 0);
  if (count > 0) {
    owner_->counters().bytes_received += static_cast<std::uint64_t>(count);
    drained_ = false;
    serve_records();
    return static_cast<std::size_t>(count) == space.size();
  }
  if (count == 0) {
    // The peer has sent all it will send; it may still want its replies.
    if (reader_.inside_record()) {
      close("the stream ended inside a record", false);
    } else {
      finishing_ = true;
    }
  } else if (!is_transient(error)) {
    close(std::generic_category().message(error).c_str(), false);
  }
  return false;
}

void Connection::pump() {
  while (!closed_) {
    serve_records();
    if (closed_) return;
    send();
    if (closed_) return;
    if (drained_ || !may_start()) break;
  }
  if (closed_) return;
  account();
  if (finishing_) {
    if (in_flight_ == 0 && replies_.empty() && drained_) close("done", false);
  } else if (drained_ && may_start()) {
    wait_readable();
  }
}

bool Connection::may_start() const {
  const ServerLimits& limits = owner_->limits();
  std::size_t mine = charged_ + replies_.memory();
  bool full = in_flight_ >= limits.calls_per_connection || mine >= limits.bytes_per_connection;
  if (full) return false;
  std::size_t others = owner_->counters().bytes_held - held_;
  return mine == 0 || others + mine < limits.bytes_total;
}

void Connection::serve_records() {
  while (!closed_ && !drained_ && may_start()) {
    Result<std::optional<Buffer>> record = reader_.next();
    if (!record) {
      close(record.error().detail.c_str(), true);
      return;
    }
    if (!*record) {
      drained_ = true;
      return;
    }
    ++owner_->counters().calls;
    if ((*record)->size() >= large_record)
      reader_.align(owner_->handler().bulk_offset((*record)->view()));
    std::size_t expected = owner_->handler().expected_reply_size((*record)->view());
    std::size_t charge = (*record)->size() + expected;
    ++in_flight_;
    charged_ += charge;
    in_serve_records_ = true;
    calls_.start(serve(std::move(**record), charge));
    in_serve_records_ = false;
  }
}

Task<void> Connection::serve(Buffer record, std::size_t charge) {
  std::optional<Reply> reply =
      co_await owner_->handler().handle(std::move(record), peer_, received_);
  --in_flight_;
  charged_ -= charge;
  if (closed_) {
    retire_if_done();
    co_return;
  }
  if (!reply) {
    close("what came is not a call", true);
    co_return;
  }
  if (replies_.empty()) progress_ = owner_->now();  // from now on the peer can stall
  replies_.push(std::move(*reply));
  if (!in_serve_records_) owner_->pump_later(*this);
}

void Connection::send() {
  std::array<iovec, pieces_per_send> pieces;
  while (!replies_.empty() && !waiting_to_write_) {
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = replies_.gather(pieces);
    ssize_t count = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) {
      owner_->counters().bytes_sent += static_cast<std::uint64_t>(count);
      replies_.consume(static_cast<std::size_t>(count));
      progress_ = owner_->now();
    } else if (count < 0 && is_transient(errno)) {
      wait_writable();
    } else {
      close("cannot send", false);
      return;
    }
  }
}

// Tells the server what this connection holds now, and leaves if that is too much for all of us.
void Connection::account() {
  ServerCounters& counters = owner_->counters();
  std::size_t now = closed_ ? charged_ : charged_ + replies_.memory() + reader_.memory();
  bool grew = now > held_;
  counters.bytes_held += now - held_;  // wraps to a difference
  held_ = now;
  if (!closed_ && grew && counters.bytes_held > 2 * owner_->limits().bytes_total) {
    close("all connections together hold too much memory", true);
  }
}

void Connection::finish() {
  if (closed_) return;
  finishing_ = true;
  drained_ = true;  // records that wait stay unserved: the peer sends them again elsewhere
  pump();
}

void Connection::close(const char* why, bool fault) {
  if (closed_) return;
  closed_ = true;
  if (fault) ++owner_->counters().dropped;
  log(fault ? Level::info : Level::debug, "rpc.closed", {{"peer", to_string(peer_)}, {"why", why}});
  boost::system::error_code ignored;
  socket_.close(ignored);
  replies_ = ReplyQueue();
  reader_ = RecordReader();
  account();
  retire_if_done();
}

void Connection::retire_if_done() {
  if (owner_ == nullptr) return;
  account();
  if (in_flight_ == 0) owner_->retired(*this);
}

void Connection::abandon() {
  CHECK_EQ(in_flight_, 0u);
  closed_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  owner_ = nullptr;
}

bool Connection::stalled_since(MonotonicTime since) const {
  return (!replies_.empty() || (reader_.inside_record() && drained_)) && progress_ < since;
}

}  // namespace rowan::rpc
