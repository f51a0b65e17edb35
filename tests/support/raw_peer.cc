#include "tests/support/raw_peer.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "rpc/record.h"
#include "rpc/socket_address.h"

namespace rowan::test {

void run_until(AsioLoop& loop, const std::function<bool()>& done) {
  MonotonicTime end = real_clock().now() + patience;
  while (!done()) {
    CHECK(real_clock().now() < end);
    loop.run_some(std::chrono::milliseconds(5));
  }
}

void run_task(AsioLoop& loop, Task<void> task) {
  TaskGroup group;
  group.start(std::move(task));
  run_until(loop, [&] { return group.running() == 0; });
}

RawPeer::RawPeer(AsioLoop& loop, const PeerAddress& to) : loop_(loop) {
  rpc::SocketAddress address = rpc::to_socket_address(to);
  socket_ = UniqueFd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(socket_.valid());
  CHECK(::connect(socket_.get(), address.get(), address.size) == 0);
}

std::size_t RawPeer::send_some(ByteView bytes) {
  ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

void RawPeer::send(ByteView bytes) {
  run_until(loop_, [&] {
    ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
      return true;  // the other side is gone: what it sent last decides the test
    if (sent > 0) bytes = bytes.subspan(static_cast<std::size_t>(sent));
    return bytes.empty();
  });
}

void RawPeer::send_record(ByteView record) {
  auto mark = rpc::record_mark(record.size());
  send(mark);
  send(record);
}

std::optional<Buffer> RawPeer::receive(std::size_t count) {
  Buffer bytes(count);
  std::size_t have = 0;
  bool ended = false;
  run_until(loop_, [&] {
    if (have == count) return true;
    ssize_t got = ::recv(socket_.get(), bytes.data() + have, count - have, MSG_DONTWAIT);
    if (got > 0) have += static_cast<std::size_t>(got);
    ended = got == 0 || (got < 0 && errno != EAGAIN);
    return ended || have == count;
  });
  if (ended) return std::nullopt;
  return bytes;
}

std::optional<Buffer> RawPeer::receive_record() {
  auto mark = receive(4);
  if (!mark) return std::nullopt;
  auto word = load_be<std::uint32_t>(mark->data());
  CHECK((word & 0x8000'0000u) != 0);
  return receive(word & 0x7fff'ffffu);
}

bool RawPeer::closed_by_other() {
  std::byte sink[4096];
  for (;;) {
    ssize_t got = ::recv(socket_.get(), sink, sizeof sink, MSG_DONTWAIT);
    if (got > 0) continue;
    return got == 0 || errno != EAGAIN;
  }
}

void RawPeer::shut_down_sending() { ::shutdown(socket_.get(), SHUT_WR); }

void RawPeer::reset() {
  linger hard{1, 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  socket_.reset();
}

}  // namespace rowan::test
