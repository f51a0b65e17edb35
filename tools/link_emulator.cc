// rowan-link: forwards TCP connections as a slow link would, for machines whose kernel has no
// netem.
//
//   rowan-link --listen 127.0.0.1:9000 --to 127.0.0.1:2049 --rtt-ms 40 --mbit 50
//
// Every byte takes half the round trip; all connections share one rate in each direction. Setting
// up a TCP connection costs no round trip. --jitter-ms and --loss make the link rough, with the
// luck that --seed gives. Commands come as lines on standard input or as signals: stall / resume
// (SIGUSR1 changes between them), reset (SIGUSR2: every connection ends with RST), stats, quit
// (SIGTERM, SIGINT). The last line printed is the statistics.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <list>

#include "rpc/base/result.h"
#include "rpc/base/unique_fd.h"
#include "tools/link_schedule.h"
#include "tools/usage.h"

namespace rowan::link {
namespace {

constexpr std::size_t max_connections = 1024;
constexpr std::size_t read_bytes = 64u << 10;
constexpr std::size_t least_window_bytes = 256u << 10;
constexpr std::uint64_t unlimited_rate_for_window = 10'000'000'000;
constexpr std::size_t max_command_bytes = 256;
constexpr std::int64_t max_wait_nanoseconds = 999'999'999;

struct Options {
  std::string listen = "127.0.0.1:0", to;
  double rtt_ms = 0, mbit = 0, jitter_ms = 0, loss_percent = 0;
  std::uint64_t seed = 1;
};

Duration milliseconds(double count) { return Duration(static_cast<std::int64_t>(count * 1e6)); }

Roughness roughness(const Options& o, int direction) {
  // A sender notices a loss after a round trip, and waits at least this long (RFC 6298 says a
  // second; Linux 200 ms).
  constexpr double least_wait_ms = 200;
  return {.jitter = milliseconds(o.jitter_ms),
          .loss = o.loss_percent / 100,
          .retransmission = milliseconds(std::max(least_wait_ms, o.rtt_ms)),
          .seed = 2 * o.seed + static_cast<unsigned>(direction)};
}

Result<sockaddr_in> parse_address(const std::string& text) {
  auto colon = text.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  int port = colon == std::string::npos ? -1 : std::atoi(text.c_str() + colon + 1);
  if (port < 0 || port > 65535 ||
      inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1) {
    return Error(Errc::usage, "'" + text + "' is no ADDRESS:PORT, for example 127.0.0.1:2049");
  }
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

// Two sockets and what is under way between them. Index 0 is the client's side, 1 the server's;
// pipes[i] carries what socket i sent.
struct Connection {
  explicit Connection(std::size_t window) : pipes{Pipe(window), Pipe(window)} {}
  std::array<UniqueFd, 2> sockets;
  std::array<Pipe, 2> pipes;
  std::array<bool, 2> read_closed{}, write_closed{}, blocked{};
  std::array<std::uint32_t, 2> interest{};
  bool connecting = true;
};

void reset(Connection& connection) {
  linger abort_on_close{.l_onoff = 1, .l_linger = 0};
  for (auto& socket : connection.sockets) {
    setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &abort_on_close, sizeof abort_on_close);
    socket.reset();
  }
}

class Emulator {
 public:
  Emulator(const Options& options, sockaddr_in to)
      : to_(to),
        wires_{Wire(half_trip(options), bits(options), roughness(options, 0)),
               Wire(half_trip(options), bits(options), roughness(options, 1))},
        window_(window_of(options)) {}

  Result<void> listen(const sockaddr_in& address);
  Result<void> run();
  void print_statistics() const;

 private:
  static Duration half_trip(const Options& o) {
    return milliseconds(o.rtt_ms / 2);
  }
  static std::uint64_t bits(const Options& o) { return static_cast<std::uint64_t>(o.mbit * 1e6); }
  static std::size_t window_of(const Options& o) {
    double rate = o.mbit > 0 ? o.mbit * 1e6 : static_cast<double>(unlimited_rate_for_window);
    return least_window_bytes + static_cast<std::size_t>(rate / 8 * o.rtt_ms / 1e3);
  }

  void accept_one();
  void watch_control(int fd);
  bool handle_signal();  // false: quit
  bool handle_input();
  bool command(std::string_view name);
  void handle_events(Connection& connection);
  bool read_from(Connection& connection, int side);
  bool deliver(Connection& connection, int from);
  bool finished(const Connection& connection) const;
  void update_interest(Connection& connection);
  bool service(Connection& connection);  // false: the connection is over
  void reset_all();
  std::optional<timespec> wait_time() const;
  MonotonicTime now() const { return real_clock().now(); }

