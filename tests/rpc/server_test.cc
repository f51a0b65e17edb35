#include "rpc/server.h"

#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <map>
#include <vector>

#include "rpc/base/log.h"
#include "tests/support/raw_peer.h"

namespace rowan::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::RawPeer;
using test::run_until;

// A record is a little program: its first word is an id that the reply repeats; then what to do.
//   e  echo at once     s  answer with 'size' bytes of body     w  wait for release(id)     x  not
//   a call
class ScriptHandler final : public RecordHandler {
 public:
  explicit ScriptHandler(Loop& loop) : loop_(loop) {}
  Task<std::optional<Reply>> handle(Buffer record, PeerAddress peer, MonotonicTime) override {
    last_peer = peer;
    if (record.size() < 12) co_return std::nullopt;
    auto id = load_be<std::uint32_t>(record.data());
    auto what = static_cast<char>(load_be<std::uint32_t>(record.data() + 4));
    auto size = load_be<std::uint32_t>(record.data() + 8);
    if (what == 'x') co_return std::nullopt;
    if (what == 'w') {
      auto& gate = gates[id];
      gate = std::make_unique<Signal>(loop_);
      co_await gate->wait();
    }
    Reply reply;
    reply.head = Buffer::copy_of({record.data(), 4});
    reply.body = Buffer(size);
    if (size != 0) std::memset(reply.body.data(), 'b', size);
    co_return std::optional<Reply>(std::move(reply));
  }
  std::size_t expected_reply_size(ByteView record) const override {
    return record.size() < 12 ? 0 : load_be<std::uint32_t>(record.data() + 8);
  }
  void release(std::uint32_t id) { gates.at(id)->set(); }

  PeerAddress last_peer;
  std::map<std::uint32_t, std::unique_ptr<Signal>> gates;

 private:
  Loop& loop_;
};

Buffer call(std::uint32_t id, char what, std::uint32_t size = 0, std::size_t padding = 0) {
  Buffer record(12 + padding);
  std::memset(record.data(), 0, record.size());
  store_be<std::uint32_t>(record.data(), id);
  store_be<std::uint32_t>(record.data() + 4, static_cast<std::uint32_t>(what));
  store_be<std::uint32_t>(record.data() + 8, size);
  return record;
}

std::string marked(const Buffer& record) {
  auto mark = record_mark(record.size());
  return std::string(as_text(mark)) + std::string(as_text(record.view()));
}

std::uint32_t id_of(const std::optional<Buffer>& reply) {
  REQUIRE(reply.has_value());
  return load_be<std::uint32_t>(reply->data());
}

struct Fixture {
  explicit Fixture(ServerLimits limits = {}, const char* host = "127.0.0.1")
      : handler(loop), server(loop, handler, limits) {
    auto bound = server.listen(host, 0);
    REQUIRE(bound);
    address = *bound;
  }
  ~Fixture() { test::run_task(loop, server.drain(seconds(10))); }
  const ServerCounters& counters() { return server.counters(); }

  AsioLoop loop;
  ScriptHandler handler;
  Server server;
  PeerAddress address;
};

TEST_CASE("a call is answered, and the handler sees an IPv4 peer as IPv4-mapped") {
  Fixture f;
  RawPeer peer(f.loop, f.address);
  peer.send_record(call(7, 'e', 10).view());
  auto reply = peer.receive_record();
  REQUIRE(id_of(reply) == 7);
  REQUIRE(reply->size() == 4 + 12);  // padded to a multiple of four
  REQUIRE(ip_to_string(f.handler.last_peer) == "127.0.0.1");
}

TEST_CASE("an IPv6 address is listened on and its peers are named so") {
  Fixture f({}, "::1");
  REQUIRE(to_string(f.address).starts_with("[::1]:"));
  RawPeer peer(f.loop, f.address);
  peer.send_record(call(1, 'e').view());
  REQUIRE(id_of(peer.receive_record()) == 1);
  REQUIRE(ip_to_string(f.handler.last_peer) == "::1");
}

