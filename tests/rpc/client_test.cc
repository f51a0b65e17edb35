#include "rpc/client.h"

#include <unistd.h>

#include "rpc/base/log.h"
#include "rpc/nfs_client.h"
#include "rpc/record.h"
#include "tests/support/fake_origin.h"
#include "tests/support/raw_peer.h"
#include "tests/support/catch.h"

namespace rowan::rpc {
namespace {

using nfs3::Procedure;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::FakeOrigin;
using test::run_task;
using test::run_until;

struct Fixture {
  explicit Fixture(ClientOptions wanted = {}) : origin(loop) {
    wanted.host = wanted.host.empty() ? "127.0.0.1" : wanted.host;
    wanted.port = origin.port();
    wanted.program = nfs3::program;
    wanted.version = nfs3::version;
    wanted.first_back_off = milliseconds(1);
    wanted.longest_back_off = milliseconds(4);
    client = std::make_unique<Client>(loop, wanted);
    nfs = std::make_unique<NfsClient>(*client);
    file = origin.tree.add_file(1, "file", "0123456789");
  }
  ~Fixture() { run_task(loop, client->close()); }

  Result<nfs3::LookupRes> lookup(const char* name = "file") {
    return run_task(loop, nfs->lookup(origin.tree.handle(1), name));
  }

