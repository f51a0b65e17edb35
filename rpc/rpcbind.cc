#include "rpc/rpcbind.h"

#include <netconfig.h>
#include <netdb.h>
#include <netinet/in.h>
#include <rpc/rpc.h>
#include <rpc/rpcb_clnt.h>

#include <memory>
#include <string>

namespace rowan::rpc {
namespace {

struct NetconfigDeleter {
  void operator()(netconfig* config) const { freenetconfigent(config); }
};
using Netconfig = std::unique_ptr<netconfig, NetconfigDeleter>;

Netconfig transport(bool udp) { return Netconfig(getnetconfigent(udp ? "udp" : "tcp")); }

sockaddr_in any_address(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  return address;
}

std::string name_of(const Registration& wanted) {
  return "program " + std::to_string(wanted.program) + " version " +
         std::to_string(wanted.version) + (wanted.udp ? " on UDP port " : " on TCP port ") +
         std::to_string(wanted.port);
}

// The port that is registered; 0: none.
std::uint16_t registered_port(const netconfig& config, const Registration& wanted) {
  sockaddr_in address{};
  netbuf buffer{sizeof address, sizeof address, &address};
  auto* mutable_config = const_cast<netconfig*>(&config);
  char host[] = "localhost";
  bool found = rpcb_getaddr(wanted.program, wanted.version, mutable_config, &buffer, host);
  return found ? ntohs(address.sin_port) : 0;
}

Result<void> register_one(const Registration& wanted) {
  Netconfig config = transport(wanted.udp);
  if (!config) {
    return Error(Errc::not_supported,
                 "registering " + name_of(wanted) +
                     ": /etc/netconfig has no such transport; install libtirpc-common");
  }
  rpcb_unset(wanted.program, wanted.version, config.get());
  sockaddr_in address = any_address(wanted.port);
  netbuf buffer{sizeof address, sizeof address, &address};
  if (rpcb_set(wanted.program, wanted.version, config.get(), &buffer)) return {};
  Errc code = rpc_createerr.cf_stat == RPC_SUCCESS ? Errc::access : Errc::disconnected;
  std::string remedy = code == Errc::access
      ? "; another program holds it: stop it, or remove it with rpcinfo -d"
      : "; start rpcbind, or serve without registering";
  std::string reason =
      code == Errc::access ? "the port mapper refuses" : clnt_sperrno(rpc_createerr.cf_stat);
  return Error(code, "registering " + name_of(wanted) + ": " + reason + remedy);
}

}  // namespace

Result<void> register_with_rpcbind(const std::vector<Registration>& wanted) {
  std::vector<Registration> done;
  for (const Registration& one : wanted) {
    Result<void> result = register_one(one);
    if (!result) {
      unregister_from_rpcbind(done);
      return result;
    }
    done.push_back(one);
  }
  return {};
}

void unregister_from_rpcbind(const std::vector<Registration>& registered) {
  for (const Registration& one : registered) {
    Netconfig config = transport(one.udp);
    if (!config || registered_port(*config, one) != one.port) continue;
    rpcb_unset(one.program, one.version, config.get());
  }
}

}  // namespace rowan::rpc
