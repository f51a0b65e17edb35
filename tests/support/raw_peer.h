// The other end of a TCP connection under the test's hand, on loopback, on the same thread as the
// loop under test: whenever it cannot go on, the loop runs. Nothing sleeps; a test that waits in
// vain fails after `patience`.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "rpc/asio_loop.h"
#include "rpc/base/buffer.h"
#include "rpc/base/unique_fd.h"
#include "rpc/service.h"

namespace rowan::test {

inline constexpr Duration patience = std::chrono::seconds(30);

// Runs the loop until `done()`; CHECKs that this happens within `patience`.
void run_until(AsioLoop& loop, const std::function<bool()>& done);

// Starts a task on the loop and gives its value.
template <class T>
T run_task(AsioLoop& loop, Task<T> task) {
  std::optional<T> value;
  TaskGroup group;
  auto body = [](Task<T> inner, std::optional<T>& out) -> Task<void> {
    T result = co_await inner;
    out.emplace(std::move(result));
  };
  group.start(body(std::move(task), value));
  run_until(loop, [&] { return value.has_value() && group.running() == 0; });
  return std::move(*value);
}
void run_task(AsioLoop& loop, Task<void> task);

class RawPeer {
 public:
  // Connects to an address that listens on loopback.
  RawPeer(AsioLoop& loop, const PeerAddress& to);
  // Takes over a connected socket.
  RawPeer(AsioLoop& loop, UniqueFd socket) : loop_(loop), socket_(std::move(socket)) {}

  void send(ByteView bytes);
  // As one record, in one fragment.
  void send_record(ByteView record);
  // Sends what the peer takes at once, without running the loop. Returns how much that was.
  std::size_t send_some(ByteView bytes);
  // The next whole record; nothing if the other side closes first.
  std::optional<Buffer> receive_record();
  // True once the other side has closed or reset. What comes before is thrown away.
  bool closed_by_other();
  void shut_down_sending();
  void close() { socket_.reset(); }
  // Closes with a reset.
  void reset();

 private:
  std::optional<Buffer> receive(std::size_t count);

  AsioLoop& loop_;
  UniqueFd socket_;
};

}  // namespace rowan::test
