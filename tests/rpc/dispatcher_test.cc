#include "rpc/dispatcher.h"

#include <string>

#include "rpc/mount3_codec.h"
#include "rpc/portmap.h"
#include "rpc/record.h"
#include "tests/support/manual_loop.h"
#include "tests/support/random_nfs3.h"
#include "tests/support/scripted_nfs.h"
#include "tests/support/catch.h"

namespace rowan::rpc {
namespace {

using nfs3::Codec;
using nfs3::Procedure;

PeerAddress peer(int last, std::uint16_t port = 700) {
  PeerAddress address;
  address.ip[15] = static_cast<std::byte>(last);
  address.port = port;
  return address;
}

struct Target {
  std::uint32_t program = nfs3::program, version = 3, procedure = 0;
};

struct Fixture {
  test::ManualLoop loop;
  test::ManualDiskPool disk;
  test::ScriptedNfs nfs;
  test::ScriptedMount mount;
  Dispatcher dispatcher{loop, {&nfs, &mount}, {2049, 2049}};

  using Answer = std::optional<Reply>;

  // Starts a call; the answer appears in `out` when it is given.
  static Task<void> run(Dispatcher& dispatcher, Buffer record, PeerAddress from, MonotonicTime now,
                        Answer& out, bool& done) {
    Task<Answer> task = dispatcher.handle(std::move(record), from, now);
    out = co_await task;
    done = true;
  }
  Answer send(ByteView record, PeerAddress from = peer(1)) {
    Answer answer;
    bool done = false;
    TaskGroup group;
    group.start(run(dispatcher, Buffer::copy_of(record), from, loop.clock().now(), answer, done));
    loop.run();
    REQUIRE(done);
    return answer;
  }
};

AuthSys root() {
  AuthSys auth;
  auth.machine = "node1";
  auth.groups = {1, 2};
  return auth;
}

// A call record; `arguments` are already XDR.
Buffer record(Target target, ByteView arguments, std::uint32_t xid = 7,
              const AuthSys& auth = root()) {
  xdr::Writer credential;
  encode_auth_sys(credential, auth);
  xdr::Writer out;
  CallHeader call{xid, target.program, target.version, target.procedure, {}, {}};
  call.credential = {AuthFlavor::sys, credential.view()};
  encode_call(out, call);
  out.raw(arguments);
  return out.take();
}

template <Procedure P>
Buffer nfs_record(const typename Codec<P>::Args& args, std::uint32_t xid = 7,
                  const AuthSys& auth = root()) {
  xdr::Writer out;
  Codec<P>::encode_args(out, args);
  return record({nfs3::program, 3, static_cast<std::uint32_t>(P)}, out.view(), xid, auth);
}

std::string flat(const Reply& reply) {
  std::string bytes(as_text(reply.head.view()));
  bytes += as_text(reply.body.view());
  return bytes + std::string(reply.padding(), '\0');
}

ReplyHeader header_of(const std::optional<Reply>& reply, xdr::Reader* results = nullptr) {
  REQUIRE(reply);
  xdr::Reader in(reply->head.view());
  ReplyHeader header;
  REQUIRE(decode_reply(in, header));
  if (results != nullptr) *results = in;
  return header;
}

void require_accepted(const std::optional<Reply>& reply, AcceptStatus status) {
  ReplyHeader header = header_of(reply);
  CHECK(header.outcome == ReplyHeader::Outcome::accepted);
  CHECK(to_string(header.status) == to_string(status));
}

TEST_CASE_METHOD(Fixture, "every procedure reaches its own method and its result comes back") {
  nfs3::for_each_procedure([&](auto procedure) {
    constexpr Procedure P = procedure();
    CAPTURE(to_string(P));
    test::Nfs3Maker maker(static_cast<std::uint64_t>(P));
    typename Codec<P>::Args args{};
    maker.make(args);
    auto reply = send(nfs_record<P>(args, 100 + static_cast<std::uint32_t>(P)).view());
    REQUIRE(reply);
    std::string bytes = flat(*reply);
    xdr::Reader in(as_bytes(bytes));
    ReplyHeader header;
    REQUIRE(decode_reply(in, header));
    CHECK(header.xid == 100 + static_cast<std::uint32_t>(P));
    typename Codec<P>::Res res;
    REQUIRE(Codec<P>::decode_res(in, res));
    CHECK(res.status == nfs3::Status::ok);
    std::string upper;
    for (char c : nfs.last) upper += static_cast<char>(std::toupper(c));
    CHECK(upper == to_string(P));
    CHECK(dispatcher.stats().of(P).latency.count() == 1);
    CHECK(dispatcher.stats().of(P).errors == 0);
  });
  CHECK(nfs.calls == 21);
}

TEST_CASE_METHOD(Fixture, "the service is told who calls, from where and when") {
  nfs3::GetattrArgs args;
  AuthSys auth = root();
  auth.uid = 1000;
  auth.gid = 100;
  (void)send(nfs_record<Procedure::getattr>(args, 9, auth).view(), peer(5, 801));
  CHECK(nfs.last_context.credentials.uid == 1000);
  CHECK(nfs.last_context.credentials.gid == 100);
  CHECK(nfs.last_context.credentials.groups == GroupList{1, 2});
  CHECK(nfs.last_context.credentials.authenticated);
  CHECK(nfs.last_context.peer == peer(5, 801));
  CHECK(nfs.last_context.xid == 9);
  CHECK(nfs.last_context.received == loop.clock().now());
}

TEST_CASE_METHOD(Fixture, "READ data goes out beside the head without a copy") {
  nfs3::ReadArgs args;
  nfs.read_data = "12345";
  auto reply = send(nfs_record<Procedure::read>(args).view());
  REQUIRE(reply);
  CHECK(as_text(reply->body.view()) == "12345");
  CHECK(reply->size() % 4 == 0);
  nfs.status = nfs3::Status::stale;
  auto refused = send(nfs_record<Procedure::read>(args).view());
  REQUIRE(refused);
  CHECK(refused->body.empty());
}

TEST_CASE_METHOD(Fixture, "a large WRITE's record may be kept, and it is known where its data is") {
  std::string bytes(100'000, 'w');
  nfs3::WriteArgs args;
  args.data = as_bytes(bytes);
  Buffer large = nfs_record<Procedure::write>(args);
  std::size_t at = dispatcher.bulk_offset(large.view());
  CHECK(as_text(large.view().subspan(at, bytes.size())) == bytes);
  CHECK(load_be<std::uint32_t>(large.data() + at - 4) == bytes.size());
  (void)send(large.view());
  REQUIRE(nfs.last_owner);
  CHECK(as_text(nfs.last_owner->view().subspan(at, bytes.size())) == bytes);
  CHECK(nfs.last_owner.use_count() == 1);  // the call is over

  args.data = args.data.first(100);
  Buffer small = nfs_record<Procedure::write>(args);
  CHECK(dispatcher.bulk_offset(small.view()) == 0);
  (void)send(small.view());
  CHECK_FALSE(nfs.last_owner);
  for (std::size_t cut : {0u, 3u, 23u, 60u})
    CHECK(dispatcher.bulk_offset(large.view().first(cut)) == 0);
  CHECK(dispatcher.bulk_offset(nfs_record<Procedure::getattr>({}).view()) == 0);
}

TEST_CASE_METHOD(Fixture, "NULL succeeds with AUTH_NONE and takes no arguments") {
  xdr::Writer out;
  encode_call(out, CallHeader{1, nfs3::program, 3, 0, {}, {}});
  require_accepted(send(out.view()), AcceptStatus::success);
  out.u32(0);
  require_accepted(send(out.view()), AcceptStatus::garbage_args);
}

TEST_CASE_METHOD(Fixture, "AUTH_NONE arrives at the service as nobody") {
  xdr::Writer out;
  encode_call(out, CallHeader{1, nfs3::program, 3, 1, {}, {}});
  Codec<Procedure::getattr>::encode_args(out, {});
  require_accepted(send(out.view()), AcceptStatus::success);
  CHECK(nfs.last_context.credentials.uid == nobody_id);
  CHECK_FALSE(nfs.last_context.credentials.authenticated);
}

TEST_CASE_METHOD(Fixture, "what is not there is refused as RFC 5531 says") {
  xdr::Writer handle;
  Codec<Procedure::getattr>::encode_args(handle, {});
  auto call = [&](Target target) { return send(record(target, handle.view()).view()); };

  require_accepted(call({4711, 3, 1}), AcceptStatus::prog_unavail);
  require_accepted(call({nfs3::program, 3, 22}), AcceptStatus::proc_unavail);
  require_accepted(call({nfs3::program, 3, 0xffffffff}), AcceptStatus::proc_unavail);
  require_accepted(call({mount3::program, 3, 6}), AcceptStatus::proc_unavail);
  require_accepted(call({portmap::program, 2, 5}), AcceptStatus::proc_unavail);
  require_accepted(call({portmap::program, 3, 9}), AcceptStatus::proc_unavail);
  struct Row {
    Target target;
    std::uint32_t low, high;
  };
  for (Row row : {Row{{nfs3::program, 2, 1}, 3, 3}, Row{{nfs3::program, 4, 99}, 3, 3},
                  Row{{mount3::program, 1, 1}, 3, 3}, Row{{portmap::program, 5, 0}, 2, 4},
                  Row{{portmap::program, 1, 0}, 2, 4}}) {
    ReplyHeader header = header_of(call(row.target));
    CHECK(header.status == AcceptStatus::prog_mismatch);
    CHECK(header.low == row.low);
    CHECK(header.high == row.high);
  }
  CHECK(nfs.calls == 0);
  CHECK(dispatcher.stats().prog_unavail == 1);
  CHECK(dispatcher.stats().proc_unavail == 5);
  CHECK(dispatcher.stats().prog_mismatch == 5);
}

TEST_CASE_METHOD(Fixture, "a program without a service is unavailable") {
  Dispatcher bare(loop, {nullptr, nullptr});
  for (std::uint32_t program : {nfs3::program, mount3::program}) {
    Answer answer;
    bool done = false;
    TaskGroup group;
    auto task = run(bare, record({program, 3, 0}, {}), peer(1), loop.clock().now(), answer, done);
    group.start(std::move(task));
    REQUIRE(done);
    require_accepted(answer, AcceptStatus::prog_unavail);
  }
}

TEST_CASE_METHOD(Fixture, "arguments cut anywhere or too long are GARBAGE_ARGS and not served") {
  nfs3::for_each_procedure([&](auto procedure) {
    constexpr Procedure P = procedure();
    CAPTURE(to_string(P));
    test::Nfs3Maker maker(3);
    typename Codec<P>::Args args{};
    maker.make(args);
    Buffer whole = nfs_record<P>(args);
    xdr::Reader in(whole.view());
    CallHeader header;
    REQUIRE(decode_call(in, header) == CallState::ok);
    std::size_t arguments_at = whole.size() - in.left();
    for (std::size_t cut = arguments_at; cut < whole.size(); ++cut) {
      require_accepted(send(whole.view().first(cut)), AcceptStatus::garbage_args);
    }
    std::string longer = std::string(as_text(whole.view())) + std::string(4, '\0');
    require_accepted(send(as_bytes(longer)), AcceptStatus::garbage_args);
    CHECK(dispatcher.stats().of(P).garbage == whole.size() - arguments_at + 1);
  });
  CHECK(nfs.calls == 0);
}

TEST_CASE_METHOD(Fixture, "bad headers are answered or dropped as far as they can be read") {
  Buffer good = nfs_record<Procedure::getattr>({});
  CHECK_FALSE(send({}));
  for (std::size_t cut = 0; cut < 8; ++cut) CHECK_FALSE(send(good.view().first(cut)));
  for (std::size_t cut = 8; cut < 24; ++cut) {
    require_accepted(send(good.view().first(cut)), AcceptStatus::garbage_args);
  }
  ReplyHeader cut_credential = header_of(send(good.view().first(30)));
  CHECK(cut_credential.outcome == ReplyHeader::Outcome::auth_error);
  CHECK(cut_credential.why == AuthStatus::bad_cred);

  auto changed = [&](std::size_t offset, std::uint32_t value) {
    Buffer bad = Buffer::copy_of(good.view());
    store_be(bad.data() + offset, value);
    return send(bad.view());
  };
  CHECK_FALSE(changed(4, 1));  // a reply
  ReplyHeader version = header_of(changed(8, 3));
  CHECK(version.outcome == ReplyHeader::Outcome::rpc_mismatch);
  CHECK(version.low == 2);
  CHECK(version.high == 2);
  ReplyHeader flavor = header_of(changed(24, 6));
  CHECK(flavor.outcome == ReplyHeader::Outcome::auth_error);
  CHECK(flavor.why == AuthStatus::bad_cred);
  CHECK(nfs.calls == 0);
  CHECK(dispatcher.stats().auth_errors == 2);
  CHECK(dispatcher.stats().not_calls == 10);
}

TEST_CASE_METHOD(Fixture, "authentication is refused before program and procedure are looked at") {
  xdr::Writer out;
  CallHeader call{1, 4711, 9, 99, {}, {}};
  call.credential.flavor = static_cast<AuthFlavor>(6);
  encode_call(out, call);
  CHECK(header_of(send(out.view())).outcome == ReplyHeader::Outcome::auth_error);
}

TEST_CASE_METHOD(Fixture, "a status that the procedure may not answer is replaced") {
  nfs.status = nfs3::Status::not_sync;
  auto reply = send(nfs_record<Procedure::read>({}).view());
  xdr::Reader in{ByteView()};
  header_of(reply, &in);
  CHECK(in.u32() == static_cast<std::uint32_t>(nfs3::Status::io));
  CHECK(dispatcher.stats().of(Procedure::read).errors == 1);
}

TEST_CASE_METHOD(Fixture, "a call sent again is answered with the first reply and not done again") {
  nfs3::CreateArgs args;
  args.where.name = "file";
  Buffer create = nfs_record<Procedure::create>(args, 55);
  std::string first = flat(*send(create.view(), peer(1, 700)));
  nfs.status = nfs3::Status::exist;
  CHECK(flat(*send(create.view(), peer(1, 700))) == first);
  CHECK(flat(*send(create.view(), peer(1, 901))) == first);  // after a new connection
  CHECK(nfs.calls == 1);
  CHECK(dispatcher.stats().of(Procedure::create).repeated == 2);

  // Another client, other credentials or other arguments with that xid: another call.
  (void)send(create.view(), peer(2));
  CHECK(nfs.calls == 2);
  AuthSys other = root();
  other.uid = 5;
  (void)send(nfs_record<Procedure::create>(args, 55, other).view());
  CHECK(nfs.calls == 3);
  args.where.name = "fila";
  (void)send(nfs_record<Procedure::create>(args, 55).view());
  CHECK(nfs.calls == 4);
  // The stamp is renewed by some clients.
  args.where.name = "file";
  AuthSys stamped = root();
  stamped.stamp = 99;
  CHECK(flat(*send(nfs_record<Procedure::create>(args, 55, stamped).view())) == first);
  CHECK(nfs.calls == 4);
}

TEST_CASE_METHOD(Fixture, "harmless calls are done each time") {
  Buffer getattr = nfs_record<Procedure::getattr>({}, 55);
  (void)send(getattr.view());
  (void)send(getattr.view());
  CHECK(nfs.calls == 2);
}

TEST_CASE_METHOD(Fixture, "JUKEBOX is not remembered, so that the same call is tried again") {
  nfs.status = nfs3::Status::jukebox;
  Buffer create = nfs_record<Procedure::create>({}, 55);
  (void)send(create.view());
  nfs.status = nfs3::Status::ok;
  xdr::Reader in{ByteView()};
  auto reply = send(create.view());
  header_of(reply, &in);
  CHECK(in.u32() == 0);
  CHECK(nfs.calls == 2);
  CHECK(dispatcher.stats().of(Procedure::create).retries == 1);
}

TEST_CASE_METHOD(Fixture, "a call sent again while in progress waits for the first one's reply") {
  Signal gate(loop);
  nfs.gate = &gate;
  Buffer create = nfs_record<Procedure::create>({}, 55);
  Answer answers[3];
  bool done[3] = {};
  TaskGroup group;
  for (int i = 0; i < 3; ++i) {
    auto task = run(dispatcher, Buffer::copy_of(create.view()), peer(1), loop.clock().now(),
                    answers[i], done[i]);
    group.start(std::move(task));
  }
  loop.run();
  CHECK(nfs.calls == 1);
  CHECK(group.running() == 3);
  gate.set();
  loop.run();
  REQUIRE(group.running() == 0);
  CHECK(nfs.calls == 1);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(answers[i]);
    CHECK(flat(*answers[i]) == flat(*answers[0]));
  }
}

TEST_CASE_METHOD(Fixture, "latency is from receipt to reply") {
  Signal gate(loop);
  nfs.gate = &gate;
  Answer answer;
  bool done = false;
  TaskGroup group;
  auto task = run(dispatcher, nfs_record<Procedure::getattr>({}), peer(1), loop.clock().now(),
                  answer, done);
  group.start(std::move(task));
  loop.advance(std::chrono::milliseconds(3));
  gate.set();
  loop.run();
  REQUIRE(done);
  const LatencyHistogram& latency = dispatcher.stats().of(Procedure::getattr).latency;
  CHECK(latency.mean() == std::chrono::milliseconds(3));
  CHECK(latency.buckets()[21] == 1);  // 2^21 ns is 2.1 ms
  CHECK(latency.percentile(50) == std::chrono::milliseconds(3));
}

TEST_CASE_METHOD(Fixture, "MOUNT's procedures reach their methods") {
  mount.result.root.size = 4;
  mount.result.flavors = {1};
  mount.export_list = {{"/vm1", {"*"}}};
  mount.mount_list = {{"node1", "/vm1"}};
  xdr::Writer path;
  mount3::encode_path(path, "/vm1");
  auto call = [&](std::uint32_t procedure, ByteView arguments) {
    return send(record({mount3::program, 3, procedure}, arguments).view());
  };
  xdr::Reader in{ByteView()};
  require_accepted(call(0, {}), AcceptStatus::success);
  auto mnt = call(1, path.view());
  header_of(mnt, &in);
  mount3::MntRes res;
  REQUIRE(mount3::decode(in, res));
  CHECK(res.root.size == 4);
  CHECK(mount.last == "mnt /vm1");

  auto dump = call(2, {});
  header_of(dump, &in);
  std::vector<mount3::MountEntry> mounts;
  REQUIRE(mount3::decode(in, mounts));
  REQUIRE(mounts.size() == 1);
  CHECK(mounts[0].hostname == "node1");

  require_accepted(call(3, path.view()), AcceptStatus::success);
  CHECK(mount.last == "umnt /vm1");
  require_accepted(call(4, {}), AcceptStatus::success);
  CHECK(mount.last == "umntall");

  auto exports = call(5, {});
  header_of(exports, &in);
  std::vector<mount3::ExportEntry> entries;
  REQUIRE(mount3::decode(in, entries));
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].groups == std::vector<std::string>{"*"});