TEST_CASE("what cannot be listened on is refused by name") {
  Fixture f;
  auto taken = f.server.listen("127.0.0.1", f.address.port);
  REQUIRE(taken.failed_with(Errc::busy));
  REQUIRE(taken.error().detail.find(to_string(f.address)) != std::string::npos);
  REQUIRE(f.server.listen("localhost", 0).failed_with(Errc::usage));
  auto second = f.server.listen("127.0.0.1", 0);  // several listeners are fine
  REQUIRE(second);
  RawPeer peer(f.loop, *second);
  peer.send_record(call(3, 'e').view());
  REQUIRE(id_of(peer.receive_record()) == 3);
}

TEST_CASE("replies leave as they become ready, not in the order of the calls") {
  Fixture f;
  RawPeer peer(f.loop, f.address);
  peer.send_record(call(1, 'w').view());
  peer.send_record(call(2, 'w').view());
  peer.send_record(call(3, 'e').view());
  REQUIRE(id_of(peer.receive_record()) == 3);
  f.handler.release(2);
  REQUIRE(id_of(peer.receive_record()) == 2);
  f.handler.release(1);
  REQUIRE(id_of(peer.receive_record()) == 1);
}

TEST_CASE("a thousand pipelined calls in one piece, and byte by byte, are all answered") {
  Fixture f;
  RawPeer peer(f.loop, f.address);
  std::string bytes;
  for (std::uint32_t i = 0; i < 1000; ++i) bytes += marked(call(i, 'e', i % 7));
  peer.send(as_bytes(bytes));
  for (std::uint32_t i = 0; i < 1000; ++i) REQUIRE(id_of(peer.receive_record()) == i);
  for (std::size_t i = 0; i < 160; ++i) {
    peer.send(as_bytes(bytes).subspan(i, 1));
    f.loop.run_some(milliseconds(1));
  }
  for (std::uint32_t i = 0; i < 10; ++i) REQUIRE(id_of(peer.receive_record()) == i);
}

TEST_CASE("records of a mebibyte go both ways") {
  Fixture f;
  RawPeer peer(f.loop, f.address);
  for (std::uint32_t i = 0; i < 4; ++i) {
    peer.send_record(call(i, 'e', 1u << 20, 1u << 20).view());
    auto reply = peer.receive_record();
    REQUIRE(id_of(reply) == i);
    REQUIRE(reply->size() == 4 + (1u << 20));
  }
}

TEST_CASE("what is not a call, and an endless record, close that connection and no other") {
  Fixture f;
  RawPeer good(f.loop, f.address), bad(f.loop, f.address), endless(f.loop, f.address);
  bad.send_record(call(1, 'x').view());
  run_until(f.loop, [&] { return bad.closed_by_other(); });
  std::uint32_t claim = 0;
  store_be<std::uint32_t>(reinterpret_cast<std::byte*>(&claim), 0x7fffffff);
  endless.send(as_bytes({reinterpret_cast<const char*>(&claim), 4}));
  run_until(f.loop, [&] { return endless.closed_by_other(); });
  REQUIRE(f.counters().dropped == 2);
  good.send_record(call(5, 'e').view());
  REQUIRE(id_of(good.receive_record()) == 5);
  REQUIRE(f.counters().connections == 1);
}

TEST_CASE("a peer that resets with calls in flight leaves nothing behind") {
  Fixture f;
  {
    RawPeer peer(f.loop, f.address);
    peer.send_record(call(1, 'w').view());
    run_until(f.loop, [&] { return f.handler.gates.contains(1); });
    peer.reset();
    run_until(f.loop, [&] { return f.counters().connections == 1; });
  }
  f.loop.run_some(milliseconds(1));
  REQUIRE(f.counters().connections == 1);  // its call still runs
  f.handler.release(1);
  run_until(f.loop, [&] { return f.counters().connections == 0; });
  REQUIRE(f.counters().bytes_held == 0);
}

TEST_CASE("a peer that has finished sending still gets its replies, then the connection closes") {
  Fixture f;
  RawPeer peer(f.loop, f.address);
  peer.send_record(call(1, 'w').view());
  peer.shut_down_sending();
  run_until(f.loop, [&] { return f.handler.gates.contains(1); });
  f.handler.release(1);
  REQUIRE(id_of(peer.receive_record()) == 1);
  run_until(f.loop, [&] { return f.counters().connections == 0; });
}

