#include "rpc/message.h"

#include <string>

#include "tests/support/catch.h"

namespace rowan::rpc {
namespace {

CallHeader sample_call(ByteView credential) {
  CallHeader call;
  call.xid = 0xdeadbeef;
  call.program = 100003;
  call.version = 3;
  call.procedure = 6;
  call.credential.flavor = AuthFlavor::sys;
  call.credential.body = credential;
  return call;
}

AuthSys sample_auth(std::size_t groups = 3) {
  AuthSys auth;
  auth.stamp = 7;
  auth.machine = "node1";
  auth.uid = 1000;
  auth.gid = 100;
  for (std::uint32_t i = 0; i < groups; ++i) auth.groups.push_back(i + 1);
  return auth;
}

CallState decode(ByteView wire) {
  xdr::Reader in(wire);
  CallHeader call;
  return decode_call(in, call);
}

TEST_CASE("a call header survives the wire") {
  xdr::Writer credential;
  encode_auth_sys(credential, sample_auth());
  xdr::Writer out;
  encode_call(out, sample_call(credential.view()));
  out.u32(42);

  xdr::Reader in(out.view());
  CallHeader call;
  REQUIRE(decode_call(in, call) == CallState::ok);
  CHECK(call.xid == 0xdeadbeef);
  CHECK(call.program == 100003);
  CHECK(call.version == 3);
  CHECK(call.procedure == 6);
  CHECK(call.verifier.flavor == AuthFlavor::none);
  CHECK(in.u32() == 42);
  CHECK(in.finish());

  Credentials who;
  REQUIRE(authenticate(call.credential, who) == AuthStatus::ok);
  CHECK(who.uid == 1000);
  CHECK(who.gid == 100);
  CHECK(who.groups == GroupList{1, 2, 3});
  CHECK(who.authenticated);
}

TEST_CASE("each cut of a call header has its own answer") {
  xdr::Writer credential;
  encode_auth_sys(credential, sample_auth());
  xdr::Writer out;
  encode_call(out, sample_call(credential.view()));
  std::size_t verifier_at = out.size() - 8;
  for (std::size_t cut = 0; cut < out.size(); ++cut) {
    CAPTURE(cut);
    CallState want = cut < 8             ? CallState::not_a_call
                     : cut < 24          ? CallState::truncated
                     : cut < verifier_at ? CallState::bad_cred
                                         : CallState::bad_verf;
    REQUIRE(decode(out.view().first(cut)) == want);
  }
  CHECK(decode(out.view()) == CallState::ok);
}

TEST_CASE("a reply is not a call and neither is any other message type") {
  for (std::uint32_t type : {1u, 2u, 0xffffffffu}) {
    xdr::Writer out;
    encode_call(out, sample_call({}));
    out.patch_u32(4, type);
    CHECK(decode(out.view()) == CallState::not_a_call);
  }
}

TEST_CASE("another RPC version is told apart whatever follows it") {
  for (std::uint32_t version : {0u, 1u, 3u, 0xffffffffu}) {
    xdr::Writer out;
    encode_call(out, sample_call({}));
    out.patch_u32(8, version);
    CHECK(decode(out.view()) == CallState::rpc_mismatch);
    CHECK(decode(out.view().first(12)) == CallState::rpc_mismatch);
  }
}

TEST_CASE("an authentication body of 400 bytes passes and a longer one does not") {
  std::string body(404, 'c');
  xdr::Writer out;
  CallHeader call = sample_call(as_bytes(body).first(400));
  encode_call(out, call);
  CHECK(decode(out.view()) == CallState::ok);

  std::size_t credential_at = 24;
  xdr::Writer longer;
  longer.raw(out.view().first(credential_at));
  longer.u32(1);
  longer.text(std::string_view(body).substr(0, 401));
  longer.u32(0);
  longer.u32(0);
  CHECK(decode(longer.view()) == CallState::bad_cred);

  xdr::Writer verifier;
  verifier.raw(out.view().first(credential_at));
  verifier.u32(0);
  verifier.u32(0);
  verifier.u32(0);
  verifier.text(std::string_view(body).substr(0, 401));
  CHECK(decode(verifier.view()) == CallState::bad_verf);
}

TEST_CASE("AUTH_SYS takes sixteen groups and a machine name of 255 bytes and no more") {
  std::string machine(255, 'm');
  AuthSys auth = sample_auth(16);
  auth.machine = machine;
  xdr::Writer out;
  encode_auth_sys(out, auth);
  AuthSys back;
  REQUIRE(decode_auth_sys(out.view(), back));
  CHECK(back.groups == auth.groups);
  CHECK(back.machine == machine);
  CHECK(back.stamp == 7);

  xdr::Writer seventeen;
  encode_auth_sys(seventeen, auth);
  seventeen.patch_u32(4 + 4 + 256 + 8, 17);
  seventeen.u32(17);
  CHECK_FALSE(decode_auth_sys(seventeen.view(), back));

  xdr::Writer name;
  name.u32(0);
  name.text(std::string(256, 'm'));
  name.u32(0);
  name.u32(0);
  name.u32(0);
  CHECK_FALSE(decode_auth_sys(name.view(), back));
}

TEST_CASE("AUTH_SYS cut at any byte or with bytes left over is a bad credential") {
  xdr::Writer out;
  encode_auth_sys(out, sample_auth());
  Credentials who;
  for (std::size_t cut = 0; cut < out.size(); ++cut) {
    CHECK(authenticate({AuthFlavor::sys, out.view().first(cut)}, who) == AuthStatus::bad_cred);
  }
  out.u32(0);
  CHECK(authenticate({AuthFlavor::sys, out.view()}, who) == AuthStatus::bad_cred);
}

TEST_CASE("AUTH_NONE arrives as nobody and unknown flavors are bad credentials") {
  Credentials who;
  who.uid = 0;
  who.groups = {0};
  who.authenticated = true;
  REQUIRE(authenticate({AuthFlavor::none, {}}, who) == AuthStatus::ok);
  CHECK(who.uid == nobody_id);
  CHECK(who.gid == nobody_id);
  CHECK(who.groups.empty());
  CHECK_FALSE(who.authenticated);
  for (std::uint32_t flavor : {2u, 3u, 6u, 7u, 390003u}) {
    CHECK(authenticate({static_cast<AuthFlavor>(flavor), {}}, who) == AuthStatus::bad_cred);
  }
}

template <class Encode>
ReplyHeader round_trip(Encode encode) {
  xdr::Writer out;
  encode(out);
  xdr::Reader in(out.view());
  ReplyHeader reply;
  REQUIRE(decode_reply(in, reply));
  REQUIRE(in.finish());
  CHECK(reply.xid == 5);
  for (std::size_t cut = 0; cut < out.size(); ++cut) {
    xdr::Reader part(out.view().first(cut));
    ReplyHeader ignored;
    REQUIRE_FALSE(decode_reply(part, ignored));
  }
  return reply;
}

TEST_CASE("every accepted reply survives the wire and becomes its error") {
  auto success = round_trip([](xdr::Writer& out) { encode_success(out, 5); });
  CHECK(success.status == AcceptStatus::success);
  CHECK(to_result(success).has_value());

  struct Row {
    AcceptStatus status;
    Errc code;
  };
  for (Row row : {Row{AcceptStatus::prog_unavail, Errc::not_supported},
                  Row{AcceptStatus::proc_unavail, Errc::not_supported},
                  Row{AcceptStatus::garbage_args, Errc::malformed},
                  Row{AcceptStatus::system_err, Errc::server_fault}}) {
    auto reply = round_trip([&](xdr::Writer& out) { encode_accepted(out, 5, row.status); });
    CHECK(reply.status == row.status);
    CHECK(to_result(reply).failed_with(row.code));
  }
  auto mismatch = round_trip([](xdr::Writer& out) { encode_prog_mismatch(out, 5, 3, 4); });
  CHECK(mismatch.status == AcceptStatus::prog_mismatch);
  CHECK(mismatch.low == 3);
  CHECK(mismatch.high == 4);
  CHECK(to_result(mismatch).failed_with(Errc::not_supported));
}

TEST_CASE("both denied replies survive the wire and become their errors") {
  auto version = round_trip([](xdr::Writer& out) { encode_rpc_mismatch(out, 5); });
  CHECK(version.outcome == ReplyHeader::Outcome::rpc_mismatch);
  CHECK(version.low == 2);
  CHECK(version.high == 2);
  CHECK(to_result(version).failed_with(Errc::not_supported));
  for (std::uint32_t why = 1; why <= 7; ++why) {
    auto status = static_cast<AuthStatus>(why);
    auto denied = round_trip([&](xdr::Writer& out) { encode_auth_error(out, 5, status); });
    CHECK(denied.outcome == ReplyHeader::Outcome::auth_error);
    CHECK(denied.why == status);
    auto result = to_result(denied);
    REQUIRE(result.failed_with(Errc::access));
    CHECK(result.error().detail.find(to_string(status)) != std::string::npos);
  }
}

TEST_CASE("a reply with bytes after a refusal, an unknown state or of another type is refused") {
  ReplyHeader reply;
  xdr::Writer trailing;
  encode_accepted(trailing, 5, AcceptStatus::garbage_args);
  trailing.u32(0);
  xdr::Reader after(trailing.view());
  CHECK_FALSE(decode_reply(after, reply));
  struct Row {
    std::size_t offset;
    std::uint32_t value;
  };
  for (Row row : {Row{4, 0}, Row{4, 2}, Row{8, 2}, Row{20, 6}, Row{16, 401}}) {
    xdr::Writer out;
    encode_success(out, 5);
    out.patch_u32(row.offset, row.value);
    xdr::Reader in(out.view());
    CHECK_FALSE(decode_reply(in, reply));
  }
}

TEST_CASE("a success header has the size that is announced") {
  xdr::Writer out;
  encode_success(out, 1);
  CHECK(out.size() == success_header_size);
}

}  // namespace
}  // namespace rowan::rpc
