#include "rpc/dispatcher.h"

#include <string>
#include <utility>

#include "rpc/base/log.h"
#include "rpc/mount3_codec.h"
#include "rpc/portmap.h"
#include "rpc/record.h"

// The programs: dispatcher_nfs.cc, dispatcher_mount.cc, dispatcher_portmap.cc. What can be answered
// at once is answered by a coroutine that never waits, so that handle() itself costs no frame.

namespace rowan::rpc {
namespace {

Task<std::optional<Reply>> answer(std::optional<Reply> reply) { co_return std::move(reply); }

Task<std::optional<Reply>> answer(xdr::Writer& out) {
  Reply reply;
  reply.head = out.take();
  return answer(std::optional<Reply>(std::move(reply)));
}

}  // namespace

Dispatcher::Dispatcher(Loop& loop, Services services, ServicePorts ports, ReplyCacheLimits limits)
    : loop_(&loop), services_(services), ports_(ports), reply_cache_(loop, limits) {}

Task<std::optional<Reply>> Dispatcher::handle(Buffer record, PeerAddress peer,
                                              MonotonicTime received) {
  CallHeader header;
  xdr::Reader in(record.view());
  CallState state = decode_call(in, header);
  if (state != CallState::ok) return refuse_header(state, header.xid);

  Call call;
  AuthStatus status = authenticate(header.credential, call.context.credentials);
  if (status != AuthStatus::ok) {
    ++stats_.auth_errors;
    xdr::Writer out;
    encode_auth_error(out, header.xid, status);
    return answer(out);
  }
  call.arguments = record.view().last(in.left());
  call.record = std::move(record);
  call.context.peer = peer;
  call.context.xid = header.xid;
  call.context.received = received;
  call.procedure = header.procedure;
  return route(header, std::move(call));
}

Dispatcher::Answer Dispatcher::route(const CallHeader& header, Call call) {
  std::uint32_t version = header.version;
  switch (header.program) {
    case nfs3::program:
      if (services_.nfs == nullptr) break;
      return route_nfs(version, std::move(call));
    case mount3::program:
      if (services_.mount == nullptr) break;
      return route_mount(version, std::move(call));
    case portmap::program: return route_portmap(version, std::move(call));
    default: break;
  }
  ++stats_.prog_unavail;
  return refuse(header.xid, AcceptStatus::prog_unavail);
}

Dispatcher::Answer Dispatcher::refuse_header(CallState state, std::uint32_t xid) {
  xdr::Writer out;
  switch (state) {
    case CallState::rpc_mismatch:
      ++stats_.rpc_mismatch;
      encode_rpc_mismatch(out, xid);
      return answer(out);
    case CallState::truncated:
      ++stats_.garbage_args;
      return refuse(xid, AcceptStatus::garbage_args);
    case CallState::bad_cred:
    case CallState::bad_verf: {
      ++stats_.auth_errors;
      bool credential = state == CallState::bad_cred;
      encode_auth_error(out, xid, credential ? AuthStatus::bad_cred : AuthStatus::bad_verf);
      return answer(out);
    }
    case CallState::ok:
    case CallState::not_a_call: break;
  }
  ++stats_.not_calls;
  return answer(std::optional<Reply>());
}

Dispatcher::Answer Dispatcher::refuse(std::uint32_t xid, AcceptStatus status) {
  if (status == AcceptStatus::proc_unavail) ++stats_.proc_unavail;
  xdr::Writer out;
  encode_accepted(out, xid, status);
  return answer(out);
}

Dispatcher::Answer Dispatcher::refuse_version(std::uint32_t xid, std::uint32_t low,
                                              std::uint32_t high) {
  ++stats_.prog_mismatch;
  xdr::Writer out;
  encode_prog_mismatch(out, xid, low, high);
  return answer(out);
}

Dispatcher::Answer Dispatcher::succeed(std::uint32_t xid) {
  xdr::Writer out;
  encode_success(out, xid);
  return answer(out);
}

Dispatcher::Answer Dispatcher::garbage(const Call& call, std::string_view what, const char* why) {
  ++stats_.garbage_args;
  log(Level::debug, "rpc.garbage_args",
      {{"peer", ip_to_string(call.context.peer)}, {"procedure", what}, {"why", why}});
  return refuse(call.context.xid, AcceptStatus::garbage_args);
}

// No service makes such a reply; if one does, its client shall not wait for ever.
Reply Dispatcher::checked(Reply reply, std::uint32_t xid, std::string_view what) {
  if (reply.size() <= max_record_size) return reply;
  ++stats_.system_err;
  log(Level::error, "rpc.reply_too_large", {{"procedure", what}, {"bytes", reply.size()}});
  xdr::Writer out;
  encode_accepted(out, xid, AcceptStatus::system_err);
  Reply refusal;
  refusal.head = out.take();
  return refusal;
}

std::size_t Dispatcher::expected_reply_size(ByteView record) const {
  constexpr std::size_t small = 512;
  // Where program and procedure stand in every call (RFC 5531, 9). Nothing else is looked at: a
  // call that turns out malformed has reserved too much, for as long as its refusal takes.
  constexpr std::size_t program_at = 12, procedure_at = 20, fixed_size = 24;
  if (record.size() < fixed_size + 4) return record.empty() ? 0 : small;
  if (load_be<std::uint32_t>(record.data() + program_at) != nfs3::program) return small;
  std::uint32_t bytes = 0;
  switch (static_cast<nfs3::Procedure>(load_be<std::uint32_t>(record.data() + procedure_at))) {
    case nfs3::Procedure::readlink: bytes = nfs3::name_decode_limit; break;
    // The count is the last word of all three.
    case nfs3::Procedure::read:
    case nfs3::Procedure::readdir:
    case nfs3::Procedure::readdirplus:
      bytes = load_be<std::uint32_t>(record.data() + record.size() - 4);
      break;
    default: break;
  }
  return small + std::min(bytes, nfs3::max_transfer_size);
}

}  // namespace rowan::rpc
