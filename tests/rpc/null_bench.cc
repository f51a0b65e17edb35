// Null RPC throughput of rpc/server against the cheapest responder that speaks record marking. Not
// a test:
//   null_bench [CONNECTIONS] [DEPTH] [SECONDS]
// prints calls per second of both, one server process and one client process each, alternating.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "rpc/base/bytes.h"
#include "rpc/record_handler.h"
#include "rpc/server.h"

namespace rowan {
namespace {

constexpr std::size_t call_size = 40;   // null call with AUTH_NONE, without its mark
constexpr std::size_t reply_size = 24;  // an accepted, successful reply without results

void fill_reply(std::byte* to, const std::byte* call) {
  std::memset(to, 0, reply_size);
  std::memcpy(to, call, 4);
  store_be<std::uint32_t>(to + 4, 1);
}

// --- ours
class NullHandler final : public rpc::RecordHandler {
 public:
  Task<std::optional<rpc::Reply>> handle(Buffer record, PeerAddress, MonotonicTime) override {
    if (record.size() < 4) co_return std::nullopt;
    rpc::Reply reply;
    reply.head = Buffer(reply_size);
    fill_reply(reply.head.data(), record.data());
    co_return std::optional<rpc::Reply>(std::move(reply));
  }
};

[[noreturn]] void run_ours(int report) {
  AsioLoop loop;
  NullHandler handler;
  rpc::Server server(loop, handler);
  auto bound = server.listen("127.0.0.1", 0);
  CHECK(bound.has_value());
  CHECK(::write(report, &bound->port, sizeof bound->port) == sizeof bound->port);
  loop.run();
  std::abort();
}

// --- the cheapest: epoll, one buffer, marks parsed in place, fixed replies
void answer(int socket, std::vector<std::byte>& in, std::size_t& have,
            std::vector<std::byte>& out) {
  ssize_t got = ::recv(socket, in.data() + have, in.size() - have, 0);
  if (got <= 0) {
    ::close(socket);
    return;
  }
  have += static_cast<std::size_t>(got);
  std::size_t at = 0, size = 0;
  while (have - at >= 4) {
    std::size_t length = load_be<std::uint32_t>(in.data() + at) & 0x7fffffff;
    if (have - at < 4 + length) break;
    store_be<std::uint32_t>(out.data() + size, 0x80000000u | reply_size);
    fill_reply(out.data() + size + 4, in.data() + at + 4);
    size += 4 + reply_size;
    at += 4 + length;
  }
  std::memmove(in.data(), in.data() + at, have - at);
  have -= at;
  for (std::size_t sent = 0; sent < size;) {
    ssize_t n = ::send(socket, out.data() + sent, size - sent, MSG_NOSIGNAL);
    if (n <= 0) return;
    sent += static_cast<std::size_t>(n);
  }
}

int listen_on_loopback(std::uint16_t& port) {
  int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  CHECK(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  CHECK(::listen(listener, 128) == 0);
  CHECK(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port = ntohs(address.sin_port);
  return listener;
}

[[noreturn]] void run_cheapest(int report) {
  std::uint16_t port = 0;
  int listener = listen_on_loopback(port);
  CHECK(::write(report, &port, sizeof port) == sizeof port);
  int poll = ::epoll_create1(0);
  epoll_event event{EPOLLIN, {.fd = listener}};
  ::epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  struct State {
    std::vector<std::byte> in = std::vector<std::byte>(65536);
    std::size_t have = 0;
  };
  std::map<int, State> states;
  std::vector<std::byte> out(65536);
  for (;;) {
    std::array<epoll_event, 64> events;
    int count = ::epoll_wait(poll, events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) {
      int fd = events[i].data.fd;
      if (fd != listener) {
        State& state = states[fd];
        answer(fd, state.in, state.have, out);
        continue;
      }
      int socket = ::accept(listener, nullptr, nullptr);
      int on = 1;
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      states[socket] = State();
      epoll_event one{EPOLLIN, {.fd = socket}};
      ::epoll_ctl(poll, EPOLL_CTL_ADD, socket, &one);
    }
  }
}

// --- the client: keeps `depth` calls in flight on each connection
int connect_to(std::uint16_t port) {
  int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  CHECK(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

void send_calls(int socket, const std::vector<std::byte>& calls, std::size_t count) {
  std::size_t size = count * (4 + call_size);
  CHECK(::send(socket, calls.data(), size, MSG_NOSIGNAL) == static_cast<ssize_t>(size));
}

double measure(std::uint16_t port, int connections, std::size_t depth, double seconds) {
  std::vector<std::byte> calls(depth * (4 + call_size));
  for (std::size_t i = 0; i < depth; ++i) {
    std::byte* call = calls.data() + i * (4 + call_size);
    store_be<std::uint32_t>(call, 0x80000000u | call_size);
    store_be<std::uint32_t>(call + 4, static_cast<std::uint32_t>(i));
    store_be<std::uint32_t>(call + 12, 2);
    store_be<std::uint32_t>(call + 16, 100003);
    store_be<std::uint32_t>(call + 20, 3);
  }
  int poll = ::epoll_create1(0);
  std::map<int, std::size_t> partial;
  for (int i = 0; i < connections; ++i) {
    int socket = connect_to(port);
    epoll_event one{EPOLLIN, {.fd = socket}};
    ::epoll_ctl(poll, EPOLL_CTL_ADD, socket, &one);
    partial[socket] = 0;
    send_calls(socket, calls, depth);
  }
  std::vector<std::byte> in(65536);
  std::uint64_t done = 0;
  MonotonicTime start = real_clock().now();
  double elapsed = 0;
  while (elapsed < seconds) {
    std::array<epoll_event, 64> events;
    int count = ::epoll_wait(poll, events.data(), events.size(), 1000);
    CHECK(count > 0);
    for (int i = 0; i < count; ++i) {
      int fd = events[i].data.fd;
      ssize_t got = ::recv(fd, in.data(), in.size(), 0);
      CHECK(got > 0);
      std::size_t bytes = partial[fd] + static_cast<std::size_t>(got);
      std::size_t replies = bytes / (4 + reply_size);
      partial[fd] = bytes % (4 + reply_size);
      done += replies;
      if (replies != 0) send_calls(fd, calls, replies);
    }
    elapsed = std::chrono::duration<double>(real_clock().now() - start).count();
  }
  for (auto& [socket, bytes] : partial) ::close(socket);
  ::close(poll);
  return static_cast<double>(done) / elapsed;
}

// Processor seconds that a process has used: on a busy machine a steadier measure than calls per
// second.
double cpu_seconds(pid_t pid) {
  std::string path = "/proc/" + std::to_string(pid) + "/stat";
  std::FILE* file = std::fopen(path.c_str(), "r");
  CHECK(file != nullptr);
  unsigned long user = 0, system = 0;
  int fields = std::fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                           &user, &system);
  std::fclose(file);
  CHECK(fields == 2);
  return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

struct Child {
  pid_t pid;
  std::uint16_t port;
};
Child start(void (*body)(int)) {
  int report[2];
  CHECK(::pipe(report) == 0);
  pid_t pid = ::fork();
  if (pid == 0) body(report[1]);
  Child child{pid, 0};
  CHECK(::read(report[0], &child.port, sizeof child.port) == sizeof child.port);
  ::close(report[0]);
  ::close(report[1]);
  return child;
}

}  // namespace
}  // namespace rowan

int main(int argc, char** argv) {
  using namespace rowan;
  int connections = argc > 1 ? std::atoi(argv[1]) : 1;
  auto depth = static_cast<std::size_t>(argc > 2 ? std::atoi(argv[2]) : 64);
  double seconds = argc > 3 ? std::atof(argv[3]) : 2;
  Child cheapest = start(run_cheapest), ours = start(run_ours);
  double sum_cheapest = 0, sum_ours = 0;
  for (int round = 0; round < 3; ++round) {
    double cpu_a = cpu_seconds(cheapest.pid), cpu_b = cpu_seconds(ours.pid);
    double a = measure(cheapest.port, connections, depth, seconds);
    double b = measure(ours.port, connections, depth, seconds);
    cpu_a = (cpu_seconds(cheapest.pid) - cpu_a) / (a * seconds) * 1e9;
    cpu_b = (cpu_seconds(ours.pid) - cpu_b) / (b * seconds) * 1e9;
    std::printf(
        "cheapest %9.0f/s %4.0f ns of processor each   ours %9.0f/s %4.0f ns   ratio %.2f\n", a,
        cpu_a, b, cpu_b, b / a);
    sum_cheapest += a;
    sum_ours += b;
  }
  std::printf("connections %d depth %zu: ratio %.2f\n", connections, depth,
              sum_ours / sum_cheapest);
  for (pid_t pid : {cheapest.pid, ours.pid}) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
}
