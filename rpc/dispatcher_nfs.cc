// NFS version 3 in the dispatcher: one template instance per procedure, found by table.
#include <array>
#include <utility>

#include "rpc/dispatcher.h"
#include "rpc/nfs3_status.h"

namespace rowan::rpc {
namespace {

using nfs3::Codec;
using nfs3::Procedure;
using nfs3::Service;

template <Procedure P>
constexpr auto method() {
  if constexpr (P == Procedure::getattr) return &Service::getattr;
  else if constexpr (P == Procedure::setattr) return &Service::setattr;
  else if constexpr (P == Procedure::lookup) return &Service::lookup;
  else if constexpr (P == Procedure::access) return &Service::access;
  else if constexpr (P == Procedure::readlink) return &Service::readlink;
  else if constexpr (P == Procedure::read) return &Service::read;
  else if constexpr (P == Procedure::write) return &Service::write;
  else if constexpr (P == Procedure::create) return &Service::create;
  else if constexpr (P == Procedure::mkdir) return &Service::mkdir;
  else if constexpr (P == Procedure::symlink) return &Service::symlink;
  else if constexpr (P == Procedure::mknod) return &Service::mknod;
  else if constexpr (P == Procedure::remove) return &Service::remove;
  else if constexpr (P == Procedure::rmdir) return &Service::rmdir;
  else if constexpr (P == Procedure::rename) return &Service::rename;
  else if constexpr (P == Procedure::link) return &Service::link;
  else if constexpr (P == Procedure::readdir) return &Service::readdir;
  else if constexpr (P == Procedure::readdirplus) return &Service::readdirplus;
  else if constexpr (P == Procedure::fsstat) return &Service::fsstat;
  else if constexpr (P == Procedure::fsinfo) return &Service::fsinfo;
  else if constexpr (P == Procedure::pathconf) return &Service::pathconf;
  else return &Service::commit;
}

// Bytes that the reply takes at most, so that its writer need not grow; 256 and 512 are pool sizes.
template <Procedure P>
std::size_t reply_size(const typename Codec<P>::Res& res) {
  if constexpr (P == Procedure::readdir || P == Procedure::readdirplus) {
    std::size_t size = success_header_size + nfs3::encoded_overhead(true);
    for (const auto& entry : res.entries) size += encoded_size(entry, P == Procedure::readdirplus);
    return size;
  } else if constexpr (P == Procedure::readlink) {
    return 256 + res.target.size();
  } else if constexpr (P == Procedure::getattr || P == Procedure::access || P == Procedure::read) {
    return 256;
  } else {
    return 512;
  }
}

template <Procedure P>
Reply encode_reply(std::uint32_t xid, typename Codec<P>::Res& res) {
  xdr::Writer out(reply_size<P>(res));
  encode_success(out, xid);
  Reply reply;
  if constexpr (P == Procedure::read) {
    nfs3::encode_read_head(out, res);
    if (res.status == nfs3::Status::ok) reply.body = std::move(res.data);
  } else {
    Codec<P>::encode_res(out, res);
  }
  reply.head = out.take();
  return reply;
}

// From here on it costs more to copy data than to keep the record that it came in.
constexpr std::size_t worth_keeping = 64u << 10;

Reply copy_of(ByteView head) {
  Reply reply;
  reply.head = Buffer::copy_of(head);
  return reply;
}

}  // namespace

template <Procedure P>
Task<Reply> Dispatcher::perform(const Call& call, const typename nfs3::Traits<P>::Args& args,
                                bool& keep) {
  auto task = (services_.nfs->*method<P>())(call.context, args);
  auto res = co_await task;
  res.status = nfs3::allowed_status(P, res.status);
  keep = res.status != nfs3::Status::jukebox;
  Reply reply = encode_reply<P>(call.context.xid, res);
  reply = checked(std::move(reply), call.context.xid, nfs3::to_string(P));
  stats_.served(P, res.status, loop_->clock().now() - call.context.received);
  co_return std::move(reply);
}

template <Procedure P>
Dispatcher::Answer Dispatcher::serve(Call call) {
  typename Codec<P>::Args args;
  xdr::Reader in(call.arguments);
  if (!Codec<P>::decode_args(in, args)) {
    ++stats_.of(P).garbage;
    Answer refusal = garbage(call, nfs3::to_string(P), in.failure());
    co_return co_await refusal;
  }
  if constexpr (P == Procedure::write) {
    if (args.data.size() >= worth_keeping)
      args.data_owner = std::make_shared<const Buffer>(std::move(call.record));
  }
  bool keep = false;
  if constexpr (!is_remembered(P)) {
    Task<Reply> task = perform<P>(call, args, keep);
    co_return co_await task;
  } else {
    CallKey key = call_key(call.context, P, call.arguments);
    ReplyCache::Arrival arrival = reply_cache_.arrive(key, loop_->clock().now());
    if (arrival.state == ReplyCache::State::in_progress) {
      Signal& finished = reply_cache_.join(arrival.ticket);
      co_await finished.wait();
      Reply reply = copy_of(reply_cache_.reply(arrival.ticket));
      reply_cache_.leave(arrival.ticket);
      ++stats_.of(P).repeated;
      co_return std::move(reply);
    }
    if (arrival.state == ReplyCache::State::done) {
      ++stats_.of(P).repeated;
      co_return copy_of(reply_cache_.reply(arrival.ticket));
    }
    Task<Reply> task = perform<P>(call, args, keep);
    Reply reply = co_await task;
    if (arrival.state == ReplyCache::State::fresh) {
      reply_cache_.finish(arrival.ticket, reply.head.view(), keep, loop_->clock().now());
    }
    co_return std::move(reply);
  }
}

template <std::size_t... index>
constexpr auto Dispatcher::nfs_table(std::index_sequence<index...>) {
  return std::array<NfsHandler, sizeof...(index)>{
      &Dispatcher::serve<static_cast<Procedure>(index + 1)>...};
}

Dispatcher::Answer Dispatcher::route_nfs(std::uint32_t version, Call call) {
  if (version != nfs3::version) {
    return refuse_version(call.context.xid, nfs3::version, nfs3::version);
  }
  if (call.procedure >= nfs3::procedure_count) {
    return refuse(call.context.xid, AcceptStatus::proc_unavail);
  }
  if (call.procedure == static_cast<std::uint32_t>(Procedure::null)) {
    if (!call.arguments.empty()) return garbage(call, "NULL", "bytes are left over");
    Duration latency = loop_->clock().now() - call.context.received;
    stats_.served(Procedure::null, nfs3::Status::ok, latency);
    return succeed(call.context.xid);
  }
  static constexpr auto table =
      nfs_table(std::make_index_sequence<nfs3::procedure_count - 1>());
  NfsHandler handler = table[call.procedure - 1];
  return (this->*handler)(std::move(call));
}

std::size_t Dispatcher::bulk_offset(ByteView record) const {
  CallHeader header;
  xdr::Reader in(record);
  if (decode_call(in, header) != CallState::ok || header.program != nfs3::program ||
      header.procedure != static_cast<std::uint32_t>(Procedure::write))
    return 0;
  nfs3::WriteArgs args;
  if (!Codec<Procedure::write>::decode_args(in, args) || args.data.size() < worth_keeping) return 0;
  return static_cast<std::size_t>(args.data.data() - record.data());
}

}  // namespace rowan::rpc
