#include "rpc/udp_server.h"

#include <sys/socket.h>

#include "rpc/socket_address.h"
#include "tests/support/raw_peer.h"
#include "tests/support/catch.h"

namespace rowan::rpc {
namespace {

using test::run_task;
using test::run_until;

// Answers with the record; waits first if it begins with 'w', refuses if it begins with 'x', and
// makes the reply too large if it begins with 'l'.
class EchoHandler final : public RecordHandler {
 public:
  explicit EchoHandler(Loop& loop) : gate(loop) {}
  Task<std::optional<Reply>> handle(Buffer record, PeerAddress peer, MonotonicTime) override {
    last_peer = peer;
    auto first = record.empty() ? 'x' : static_cast<char>(record.data()[0]);
    if (first == 'x') co_return std::nullopt;
    if (first == 'w') co_await gate.wait();
    Reply reply;
    reply.head = std::move(record);
    if (first == 'l') reply.body = Buffer(66'000);
    co_return std::optional<Reply>(std::move(reply));
  }
  Signal gate;
  PeerAddress last_peer;
};

class Peer {
 public:
  Peer(AsioLoop& loop, const PeerAddress& to, const std::string& from = "") : loop_(loop) {
    SocketAddress address = to_socket_address(to);
    socket_ = UniqueFd(::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    REQUIRE(socket_.valid());
    if (!from.empty()) {
      auto source = numeric_address(from, 0);
      REQUIRE(::bind(socket_.get(), source->get(), source->size) == 0);
    }
    // Connected: a reply from any other address than `to` would not be seen.
    REQUIRE(::connect(socket_.get(), address.get(), address.size) == 0);
  }
  void send(const std::string& text) {
    REQUIRE(::send(socket_.get(), text.data(), text.size(), 0) ==
            static_cast<ssize_t>(text.size()));
  }
  std::string receive() {
    std::string text(70'000, '\0');
    ssize_t got = -1;
    run_until(loop_, [&] {
      return (got = ::recv(socket_.get(), text.data(), text.size(), MSG_DONTWAIT)) >= 0;
    });
    text.resize(static_cast<std::size_t>(got));
    return text;
  }

 private:
  AsioLoop& loop_;
  UniqueFd socket_;
};

struct Fixture {
  explicit Fixture(const char* host = "127.0.0.1", UdpServerLimits limits = {})
      : handler(loop), server(loop, handler, limits) {
    auto bound = server.listen(host, 0);
    REQUIRE(bound);
    address = *bound;
  }
  ~Fixture() {
    handler.gate.set();
    run_task(loop, server.drain());
  }
  AsioLoop loop;
  EchoHandler handler;
  UdpServer server;
  PeerAddress address;
};

TEST_CASE("a datagram is answered to whoever sent it") {
  for (const char* host : {"127.0.0.1", "::1"}) {
    Fixture f(host);
    Peer a(f.loop, f.address), b(f.loop, f.address);
    a.send("abcd");
    b.send("efgh");
    REQUIRE(a.receive() == "abcd");
    REQUIRE(b.receive() == "efgh");
    REQUIRE(ip_to_string(f.handler.last_peer) == host);
  }
}

TEST_CASE("the reply leaves from the address that the call was sent to") {
  Fixture f("0.0.0.0");
  for (const char* ours : {"127.0.0.1", "127.0.0.2", "127.5.5.5"}) {
    PeerAddress to = to_peer(numeric_address(ours, f.address.port)->storage);
    Peer peer(f.loop, to, "127.0.0.9");
    peer.send("abcd");
    REQUIRE(peer.receive() == "abcd");
  }
}

TEST_CASE("what is no call, too large, or too much at once is dropped, and the rest served") {
  UdpServerLimits limits;
  limits.calls_in_flight = 2;
  limits.call_size = 1000;
  Fixture f("127.0.0.1", limits);
  Peer peer(f.loop, f.address);
  for (const std::string& text :
       {std::string("xxxx"), std::string(), std::string(1001, 'a'), std::string("long")}) {
    peer.send(text);
  }
  for (int i = 0; i < 3; ++i) peer.send("wait");
  run_until(f.loop, [&] { return f.server.counters().dropped == 5; });
  f.handler.gate.set();
  REQUIRE(peer.receive() == "wait");
  REQUIRE(peer.receive() == "wait");
  peer.send("more");
  REQUIRE(peer.receive() == "more");
  REQUIRE(f.server.counters().replies == 3);
}

TEST_CASE("drain sends the replies of the calls in flight and takes no more") {
  Fixture f;
  Peer peer(f.loop, f.address);
  peer.send("wait");
  run_until(f.loop, [&] { return f.server.counters().calls == 1; });
  bool drained = false;
  TaskGroup group;
  auto drain = [](UdpServer& server, bool& flag) -> Task<void> {
    co_await server.drain();
    flag = true;
  };
  group.start(drain(f.server, drained));
  peer.send("late");
  f.loop.run_some(std::chrono::milliseconds(5));
  REQUIRE_FALSE(drained);
  f.handler.gate.set();
  run_until(f.loop, [&] { return drained; });
  REQUIRE(peer.receive() == "wait");
  REQUIRE(f.server.counters().calls == 1);
}

}  // namespace
}  // namespace rowan::rpc