  sockaddr_in to_;
  std::array<Wire, 2> wires_;
  std::size_t window_;
  UniqueFd epoll_{epoll_create1(EPOLL_CLOEXEC)}, listener_, signals_;
  std::list<Connection> connections_;
  bool stalled_ = false;
  std::string typed_;
  std::uint64_t accepted_ = 0;
  std::array<std::uint64_t, 2> delivered_{};
};

Result<void> Emulator::listen(const sockaddr_in& address) {
  listener_ = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  int on = 1;
  setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  auto bound = bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (bound != 0 || ::listen(listener_.get(), SOMAXCONN) != 0) {
    return Error(Errc::io, std::string("cannot listen: ") + std::strerror(errno));
  }
  sockaddr_in actual{};
  socklen_t size = sizeof actual;
  getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&actual), &size);
  std::printf("{\"listening\":%d}\n", ntohs(actual.sin_port));
  std::fflush(stdout);
  return {};
}

void Emulator::accept_one() {
  UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!client.valid() || connections_.size() >= max_connections) return;
  UniqueFd server(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!server.valid()) return;
  int on = 1;
  for (int fd : {client.get(), server.get()})
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  connect(server.get(), reinterpret_cast<const sockaddr*>(&to_),
          sizeof to_);  // its outcome: first write
  ++accepted_;
  auto& connection = connections_.emplace_back(window_);
  connection.sockets = {std::move(client), std::move(server)};
  for (auto& socket : connection.sockets) {
    epoll_event event{.events = 0, .data = {.ptr = &connection}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &event);
  }
  update_interest(connection);
}

// Reads what the pipe has room for. False: the socket failed.
bool Emulator::read_from(Connection& connection, int side) {
  std::array<char, read_bytes> buffer;
  auto& pipe = connection.pipes[side];
  if (connection.read_closed[side]) return true;
  while (std::size_t room = std::min(pipe.room(), buffer.size())) {
    auto got = recv(connection.sockets[side].get(), buffer.data(), room, 0);
    if (got > 0) {
      pipe.push(wires_[side], now(), {buffer.data(), static_cast<std::size_t>(got)});
    } else if (got == 0) {
      connection.read_closed[side] = true;
      pipe.end(wires_[side], now());
      return true;
    } else {
      return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
    }
  }
  return true;
}

// Writes what has arrived from side `from`. False: the socket failed.
bool Emulator::deliver(Connection& connection, int from) {
  int to = 1 - from;
  auto& pipe = connection.pipes[from];
  connection.blocked[to] = false;
  for (;;) {
    auto bytes = pipe.arrived(now());
    if (bytes.empty()) break;
    auto sent = send(connection.sockets[to].get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return false;
    connection.blocked[to] = sent < 0;
    if (sent < 0) return true;
    pipe.consume(static_cast<std::size_t>(sent));
    delivered_[from] += static_cast<std::uint64_t>(sent);
  }
  if (pipe.end_arrived(now()) && !connection.write_closed[to]) {
    connection.write_closed[to] = true;
    shutdown(connection.sockets[to].get(), SHUT_WR);
  }
  return true;
}

bool Emulator::finished(const Connection& connection) const {
  return connection.write_closed[0] && connection.write_closed[1];
}

bool Emulator::service(Connection& connection) {
  if (stalled_) return true;
  if (connection.connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(connection.sockets[1].get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return false;
    sockaddr_in peer;
    size = sizeof peer;
    connection.connecting =
        getpeername(connection.sockets[1].get(), reinterpret_cast<sockaddr*>(&peer), &size) != 0;
  }
  for (int side : {0, 1}) {
    if (!read_from(connection, side)) return false;
    if (connection.connecting && side == 0) continue;
    if (!deliver(connection, side)) return false;
  }
  return !finished(connection);
}

void Emulator::update_interest(Connection& connection) {
  for (int side : {0, 1}) {
    std::uint32_t events = 0;
    bool reading = connection.pipes[side].room() > 0 && !connection.read_closed[side];
    if (!stalled_ && reading) events |= EPOLLIN;
    bool waits_to_connect = side == 1 && connection.connecting;
    if (!stalled_ && (connection.blocked[side] || waits_to_connect)) events |= EPOLLOUT;
    if (events == connection.interest[side]) continue;
    connection.interest[side] = events;
    epoll_event event{.events = events, .data = {.ptr = &connection}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.sockets[side].get(), &event);
  }
}

void Emulator::reset_all() {
  for (auto& connection : connections_) reset(connection);
  connections_.clear();
}

bool Emulator::command(std::string_view name) {
  if (name == "stall")
    stalled_ = true;
  else if (name == "resume")
    stalled_ = false;
  else if (name == "reset")
    reset_all();
  else if (name == "stats")
    print_statistics();
  else if (name == "quit")
    return false;
  else
    std::cerr << "rowan-link: no such command; there are stall, resume, reset, stats, quit\n";
  return true;
}

bool Emulator::handle_signal() {
  signalfd_siginfo info;
  if (read(signals_.get(), &info, sizeof info) != sizeof info) return true;
  if (info.ssi_signo == SIGUSR1) return command(stalled_ ? "resume" : "stall");
  if (info.ssi_signo == SIGUSR2) return command("reset");
  return false;
}

bool Emulator::handle_input() {
  char buffer[max_command_bytes];
  auto got = read(STDIN_FILENO, buffer, sizeof buffer);
  if (got <= 0) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, STDIN_FILENO, nullptr);
    return true;
  }
  typed_.append(buffer, static_cast<std::size_t>(got));
  for (auto end = typed_.find('\n'); end != std::string::npos; end = typed_.find('\n')) {
    auto line = typed_.substr(0, end);
    typed_.erase(0, end + 1);
    if (!command(line)) return false;
  }
  if (typed_.size() > max_command_bytes) typed_.clear();
  return true;
}