TEST_CASE("no more calls run than the limit, and the rest are served as those end") {
  ServerLimits limits;
  limits.calls_per_connection = 4;
  Fixture f(limits);
  RawPeer peer(f.loop, f.address);
  for (std::uint32_t i = 0; i < 20; ++i) peer.send_record(call(i, 'w').view());
  run_until(f.loop, [&] { return f.handler.gates.size() == 4; });
  RawPeer other(f.loop, f.address);
  other.send_record(call(99, 'e').view());
  REQUIRE(id_of(other.receive_record()) == 99);
  for (std::uint32_t i = 0; i < 20; ++i) {
    run_until(f.loop, [&] { return f.handler.gates.contains(i); });
    REQUIRE(f.handler.gates.size() <= i + 4);
    f.handler.release(i);
    REQUIRE(id_of(peer.receive_record()) == i);
  }
}

TEST_CASE("a peer that reads no replies is paused with bounded memory while others are served") {
  ServerLimits limits;
  limits.bytes_per_connection = 2u << 20;
  Fixture f(limits);
  RawPeer slow(f.loop, f.address), other(f.loop, f.address);
  constexpr std::uint32_t calls = 2000, size = 64u << 10;
  std::string bytes;
  for (std::uint32_t i = 0; i < calls; ++i) bytes += marked(call(i, 'e', size));
  REQUIRE(slow.send_some(as_bytes(bytes)) == bytes.size());  // fits the socket's buffers
  std::uint64_t served = 0;
  run_until(f.loop, [&] {  // until nothing moves any more
    std::uint64_t before = std::exchange(served, f.counters().calls);
    f.loop.run_some(milliseconds(20));
    return served != 0 && before == f.counters().calls;
  });
  REQUIRE(f.counters().calls < calls);
  REQUIRE(f.counters().bytes_held < (3u << 20));
  other.send_record(call(1, 'e').view());
  REQUIRE(id_of(other.receive_record()) == 1);
  for (std::uint32_t i = 0; i < calls; ++i) REQUIRE(id_of(slow.receive_record()) == i);
  REQUIRE(f.counters().bytes_held < (1u << 20));
}

TEST_CASE(
    "a peer that stalls inside a record, or never takes its replies, is closed; an idle one is "
    "not") {
  ServerLimits limits;
  limits.stall = milliseconds(80);
  limits.bytes_per_connection = 1u << 20;
  Fixture f(limits);
  RawPeer idle(f.loop, f.address), inside(f.loop, f.address), deaf(f.loop, f.address);
  inside.send(as_bytes("\x80\x00"));
  for (int i = 0; i < 200; ++i) deaf.send_record(call(1, 'e', 1u << 20).view());
  run_until(f.loop, [&] { return f.counters().dropped == 2; });
  run_until(f.loop, [&] { return f.counters().connections == 1; });
  idle.send_record(call(3, 'e').view());
  REQUIRE(id_of(idle.receive_record()) == 3);
}

TEST_CASE("at the connection limit the longest idle connection makes room; busy ones do not") {
  ServerLimits limits;
  limits.connections = 3;
  Fixture f(limits);
  RawPeer a(f.loop, f.address), b(f.loop, f.address), c(f.loop, f.address);
  run_until(f.loop, [&] { return f.counters().accepted == 3; });
  a.send_record(call(1, 'e').view());
  REQUIRE(id_of(a.receive_record()) == 1);
  RawPeer d(f.loop, f.address);
  run_until(f.loop, [&] { return b.closed_by_other(); });  // a was used later, c came later
  REQUIRE(f.counters().evicted == 1);
  for (auto [peer, id] : {std::pair(&a, 11u), std::pair(&c, 12u), std::pair(&d, 13u)}) {
    peer->send_record(call(id, 'w').view());
    run_until(f.loop, [&, id = id] { return f.handler.gates.contains(id); });
  }
  RawPeer e(f.loop, f.address);
  run_until(f.loop, [&] { return e.closed_by_other(); });
  REQUIRE(f.counters().refused == 1);
  for (std::uint32_t id : {11u, 12u, 13u}) f.handler.release(id);
  REQUIRE(id_of(c.receive_record()) == 12);
}