  AsioLoop loop;
  FakeOrigin origin;
  std::unique_ptr<Client> client;
  std::unique_ptr<NfsClient> nfs;
  std::uint64_t file = 0;
};

ClientOptions with_deadline(Duration deadline) {
  ClientOptions options;
  options.deadline = deadline;
  return options;
}

// Deals with the first `times` calls by `fault`; the tree answers the others.
template <class Fault>
void spoil(FakeOrigin& origin, int times, Fault fault) {
  origin.script = [left = times, fault](const FakeOrigin::Call& call) mutable {
    if (left == 0) return false;
    --left;
    fault(call);
    return true;
  };
}

TEST_CASE("every call is typed, and carries the identity it was given") {
  ClientOptions options;
  options.identity = ClientOptions::Identity{12, 34};
  Fixture f(options);
  std::uint32_t uid = 0, gid = 0;
  f.origin.script = [&](const FakeOrigin::Call& call) {
    uid = call.uid;
    gid = call.gid;
    return false;
  };
  REQUIRE(run_task(f.loop, f.nfs->null()));
  auto found = f.lookup();
  REQUIRE(found);
  REQUIRE(found->object == f.origin.tree.handle(f.file));
  std::array<std::byte, 6> into{};
  auto read = run_task(f.loop, f.nfs->read(found->object, 7, into));
  REQUIRE(read);
  REQUIRE(as_text(into).substr(0, read->count) == "789");
  REQUIRE(read->eof);
  auto missing = f.lookup("absent");
  REQUIRE(missing);
  REQUIRE(missing->status == nfs3::Status::noent);
  REQUIRE(uid == 12);
  REQUIRE(gid == 34);
}

TEST_CASE("a host is found by name, whichever of its addresses answers") {
  ClientOptions options;
  options.host = "localhost";
  Fixture f(options);
  REQUIRE(f.lookup());
  ClientOptions unknown = with_deadline(seconds(20));
  unknown.host = "no-such-host.invalid";
  unknown.patient = false;
  Fixture g(unknown);
  auto failed = g.lookup();
  REQUIRE(failed.failed_with(Errc::disconnected));
  REQUIRE(failed.error().detail.find("no-such-host.invalid") != std::string::npos);
}

TEST_CASE("replies with a wrong xid, and repeated ones, are matched to no call") {
  Fixture f;
  spoil(f.origin, 1, [&](const FakeOrigin::Call& call) {
    nfs3::LookupRes wrong;
    wrong.object = f.origin.tree.handle(1);
    xdr::Writer out;
    nfs3::Codec<Procedure::lookup>::encode_res(out, wrong);
    for (std::uint32_t delta : {1u, 7u, 0x80000000u})
      call.send(call.message(out.view(), call.xid + delta));
    f.origin.answer(call);
    f.origin.answer(call);
    call.send(call.message(out.view(), call.xid));
  });
  REQUIRE(f.lookup()->object == f.origin.tree.handle(f.file));
  REQUIRE(f.lookup("absent")->status == nfs3::Status::noent);
  REQUIRE(f.origin.connections == 1);
}

TEST_CASE("replies in any order reach the calls they belong to") {
  Fixture f;
  constexpr std::size_t count = 40;
  for (std::size_t i = 0; i < count; ++i) f.origin.tree.add_file(1, "n" + std::to_string(i), "");
  std::vector<FakeOrigin::Call> held;
  f.origin.script = [&](const FakeOrigin::Call& call) {
    held.push_back(call);
    if (held.size() == count) {
      for (std::size_t i = count; i-- > 0;) f.origin.answer(held[i]);
    }
    return true;
  };
  std::size_t right = 0;
  TaskGroup group;
  auto one = [](Fixture& fixture, std::size_t i, std::size_t& good) -> Task<void> {
    std::string name = "n" + std::to_string(i);
    auto res = co_await fixture.nfs->lookup(fixture.origin.tree.handle(1), name);
    if (res && res->attributes && res->attributes->fileid == fixture.file + 1 + i) ++good;
  };
  for (std::size_t i = 0; i < count; ++i) group.start(one(f, i, right));
  run_until(f.loop, [&] { return group.running() == 0; });
  REQUIRE(right == count);
}

TEST_CASE("whatever byte of a reply a connection ends at, the call is sent again and succeeds") {
  Fixture f;
  std::string whole;
  f.origin.script = [&](const FakeOrigin::Call& call) {
    whole = f.origin.answer_message(call);
    return false;
  };
  REQUIRE(f.lookup());
  for (std::size_t cut = 0; cut < whole.size() + 4; ++cut) {
    spoil(f.origin, 1, [&](const FakeOrigin::Call& call) {
      std::string message = f.origin.answer_message(call);
      auto mark = record_mark(message.size());
      call.send_raw((std::string(as_text(mark)) + message).substr(0, cut));
      cut % 2 == 0 ? call.close() : call.reset();
    });
    INFO(cut);
    auto found = f.lookup();
    REQUIRE(found);
    REQUIRE(found->object == f.origin.tree.handle(f.file));
  }
  REQUIRE(f.client->counters().resent == whole.size() + 4);
}

TEST_CASE(
    "garbled, overlong, endless and foreign answers end the connection; the next one serves") {
  std::vector<std::function<void(FakeOrigin&, const FakeOrigin::Call&)>> faults = {
      [](FakeOrigin&, const FakeOrigin::Call& call) { call.reply(as_bytes("nonsense")); },
      [](FakeOrigin& origin, const FakeOrigin::Call& call) {  // four bytes too many
        call.send(origin.answer_message(call) + std::string(4, '\0'));
      },
      [](FakeOrigin& origin, const FakeOrigin::Call& call) {  // four bytes too few
        std::string message = origin.answer_message(call);
        call.send(message.substr(0, message.size() - 4));
      },
      [](FakeOrigin&, const FakeOrigin::Call& call) { call.send_raw("\x80\x7f\xff\xff"); },
      [](FakeOrigin&, const FakeOrigin::Call& call) {  // a record whose fragments never end
        for (int i = 0; i < 40; ++i)
          call.send_raw(std::string("\0\0\xff\xfc", 4) + std::string(0xfffc, 'x'));
      },
      [](FakeOrigin&, const FakeOrigin::Call& call) { call.send(as_text(call.record->view())); },
      [](FakeOrigin&, const FakeOrigin::Call& call) { call.send("abc"); },
      [](FakeOrigin&, const FakeOrigin::Call& call) { call.send(""); },
  };
  for (std::size_t i = 0; i < faults.size(); ++i) {
    INFO(i);
    Fixture f;
    spoil(f.origin, 1, [&](const FakeOrigin::Call& call) { faults[i](f.origin, call); });
    auto found = f.lookup();
    REQUIRE(found);
    REQUIRE(found->object == f.origin.tree.handle(f.file));
    REQUIRE(f.origin.connections == 2);
  }
}

TEST_CASE("a server that goes on answering nonsense is given up, and said so") {
  Fixture f;
  spoil(f.origin, -1, [](const FakeOrigin::Call& call) { call.reply(as_bytes("nonsense")); });
  auto failed = f.lookup();
  REQUIRE(failed.failed_with(Errc::malformed));
  REQUIRE(failed.error().detail.find("127.0.0.1:") == 0);
  REQUIRE(f.origin.connections == 2);
}

TEST_CASE("a READ that brings more than was asked for is refused") {
  Fixture f;
  spoil(f.origin, -1, [&](const FakeOrigin::Call& call) {
    nfs3::ReadRes res;
    res.data = Buffer::copy_of(as_bytes("012345678"));
    call.reply<Procedure::read>(res);
  });
  std::array<std::byte, 12> memory{};
  ByteSpan into = ByteSpan(memory).first(8);
  auto read = run_task(f.loop, f.nfs->read(f.origin.tree.handle(f.file), 0, into));
  REQUIRE(read.failed_with(Errc::malformed));
  REQUIRE(memory[0] == std::byte{0});
}

TEST_CASE("a call that is not answered times out by name, and its late reply goes nowhere") {
  Fixture f(with_deadline(milliseconds(60)));
  std::optional<FakeOrigin::Call> held;
  spoil(f.origin, 1, [&](const FakeOrigin::Call& call) { held = call; });
  // Another call on the same connection is answered: the connection is alive and stays.
  TaskGroup group;
  auto later = [](Fixture& fixture) -> Task<void> {
    co_await sleep_for(fixture.loop, milliseconds(30));
    auto res = co_await fixture.nfs->null();
    REQUIRE(res.has_value());
  };
  group.start(later(f));
  auto failed = f.lookup();
  REQUIRE(failed.failed_with(Errc::timed_out));
  REQUIRE(failed.error().detail.find(std::to_string(f.origin.port())) != std::string::npos);
  REQUIRE(group.running() == 0);
  f.origin.answer(*held);
  REQUIRE(f.lookup("absent")->status == nfs3::Status::noent);
  REQUIRE(f.origin.connections == 1);
  REQUIRE(f.client->counters().timed_out == 1);
}

TEST_CASE("a connection on which nothing is heard for a whole deadline is replaced") {
  Fixture f(with_deadline(milliseconds(40)));
  f.origin.script = [](const FakeOrigin::Call& call) { return call.connection == 0; };
  REQUIRE(f.lookup().failed_with(Errc::timed_out));
  REQUIRE(f.lookup());
  REQUIRE(f.origin.connections == 2);
}

TEST_CASE("with the server away a patient call waits for it, an impatient one fails at once") {
  Fixture f;
  REQUIRE(f.lookup());
  f.origin.stop();
  f.loop.call_after(milliseconds(30), [&] { f.origin.start(); });
  REQUIRE(f.lookup());
  ClientOptions options = with_deadline(seconds(20));
  options.patient = false;
  Fixture g(options);
  g.origin.stop();
  MonotonicTime start = real_clock().now();
  auto failed = g.lookup();
  REQUIRE(failed.failed_with(Errc::disconnected));
  REQUIRE(failed.error().detail.find("refused") != std::string::npos);
  REQUIRE(real_clock().now() - start < seconds(10));
}

TEST_CASE("a server that accepts and closes at once is not hammered") {
  ClientOptions options = with_deadline(milliseconds(250));
  options.connections = 4;
  Fixture f(options);
  spoil(f.origin, -1, [](const FakeOrigin::Call& call) { call.close(); });
  auto failed = f.lookup();
  REQUIRE(failed.failed_with(Errc::timed_out));
  CAPTURE(failed.error().detail);
  REQUIRE(failed.error().detail.find("closed the connection") != std::string::npos);
  REQUIRE(f.origin.connections > 3);
  REQUIRE(f.origin.connections < 140);  // a pause of at least 2 ms each, but for the first
}

TEST_CASE("calls outstanding on a broken connection are all sent again") {
  ClientOptions options;
  options.connections = 1;
  Fixture f(options);
  std::vector<FakeOrigin::Call> held;
  f.origin.script = [&](const FakeOrigin::Call& call) {
    if (call.connection != 0) return false;
    held.push_back(call);
    if (held.size() == 20) call.reset();
    return true;
  };
  std::size_t right = 0;
  TaskGroup group;
  auto one = [](Fixture& fixture, std::size_t& good) -> Task<void> {
    auto res = co_await fixture.nfs->lookup(fixture.origin.tree.handle(1), "file");
    if (res && res->object == fixture.origin.tree.handle(fixture.file)) ++good;
  };
  for (int i = 0; i < 20; ++i) group.start(one(f, right));
  run_until(f.loop, [&] { return group.running() == 0; });
  REQUIRE(right == 20);
  REQUIRE(f.client->counters().resent == 20);
}

TEST_CASE("refusals at RPC level say what the server has not") {
  Fixture f;
  for (auto [status, code] : {std::pair(AcceptStatus::prog_unavail, Errc::not_supported),
                              std::pair(AcceptStatus::proc_unavail, Errc::not_supported),
                              std::pair(AcceptStatus::garbage_args, Errc::malformed),
                              std::pair(AcceptStatus::system_err, Errc::server_fault)}) {
    spoil(f.origin, -1, [status = status](const FakeOrigin::Call& call) { call.refuse(status); });
    auto failed = f.lookup();
    REQUIRE(failed.failed_with(code));
    REQUIRE_FALSE(failed.error().detail.empty());
  }
  REQUIRE(f.origin.connections == 1);
}

TEST_CASE("calls beyond what may be in flight wait, and beyond that are refused") {
  ClientOptions options;
  options.connections = 2;
  options.calls_per_connection = 4;
  options.calls_waiting = 10;
  Fixture f(options);
  std::vector<FakeOrigin::Call> held;
  f.origin.script = [&](const FakeOrigin::Call& call) {
    held.push_back(call);
    return true;
  };
  REQUIRE(f.client->connected() == 0);
  int good = 0, refused = 0;
  TaskGroup group;
  auto one = [](Fixture& fixture, int& ok, int& limit) -> Task<void> {
    auto res = co_await fixture.nfs->null();
    if (res) ++ok;
    if (res.failed_with(Errc::limit)) ++limit;
  };
  for (int i = 0; i < 12; ++i) group.start(one(f, good, refused));
  REQUIRE(refused == 2);  // none is connected yet, so all wait
  run_until(f.loop, [&] { return held.size() == 8; });
  REQUIRE(f.origin.connections == 2);
  while (good < 10) {
    auto batch = std::exchange(held, {});
    for (auto& call : batch) f.origin.answer(call);
    run_until(f.loop, [&] { return good == 10 || !held.empty(); });
    REQUIRE(held.size() <= 8);
  }
}

TEST_CASE("close() ends what is outstanding and what waits with disconnected") {
  ClientOptions options;
  options.connections = 1;
  options.calls_per_connection = 2;
  Fixture f(options);
  std::size_t came = 0;
  f.origin.script = [&](const FakeOrigin::Call&) { return ++came != 0; };
  int ended = 0;
  TaskGroup group;
  auto one = [](Fixture& fixture, int& count) -> Task<void> {
    auto res = co_await fixture.nfs->null();
    if (res.failed_with(Errc::disconnected)) ++count;
  };
  for (int i = 0; i < 5; ++i) group.start(one(f, ended));
  run_until(f.loop, [&] { return came == 2; });
  run_task(f.loop, f.client->close());
  run_until(f.loop, [&] { return group.running() == 0; });
  REQUIRE(ended == 5);
  REQUIRE(run_task(f.loop, f.nfs->null()).failed_with(Errc::disconnected));
}

TEST_CASE("calls go to another port when they are told to, the outstanding ones too") {
  Fixture f;
  FakeOrigin other(f.loop);
  other.tree.add_file(1, "file", "");
  f.origin.script = [&](const FakeOrigin::Call&) {
    f.loop.defer([&] { f.client->move_to_port(other.port()); });
    return true;
  };
  REQUIRE(f.lookup());
  REQUIRE(other.connections == 1);
}

TEST_CASE("a reserved source port is used where the process may, any other where not") {
  ClientOptions options;
  options.reserved_port = true;
  Fixture f(options);
  std::uint16_t port = 0;
  f.origin.script = [&](const FakeOrigin::Call& call) {
    port = call.peer_port;
    return false;
  };
  REQUIRE(f.lookup());
  REQUIRE(f.client->fell_back_to_any_port() == (port >= 1024));
  if (::geteuid() == 0) REQUIRE(port < 1024);
}

}  // namespace
}  // namespace rowan::rpc