// How long nothing arrives; nothing: until an event.
std::optional<timespec> Emulator::wait_time() const {
  std::optional<MonotonicTime> next;
  for (const auto& connection : connections_) {
    for (int side : {0, 1}) {
      auto arrival = connection.pipes[side].next_arrival();
      bool stuck = connection.blocked[1 - side] || connection.write_closed[1 - side];
      if (arrival && !stuck && (!next || *arrival < *next)) next = arrival;
    }
  }
  if (!next || stalled_) return std::nullopt;
  auto left = std::clamp<std::int64_t>((*next - now()).count(), 0, max_wait_nanoseconds);
  return timespec{.tv_sec = 0, .tv_nsec = static_cast<long>(left)};
}

void Emulator::watch_control(int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = static_cast<std::uint64_t>(fd)}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd,
            &event);  // fails for a plain file as standard input: no commands
}

Result<void> Emulator::run() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT}) sigaddset(&set, number);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = UniqueFd(signalfd(-1, &set, SFD_CLOEXEC));
  for (int fd : {signals_.get(), listener_.get(), STDIN_FILENO}) watch_control(fd);
  for (;;) {
    std::array<epoll_event, 64> events;
    // epoll_wait's milliseconds are too coarse: a segment takes 0.6 ms at 50 Mbit/s.
    auto wait = wait_time();
    int count =
        epoll_pwait2(epoll_.get(), events.data(), events.size(), wait ? &*wait : nullptr, nullptr);
    if (count < 0 && errno != EINTR) return Error(Errc::io, std::strerror(errno));
    for (int i = 0; i < count; ++i) {
      auto fd = events[i].data.u64;
      if (fd == static_cast<std::uint64_t>(listener_.get()))
        accept_one();
      else if (fd == static_cast<std::uint64_t>(signals_.get()) && !handle_signal())
        return {};
      else if (fd == STDIN_FILENO && !handle_input())
        return {};
    }
    // Few connections, and most wake-ups are arrivals, which no event announces: look at each.
    for (auto it = connections_.begin(); it != connections_.end();) {
      if (service(*it)) {
        update_interest(*it++);
        continue;
      }
      if (!finished(*it)) reset(*it);
      it = connections_.erase(it);
    }
  }
}

void Emulator::print_statistics() const {
  std::printf(
      "{\"connections\":%llu,\"open\":%zu,\"bytes_to_server\":%llu,\"bytes_to_client\":%llu}\n",
      static_cast<unsigned long long>(accepted_), connections_.size(),
      static_cast<unsigned long long>(delivered_[0]),
      static_cast<unsigned long long>(delivered_[1]));
  std::fflush(stdout);
}

int fail(const Error& error) {
  std::cerr << "rowan-link: " << to_string(error) << "\n";
  return error.code == Errc::usage ? 2 : 1;
}

int run_program(int argc, char** argv) {
  CLI::App app("Forwards TCP connections over an emulated link", "rowan-link");
  Options options;
  app.add_option("--listen", options.listen, "ADDRESS:PORT to accept on; port 0 picks one")
      ->capture_default_str();
  app.add_option("--to", options.to, "ADDRESS:PORT of the server")->required();
  app.add_option("--rtt-ms", options.rtt_ms, "Round trip in milliseconds")
      ->check(CLI::Range(0.0, 60000.0));
  app.add_option("--mbit", options.mbit, "10^6 bits per second in each direction; 0: no limit")
      ->check(CLI::Range(0.0, 100000.0));
  app.add_option("--jitter-ms", options.jitter_ms, "Up to this much more, in each direction")
      ->check(CLI::Range(0.0, 60000.0));
  app.add_option("--loss", options.loss_percent, "Percent of 4 KiB segments that are lost")
      ->check(CLI::Range(0.0, 100.0));
  app.add_option("--seed", options.seed, "Of jitter and loss")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return tools::finish_usage(app, error);
  }
  auto from = parse_address(options.listen);
  auto to = parse_address(options.to);
  if (!from) return fail(from.error());
  if (!to) return fail(to.error());
  Emulator emulator(options, *to);
  if (auto listening = emulator.listen(*from); !listening) return fail(listening.error());
  auto done = emulator.run();
  emulator.print_statistics();
  return done ? 0 : fail(done.error());
}

}  // namespace
}  // namespace rowan::link

int main(int argc, char** argv) { return rowan::link::run_program(argc, argv); }