TEST_CASE("above the total bound a connection gets one call at a time, but gets it") {
  ServerLimits limits;
  limits.bytes_total = 300u << 10;
  Fixture f(limits);
  RawPeer large(f.loop, f.address), small(f.loop, f.address);
  large.send_record(call(100, 'w', 310u << 10).view());
  run_until(f.loop, [&] { return f.handler.gates.contains(100); });
  for (std::uint32_t i = 0; i < 3; ++i) small.send_record(call(i, 'w', 100).view());
  for (std::uint32_t i = 0; i < 3; ++i) {
    run_until(f.loop, [&] { return f.handler.gates.contains(i); });
    for (int turn = 0; turn < 5; ++turn) f.loop.run_some(milliseconds(1));
    REQUIRE(f.handler.gates.size() == i + 2);
    f.handler.release(i);
    REQUIRE(id_of(small.receive_record()) == i);
  }
  f.handler.release(100);
  REQUIRE(id_of(large.receive_record()) == 100);
}

TEST_CASE("above twice the total bound the connection that grows is closed") {
  ServerLimits limits;
  limits.bytes_total = 300u << 10;
  Fixture f(limits);
  RawPeer first(f.loop, f.address), second(f.loop, f.address);
  first.send_record(call(1, 'w', 500u << 10).view());
  run_until(f.loop, [&] { return f.handler.gates.contains(1); });
  second.send_record(call(2, 'w', 500u << 10).view());
  run_until(f.loop, [&] { return second.closed_by_other(); });
  REQUIRE(f.counters().dropped == 1);
  f.handler.release(2);
  f.handler.release(1);
  REQUIRE(id_of(first.receive_record()) == 1);
  run_until(f.loop, [&] { return f.counters().connections == 1; });
  REQUIRE(f.counters().bytes_held == 0);
}

TEST_CASE("drain answers what is in flight and accepts nothing more") {
  Fixture f;
  RawPeer peer(f.loop, f.address);
  peer.send_record(call(1, 'w').view());
  run_until(f.loop, [&] { return f.handler.gates.contains(1); });
  bool drained = false;
  TaskGroup group;
  auto drain = [](Server& server, bool& flag) -> Task<void> {
    co_await server.drain(seconds(10));
    flag = true;
  };
  group.start(drain(f.server, drained));
  peer.send_record(call(2, 'e').view());
  f.loop.run_some(milliseconds(5));
  REQUIRE_FALSE(drained);
  f.handler.release(1);
  REQUIRE(id_of(peer.receive_record()) == 1);
  REQUIRE_FALSE(peer.receive_record().has_value());
  run_until(f.loop, [&] { return drained; });
  REQUIRE(f.counters().calls == 1);
}

TEST_CASE("drain closes the sockets after its patience but waits for the calls") {
  Fixture f;
  RawPeer peer(f.loop, f.address);
  peer.send_record(call(1, 'w').view());
  run_until(f.loop, [&] { return f.handler.gates.contains(1); });
  bool drained = false;
  TaskGroup group;
  auto drain = [](Server& server, bool& flag) -> Task<void> {
    co_await server.drain(milliseconds(1));
    flag = true;
  };
  group.start(drain(f.server, drained));
  run_until(f.loop, [&] { return peer.closed_by_other(); });
  REQUIRE_FALSE(drained);
  f.handler.release(1);
  run_until(f.loop, [&] { return drained; });
}

TEST_CASE("a server that has only idle connections may be destroyed at once") {
  AsioLoop loop;
  ScriptHandler handler(loop);
  auto server = std::make_unique<Server>(loop, handler);
  auto bound = server->listen("127.0.0.1", 0);
  REQUIRE(bound);
  RawPeer peer(loop, *bound);
  peer.send_record(call(1, 'e').view());
  REQUIRE(id_of(peer.receive_record()) == 1);
  server.reset();
  run_until(loop, [&] { return peer.closed_by_other(); });
}

TEST_CASE(
    "out of descriptors, the server goes on with the connections it has and accepts again later") {
  Fixture f;
  RawPeer first(f.loop, f.address);
  first.send_record(call(1, 'w').view());
  run_until(f.loop, [&] { return f.handler.gates.contains(1); });
  RawPeer waiting(f.loop, f.address);  // in the backlog: not accepted before the loop runs
  rlimit before;
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit low = before;
  low.rlim_cur = 1;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  run_until(f.loop, [&] { return f.counters().refused > 0; });
  f.handler.release(1);
  auto reply = first.receive_record();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE(id_of(reply) == 1);
  waiting.send_record(call(2, 'e').view());
  REQUIRE(id_of(waiting.receive_record()) == 2);
}

}  // namespace
}  // namespace rowan::rpc
