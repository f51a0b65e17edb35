// MOUNT version 3 in the dispatcher (RFC 1813, 5.2).
#include <utility>

#include "rpc/dispatcher.h"
#include "rpc/mount3_codec.h"

namespace rowan::rpc {
namespace {

Reply finished(xdr::Writer& out) {
  Reply reply;
  reply.head = out.take();
  return reply;
}

}  // namespace

Dispatcher::Answer Dispatcher::route_mount(std::uint32_t version, Call call) {
  std::uint32_t xid = call.context.xid;
  if (version != mount3::version) return refuse_version(xid, mount3::version, mount3::version);
  if (call.procedure >= mount3::procedure_count) return refuse(xid, AcceptStatus::proc_unavail);
  ++stats_.mount_calls;
  using enum mount3::Procedure;
  auto procedure = static_cast<mount3::Procedure>(call.procedure);
  if (procedure == mnt) return mount_mnt(std::move(call));
  if (procedure == umnt) return mount_umnt(std::move(call));
  if (!call.arguments.empty()) return garbage(call, "MOUNT", "bytes are left over");
  if (procedure == null) return succeed(xid);
  return mount_list(std::move(call));
}

Dispatcher::Answer Dispatcher::mount_mnt(Call call) {
  std::string_view path;
  xdr::Reader in(call.arguments);
  if (!mount3::decode_path(in, path)) {
    Answer refusal = garbage(call, "MOUNT MNT", in.failure());
    co_return co_await refusal;
  }
  Task<mount3::MntRes> task = services_.mount->mnt(call.context, path);
  mount3::MntRes res = co_await task;
  xdr::Writer out;
  encode_success(out, call.context.xid);
  mount3::encode(out, res);
  co_return finished(out);
}

Dispatcher::Answer Dispatcher::mount_umnt(Call call) {
  std::string_view path;
  xdr::Reader in(call.arguments);
  if (!mount3::decode_path(in, path)) {
    Answer refusal = garbage(call, "MOUNT UMNT", in.failure());
    co_return co_await refusal;
  }
  Task<void> task = services_.mount->umnt(call.context, path);
  co_await task;
  xdr::Writer out;
  encode_success(out, call.context.xid);
  co_return finished(out);
}

// The three without arguments.
Dispatcher::Answer Dispatcher::mount_list(Call call) {
  xdr::Writer out;
  encode_success(out, call.context.xid);
  switch (static_cast<mount3::Procedure>(call.procedure)) {
    case mount3::Procedure::dump: {
      Task<std::vector<mount3::MountEntry>> task = services_.mount->dump(call.context);
      std::vector<mount3::MountEntry> entries = co_await task;
      mount3::encode(out, entries);
      break;
    }
    case mount3::Procedure::exports: {
      Task<std::vector<mount3::ExportEntry>> task = services_.mount->exports(call.context);
      std::vector<mount3::ExportEntry> entries = co_await task;
      mount3::encode(out, entries);
      break;
    }
    default: {
      Task<void> task = services_.mount->umntall(call.context);
      co_await task;
      break;
    }
  }
  co_return checked(finished(out), call.context.xid, "MOUNT DUMP or EXPORT");
}

}  // namespace rowan::rpc
