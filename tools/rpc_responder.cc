// rowan-responder: the cheapest possible RPC server, the yardstick for null calls. It answers every
// record with an accepted, successful, empty reply (RFC 5531, section 9) and looks at nothing but
// the record mark and the xid. One thread, one epoll loop, one read and one write for as many calls
// as are there.
//
//   rowan-responder --listen 127.0.0.1:20051
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "rpc/base/bytes.h"
#include "rpc/base/unique_fd.h"

namespace {

using rowan::UniqueFd;

constexpr std::size_t buffer_bytes = 64u << 10;
constexpr std::size_t mark_bytes = 4, xid_bytes = 4, reply_bytes = 28;
constexpr std::uint32_t last_fragment = 0x80000000;
constexpr std::uint32_t max_record_bytes = 4096;  // a null call has about 40 to 100

struct Connection {
  UniqueFd fd;
  std::array<std::byte, buffer_bytes> input;
  std::size_t filled = 0;
  std::vector<std::byte> output;
  bool waits_to_send = false;
};

void append_reply(std::vector<std::byte>& output, const std::byte* xid) {
  auto at = output.size();
  output.resize(at + reply_bytes);  // the rest is zero: accepted, no verifier, success
  rowan::store_be<std::uint32_t>(&output[at], last_fragment | (reply_bytes - mark_bytes));
  std::memcpy(&output[at + mark_bytes], xid, xid_bytes);
  rowan::store_be<std::uint32_t>(&output[at + mark_bytes + xid_bytes], 1);  // REPLY
}

// Answers every whole record of the input. False: not a record that this program understands.
bool answer(Connection& connection) {
  std::size_t at = 0;
  while (connection.filled - at >= mark_bytes + xid_bytes) {
    auto mark = rowan::load_be<std::uint32_t>(&connection.input[at]);
    std::uint32_t size = mark & ~last_fragment;
    if ((mark & last_fragment) == 0 || size < xid_bytes || size > max_record_bytes) return false;
    if (connection.filled - at < mark_bytes + size) break;
    append_reply(connection.output, &connection.input[at + mark_bytes]);
    at += mark_bytes + size;
  }
  std::memmove(connection.input.data(), &connection.input[at], connection.filled - at);
  connection.filled -= at;
  return true;
}

// Asks for the events that the connection waits for: replies to go before calls to come.
void watch(int epoll, Connection& connection, int operation) {
  bool blocked = !connection.output.empty();
  epoll_event event{.events = blocked ? EPOLLOUT : EPOLLIN, .data = {.ptr = &connection}};
  epoll_ctl(epoll, operation, connection.fd.get(), &event);
  connection.waits_to_send = blocked;
}

// Sends what there is; keeps the rest. False: the connection is over.
bool flush(Connection& connection) {
  auto& output = connection.output;
  if (output.empty()) return true;
  auto sent = send(connection.fd.get(), output.data(), output.size(), MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN;
  output.erase(output.begin(), output.begin() + sent);
  return true;
}

bool serve(Connection& connection) {
  if (!flush(connection)) return false;
  if (!connection.output.empty()) return true;  // a client that does not read waits
  auto got = recv(connection.fd.get(), connection.input.data() + connection.filled,
                  connection.input.size() - connection.filled, 0);
  if (got == 0 || (got < 0 && errno != EAGAIN)) return false;
  if (got > 0) connection.filled += static_cast<std::size_t>(got);
  return answer(connection) && flush(connection);
}

UniqueFd listen_on(const std::string& text) {
  auto colon = text.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (colon == std::string::npos ||
      inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1) {
    return {};
  }
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1)));
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  bool ready = bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
               listen(fd.get(), SOMAXCONN) == 0;
  return ready ? std::move(fd) : UniqueFd();
}

void accept_all(int epoll, int listener) {
  for (;;) {
    UniqueFd fd(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid()) return;
    int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto* connection = new Connection;  // owned by the epoll set until `serve` says that it is over
    connection->fd = std::move(fd);
    watch(epoll, *connection, EPOLL_CTL_ADD);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 || std::string(argv[1]) != "--listen") {
    std::fprintf(stderr, "usage: rowan-responder --listen ADDRESS:PORT\n");
    return 2;
  }
  auto listener = listen_on(argv[2]);
  if (!listener.valid()) {
    std::fprintf(stderr, "rowan-responder: cannot listen on %s: %s\n", argv[2],
                 std::strerror(errno));
    return 1;
  }
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  epoll_ctl(epoll.get(), EPOLL_CTL_ADD, listener.get(), &event);
  std::array<epoll_event, 64> events;
  for (;;) {
    int count = epoll_wait(epoll.get(), events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) {
      auto* connection = static_cast<Connection*>(events[i].data.ptr);
      if (connection == nullptr) {
        accept_all(epoll.get(), listener.get());
      } else if (!serve(*connection)) {
        delete connection;
      } else if (connection->waits_to_send == connection->output.empty()) {
        watch(epoll.get(), *connection, EPOLL_CTL_MOD);
      }
    }
  }
}
