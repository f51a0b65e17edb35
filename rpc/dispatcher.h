// From a call record to a reply (RFC 5531, 9): header, program, version, procedure, arguments,
// service, results. It knows NFS version 3, MOUNT version 3 and the port mapper's protocols, and no
// sockets. Belongs to one strand.
//
// Refusals come in the RFC's order: RPC_MISMATCH, AUTH_ERROR, PROG_UNAVAIL, PROG_MISMATCH,
// PROC_UNAVAIL, GARBAGE_ARGS. SYSTEM_ERR answers a call whose reply would not fit a record.
// AUTH_NONE is let in as nobody: the service decides what nobody may do.
#pragma once

#include <cstdint>
#include <optional>

#include "rpc/base/loop.h"
#include "rpc/call_stats.h"
#include "rpc/message.h"
#include "rpc/nfs3_codec.h"
#include "rpc/record_handler.h"
#include "rpc/reply_cache.h"
#include "rpc/service.h"

namespace rowan::rpc {

// Where all programs are found; the port mapper's answers say so. NFS is served over TCP only. 0:
// not there.
struct ServicePorts {
  std::uint16_t tcp = 0;
  std::uint16_t udp = 0;
};

class Dispatcher final : public RecordHandler {
 public:
  // Borrowed; a program whose service is null is PROG_UNAVAIL (a listener on UDP has no NFS).
  struct Services {
    nfs3::Service* nfs = nullptr;
    mount3::Service* mount = nullptr;
  };

  Dispatcher(Loop& loop, Services services, ServicePorts ports = {}, ReplyCacheLimits limits = {});

  // For listeners that learn their port when they are bound.
  void set_ports(ServicePorts ports) { ports_ = ports; }

  Task<std::optional<Reply>> handle(Buffer record, PeerAddress peer,
                                    MonotonicTime received) override;
  std::size_t expected_reply_size(ByteView record) const override;
  std::size_t bulk_offset(ByteView record) const override;

  const CallStats& stats() const { return stats_; }
  const ReplyCache& reply_cache() const { return reply_cache_; }

 private:
  // One call on its way. `arguments` borrows from `record`.
  struct Call {
    Buffer record;
    ByteView arguments;
    CallContext context;
    std::uint32_t procedure = 0;
  };
  using Answer = Task<std::optional<Reply>>;
  using NfsHandler = Answer (Dispatcher::*)(Call);

  Answer refuse_header(CallState state, std::uint32_t xid);
  Answer refuse(std::uint32_t xid, AcceptStatus status);
  Answer refuse_version(std::uint32_t xid, std::uint32_t low, std::uint32_t high);
  Answer succeed(std::uint32_t xid);
  Answer garbage(const Call& call, std::string_view what, const char* why);
  Reply checked(Reply reply, std::uint32_t xid, std::string_view what);

  Answer route(const CallHeader& header, Call call);
  Answer route_nfs(std::uint32_t version, Call call);
  template <nfs3::Procedure P>
  Answer serve(Call call);
  template <nfs3::Procedure P>
  Task<Reply> perform(const Call& call, const typename nfs3::Traits<P>::Args& args, bool& keep);
  template <std::size_t... index>
  static constexpr auto nfs_table(std::index_sequence<index...>);

  Answer route_mount(std::uint32_t version, Call call);
  Answer mount_mnt(Call call);
  Answer mount_umnt(Call call);
  Answer mount_list(Call call);

  Answer route_portmap(std::uint32_t version, Call call);
  Answer portmap_v2(Call call);
  Answer portmap_v34(std::uint32_t version, Call call);

  Loop* loop_;
  Services services_;
  ServicePorts ports_;
  CallStats stats_;
  ReplyCache reply_cache_;
};

}  // namespace rowan::rpc
