#include "rpc/message.h"

#include <string>

namespace rowan::rpc {
namespace {

// The denied and the accepted branch of reply_body (RFC 5531, 9).
enum class ReplyStatus : std::uint32_t { accepted = 0, denied = 1 };
enum class RejectStatus : std::uint32_t { rpc_mismatch = 0, auth_error = 1 };

void begin_reply(xdr::Writer& out, std::uint32_t xid, ReplyStatus status) {
  out.u32(xid);
  out.enumeration(MessageType::reply);
  out.enumeration(status);
}

void begin_accepted(xdr::Writer& out, std::uint32_t xid, AcceptStatus status) {
  begin_reply(out, xid, ReplyStatus::accepted);
  out.enumeration(AuthFlavor::none);  // the verifier: none, and no body
  out.u32(0);
  out.enumeration(status);
}

bool decode_auth(xdr::Reader& in, OpaqueAuth& auth) {
  auth.flavor = static_cast<AuthFlavor>(in.u32());  // any number: flavors are open-ended
  auth.body = in.opaque(max_auth_body);
  return in.ok();
}

void encode_auth(xdr::Writer& out, const OpaqueAuth& auth) {
  CHECK_LE(auth.body.size(), max_auth_body);
  out.enumeration(auth.flavor);
  out.opaque(auth.body);
}

void decode_accepted(xdr::Reader& in, ReplyHeader& reply) {
  reply.outcome = ReplyHeader::Outcome::accepted;
  decode_auth(in, reply.verifier);
  reply.status = in.enumeration(AcceptStatus::success, AcceptStatus::system_err);
  if (reply.status == AcceptStatus::prog_mismatch) {
    reply.low = in.u32();
    reply.high = in.u32();
  }
}

void decode_denied(xdr::Reader& in, ReplyHeader& reply) {
  if (in.enumeration(RejectStatus::rpc_mismatch, RejectStatus::auth_error) ==
      RejectStatus::rpc_mismatch) {
    reply.outcome = ReplyHeader::Outcome::rpc_mismatch;
    reply.low = in.u32();
    reply.high = in.u32();
  } else {
    reply.outcome = ReplyHeader::Outcome::auth_error;
    reply.why =
        static_cast<AuthStatus>(in.u32());  // open-ended: RPCSEC_GSS and Kerberos have added some
  }
}

std::string version_range(const ReplyHeader& reply) {
  return std::to_string(reply.low) + " to " + std::to_string(reply.high);
}

}  // namespace

std::string_view to_string(AcceptStatus status) {
  switch (status) {
    case AcceptStatus::success: return "SUCCESS";
    case AcceptStatus::prog_unavail: return "PROG_UNAVAIL";
    case AcceptStatus::prog_mismatch: return "PROG_MISMATCH";
    case AcceptStatus::proc_unavail: return "PROC_UNAVAIL";
    case AcceptStatus::garbage_args: return "GARBAGE_ARGS";
    case AcceptStatus::system_err: return "SYSTEM_ERR";
  }
  return "unknown accept status";
}

std::string_view to_string(AuthStatus status) {
  switch (status) {
    case AuthStatus::ok: return "AUTH_OK";
    case AuthStatus::bad_cred: return "AUTH_BADCRED";
    case AuthStatus::rejected_cred: return "AUTH_REJECTEDCRED";
    case AuthStatus::bad_verf: return "AUTH_BADVERF";
    case AuthStatus::rejected_verf: return "AUTH_REJECTEDVERF";
    case AuthStatus::too_weak: return "AUTH_TOOWEAK";
    case AuthStatus::invalid_resp: return "AUTH_INVALIDRESP";
    case AuthStatus::failed: return "AUTH_FAILED";
  }
  return "unknown authentication status";
}

bool decode_auth_sys(ByteView body, AuthSys& auth) {
  xdr::Reader in(body);
  auth.stamp = in.u32();
  auth.machine = in.text(max_machine_name);
  auth.uid = in.u32();
  auth.gid = in.u32();
  auth.groups.clear();
  std::uint32_t count = in.count(max_groups, 4);
  for (std::uint32_t i = 0; i < count; ++i) auth.groups.push_back(in.u32());
  return in.finish();
}

void encode_auth_sys(xdr::Writer& out, const AuthSys& auth) {
  CHECK_LE(auth.machine.size(), max_machine_name);
  out.u32(auth.stamp);
  out.text(auth.machine);
  out.u32(auth.uid);
  out.u32(auth.gid);
  out.count(auth.groups.size());
  for (std::uint32_t group : auth.groups) out.u32(group);
}

CallState decode_call(xdr::Reader& in, CallHeader& call) {
  call.xid = in.u32();
  std::uint32_t type = in.u32();
  if (!in.ok() || type != static_cast<std::uint32_t>(MessageType::call)) {
    return CallState::not_a_call;
  }
  std::uint32_t version = in.u32();
  if (in.ok() && version != rpc_version) return CallState::rpc_mismatch;
  call.program = in.u32();
  call.version = in.u32();
  call.procedure = in.u32();
  if (!in.ok()) return CallState::truncated;
  if (!decode_auth(in, call.credential)) return CallState::bad_cred;
  if (!decode_auth(in, call.verifier)) return CallState::bad_verf;
  return CallState::ok;
}

void encode_call(xdr::Writer& out, const CallHeader& call) {
  out.u32(call.xid);
  out.enumeration(MessageType::call);
  out.u32(rpc_version);
  out.u32(call.program);
  out.u32(call.version);
  out.u32(call.procedure);
  encode_auth(out, call.credential);
  encode_auth(out, call.verifier);
}

AuthStatus authenticate(const OpaqueAuth& credential, Credentials& who) {
  if (credential.flavor == AuthFlavor::none) {
    who = Credentials{};
    return AuthStatus::ok;
  }
  if (credential.flavor != AuthFlavor::sys) return AuthStatus::bad_cred;
  AuthSys auth;
  if (!decode_auth_sys(credential.body, auth)) return AuthStatus::bad_cred;
  who.uid = auth.uid;
  who.gid = auth.gid;
  who.groups = auth.groups;
  who.authenticated = true;
  return AuthStatus::ok;
}

void encode_success(xdr::Writer& out, std::uint32_t xid) {
  begin_accepted(out, xid, AcceptStatus::success);
}

void encode_accepted(xdr::Writer& out, std::uint32_t xid, AcceptStatus status) {
  CHECK(status != AcceptStatus::success && status != AcceptStatus::prog_mismatch);
  begin_accepted(out, xid, status);
}

void encode_prog_mismatch(xdr::Writer& out, std::uint32_t xid, std::uint32_t low,
                          std::uint32_t high) {
  begin_accepted(out, xid, AcceptStatus::prog_mismatch);
  out.u32(low);
  out.u32(high);
}

void encode_rpc_mismatch(xdr::Writer& out, std::uint32_t xid) {
  begin_reply(out, xid, ReplyStatus::denied);
  out.enumeration(RejectStatus::rpc_mismatch);
  out.u32(rpc_version);
  out.u32(rpc_version);
}

void encode_auth_error(xdr::Writer& out, std::uint32_t xid, AuthStatus status) {
  begin_reply(out, xid, ReplyStatus::denied);
  out.enumeration(RejectStatus::auth_error);
  out.enumeration(status);
}

bool decode_reply(xdr::Reader& in, ReplyHeader& reply) {
  reply.xid = in.u32();
  in.enumeration(MessageType::reply, MessageType::reply);
  if (in.enumeration(ReplyStatus::accepted, ReplyStatus::denied) == ReplyStatus::accepted) {
    decode_accepted(in, reply);
    if (reply.status == AcceptStatus::success) return in.ok();
  } else {
    decode_denied(in, reply);
  }
  return in.finish();
}

Result<void> to_result(const ReplyHeader& reply) {
  if (reply.outcome == ReplyHeader::Outcome::rpc_mismatch) {
    return Error(Errc::not_supported, "the server speaks RPC versions " + version_range(reply));
  }
  if (reply.outcome == ReplyHeader::Outcome::auth_error) {
    return Error(Errc::access, "the server refuses our credentials (" +
                                   std::string(to_string(reply.why)) + ")");
  }
  std::string name(to_string(reply.status));
  switch (reply.status) {
    case AcceptStatus::success: return {};
    case AcceptStatus::prog_mismatch:
      return Error(Errc::not_supported,
                   "the server has versions " + version_range(reply) + " of the program");
    case AcceptStatus::garbage_args:
      return Error(Errc::malformed, "the server cannot read our arguments (" + name + ")");
    case AcceptStatus::system_err:
      return Error(Errc::server_fault, "the server reports " + name);
    case AcceptStatus::prog_unavail:
    case AcceptStatus::proc_unavail: break;
  }
  return Error(Errc::not_supported, "the server does not offer what was asked (" + name + ")");
}

}  // namespace rowan::rpc
