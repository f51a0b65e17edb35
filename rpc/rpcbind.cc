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

const char* netid(const Registration& wanted) {
  if (wanted.ipv6) return wanted.udp ? "udp6" : "tcp6";
  return wanted.udp ? "udp" : "tcp";
}

Netconfig transport(const Registration& wanted) {
  return Netconfig(getnetconfigent(netid(wanted)));
}

// An address of either family, as libtirpc takes and gives it.
class Address {
 public:
  explicit Address(const Registration& of) : ipv6_(of.ipv6) {
    if (ipv6_) {
      six_.sin6_family = AF_INET6;
      six_.sin6_port = htons(of.port);
    } else {
      four_.sin_family = AF_INET;
      four_.sin_port = htons(of.port);
    }
  }
  netbuf buffer() {
    if (ipv6_) return {sizeof six_, sizeof six_, &six_};
    return {sizeof four_, sizeof four_, &four_};
  }
  std::uint16_t port() const { return ntohs(ipv6_ ? six_.sin6_port : four_.sin_port); }

 private:
  bool ipv6_;
  sockaddr_in four_{};
  sockaddr_in6 six_{};
};

std::string name_of(const Registration& wanted) {
  return "program " + std::to_string(wanted.program) + " version " +
         std::to_string(wanted.version) + " on " + netid(wanted) + " port " +
         std::to_string(wanted.port);
}

// The port that is registered; 0: none.
std::uint16_t registered_port(const netconfig& config, const Registration& wanted) {
  Address address(wanted);
  netbuf buffer = address.buffer();
  auto* mutable_config = const_cast<netconfig*>(&config);
  const char* host = wanted.ipv6 ? "::1" : "localhost";
  bool found = rpcb_getaddr(wanted.program, wanted.version, mutable_config, &buffer, host);
  return found ? address.port() : 0;
}

Result<void> register_one(const Registration& wanted) {
  Netconfig config = transport(wanted);
  if (!config) {
    return Error(Errc::not_supported,
                 "registering " + name_of(wanted) +
                     ": /etc/netconfig has no such transport; install libtirpc-common");
  }
  rpcb_unset(wanted.program, wanted.version, config.get());
  Address address(wanted);
  netbuf buffer = address.buffer();
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
    Netconfig config = transport(one);
    if (!config || registered_port(*config, one) != one.port) continue;
    rpcb_unset(one.program, one.version, config.get());
  }
}

}  // namespace rowan::rpc