  for (std::uint32_t procedure : {0u, 2u, 4u, 5u}) {
    require_accepted(call(procedure, path.view()), AcceptStatus::garbage_args);
  }
  for (std::uint32_t procedure : {1u, 3u})
    require_accepted(call(procedure, {}), AcceptStatus::garbage_args);
  CHECK(dispatcher.stats().mount_calls == 12);
}

TEST_CASE_METHOD(Fixture, "a reply that does not fit a record is SYSTEM_ERR") {
  mount.export_list.assign(300'000, {"/an/export", {}});
  require_accepted(send(record({mount3::program, 3, 5}, {}).view()), AcceptStatus::system_err);
  CHECK(dispatcher.stats().system_err == 1);
  nfs.read_data.assign(max_record_size, 'x');
  require_accepted(send(nfs_record<Procedure::read>({}).view()), AcceptStatus::system_err);
}

TEST_CASE_METHOD(Fixture, "GETPORT tells where each program is over each protocol") {
  dispatcher.set_ports({3049, 3050});
  auto port = [&](std::uint32_t program, std::uint32_t version, std::uint32_t protocol) {
    xdr::Writer out;
    portmap::encode(out, portmap::Mapping{program, version, protocol, 0});
    auto reply = send(record({portmap::program, 2, 3}, out.view()).view());
    xdr::Reader in{ByteView()};
    header_of(reply, &in);
    std::uint32_t answer = 0;
    REQUIRE(portmap::decode_port(in, answer));
    return answer;
  };
  CHECK(port(nfs3::program, 3, 6) == 3049);
  CHECK(port(nfs3::program, 3, 17) == 0);
  CHECK(port(nfs3::program, 4, 6) == 3049);  // the program says PROG_MISMATCH then
  CHECK(port(mount3::program, 3, 6) == 3049);
  CHECK(port(mount3::program, 3, 17) == 3050);
  CHECK(port(portmap::program, 2, 17) == 3050);
  CHECK(port(100021, 4, 6) == 0);
  CHECK(port(nfs3::program, 3, 132) == 0);
}

TEST_CASE_METHOD(Fixture, "GETADDR answers with the host that the caller reached us by") {
  auto address = [&](portmap::Binding asked, std::uint32_t version = 4,
                     std::uint32_t procedure = 3) {
    xdr::Writer out;
    portmap::encode(out, asked);
    auto reply = send(record({portmap::program, version, procedure}, out.view()).view());
    xdr::Reader in{ByteView()};
    header_of(reply, &in);
    std::string answer;
    REQUIRE(portmap::decode_address(in, answer));
    return answer;
  };
  CHECK(address({nfs3::program, 3, "tcp", "192.0.2.7.0.111", ""}) == "192.0.2.7.8.1");
  CHECK(address({nfs3::program, 3, "tcp6", "2001:db8::7.0.111", ""}, 3) == "2001:db8::7.8.1");
  CHECK(address({mount3::program, 3, "udp", "", ""}) == "0.0.0.0.8.1");
  CHECK(address({mount3::program, 3, "udp6", "nonsense", ""}) == "::.8.1");
  CHECK(address({nfs3::program, 3, "udp", "", ""}).empty());
  CHECK(address({nfs3::program, 3, "sctp", "", ""}).empty());
  CHECK(address({4711, 3, "tcp", "", ""}).empty());
  CHECK_FALSE(address({nfs3::program, 4, "tcp", "", ""}).empty());
  CHECK(address({nfs3::program, 4, "tcp", "", ""}, 4, 9).empty());  // GETVERSADDR
  CHECK_FALSE(address({nfs3::program, 3, "tcp", "", ""}, 4, 9).empty());
}

TEST_CASE_METHOD(Fixture, "DUMP lists all programs in both forms") {
  xdr::Reader in{ByteView()};
  auto v2 = send(record({portmap::program, 2, 4}, {}).view());
  header_of(v2, &in);
  std::vector<portmap::Mapping> mappings;
  REQUIRE(portmap::decode(in, mappings));
  CHECK(mappings.size() == 3 * 2 + 1 + 2);
  CHECK(std::count(mappings.begin(), mappings.end(), portmap::Mapping{nfs3::program, 3, 6, 2049}) ==
        1);

  auto v4 = send(record({portmap::program, 4, 4}, {}).view());
  header_of(v4, &in);
  std::vector<portmap::Binding> bindings;
  REQUIRE(portmap::decode(in, bindings));
  CHECK(bindings.size() == 2 * mappings.size());
  dispatcher.set_ports({2049, 0});
  auto tcp_only = send(record({portmap::program, 2, 4}, {}).view());
  header_of(tcp_only, &in);
  REQUIRE(portmap::decode(in, mappings));
  CHECK(mappings.size() == 5);
}

TEST_CASE_METHOD(Fixture, "the size of a reply is foretold from the call") {
  auto expected = [&](const Buffer& call) { return dispatcher.expected_reply_size(call.view()); };
  nfs3::ReadArgs read;
  read.count = 65'536;
  CHECK(expected(nfs_record<Procedure::read>(read)) >= 65'536);
  CHECK(expected(nfs_record<Procedure::read>(read)) < 67'000);
  read.count = 0xffffffff;
  CHECK(expected(nfs_record<Procedure::read>(read)) < (1 << 20) + 1024);
  CHECK(expected(nfs_record<Procedure::getattr>({})) < 1024);
  CHECK(dispatcher.expected_reply_size({}) == 0);
}

}  // namespace
}  // namespace rowan::rpc
