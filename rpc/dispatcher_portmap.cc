// The port mapper in the dispatcher (RFC 1833): tells where the dispatcher's own programs are, so
// that a client which was told only one port finds them all there. Registering is left to the
// system's rpcbind.
#include <array>
#include <utility>

#include "rpc/dispatcher.h"
#include "rpc/portmap.h"

namespace rowan::rpc {
namespace {

struct Program {
  std::uint32_t program;
  std::uint32_t lowest, highest;
  bool over_udp;
};
constexpr std::array<Program, 3> programs = {{
    {portmap::program, portmap::lowest_version, portmap::highest_version, true},
    {nfs3::program, nfs3::version, nfs3::version, false},
    {mount3::program, mount3::version, mount3::version, true},
}};

std::uint16_t port_of(const Program& program, bool udp, const ServicePorts& ports) {
  if (!udp) return ports.tcp;
  return program.over_udp ? ports.udp : 0;
}

// As rpcbind does, a wrong version is answered with the port of the right one: the program then
// says which versions it has.
std::uint16_t find_port(std::uint32_t program, bool udp, const ServicePorts& ports) {
  for (const Program& known : programs) {
    if (known.program == program) return port_of(known, udp, ports);
  }
  return 0;
}

bool has_version(std::uint32_t program, std::uint32_t version) {
  for (const Program& known : programs) {
    if (known.program == program) return version >= known.lowest && version <= known.highest;
  }
  return false;
}

std::vector<portmap::Mapping> list_v2(const ServicePorts& ports) {
  std::vector<portmap::Mapping> all;
  for (const Program& known : programs) {
    for (std::uint32_t version = known.lowest; version <= known.highest; ++version) {
      for (bool udp : {false, true}) {
        std::uint32_t protocol = udp ? portmap::protocol_udp : portmap::protocol_tcp;
        std::uint16_t port = port_of(known, udp, ports);
        if (port != 0) all.push_back({known.program, version, protocol, port});
      }
    }
  }
  return all;
}

struct Net {
  std::string_view netid;
  std::string_view any_host;
  bool udp;
};
constexpr std::array<Net, 4> nets = {{
    {"tcp", "0.0.0.0", false},
    {"udp", "0.0.0.0", true},
    {"tcp6", "::", false},
    {"udp6", "::", true},
}};

// The caller's own idea of our host, which it sends as `address` (RFC 1833, 2.2.1), is the one
// address that is known to reach us from there.
std::string address_for(const portmap::Binding& asked, const ServicePorts& ports) {
  for (const Net& net : nets) {
    if (net.netid != asked.netid) continue;
    std::uint16_t port = find_port(asked.program, net.udp, ports);
    if (port == 0) return {};
    auto hint = portmap::parse_universal_address(asked.address);
    return portmap::universal_address(hint ? hint->host : net.any_host, port);
  }
  return {};
}

std::vector<portmap::Binding> list_v34(const ServicePorts& ports) {
  std::vector<portmap::Binding> all;
  for (const Program& known : programs) {
    for (std::uint32_t version = known.lowest; version <= known.highest; ++version) {
      for (const Net& net : nets) {
        std::uint16_t port = port_of(known, net.udp, ports);
        if (port == 0) continue;
        all.push_back({known.program, version, std::string(net.netid),
                       portmap::universal_address(net.any_host, port), "superuser"});
      }
    }
  }
  return all;
}

Task<std::optional<Reply>> finished(xdr::Writer& out) {
  auto send = [](Buffer head) -> Task<std::optional<Reply>> {
    Reply reply;
    reply.head = std::move(head);
    co_return std::move(reply);
  };
  return send(out.take());
}

}  // namespace

Dispatcher::Answer Dispatcher::route_portmap(std::uint32_t version, Call call) {
  std::uint32_t xid = call.context.xid;
  if (version < portmap::lowest_version || version > portmap::highest_version) {
    return refuse_version(xid, portmap::lowest_version, portmap::highest_version);
  }
  ++stats_.portmap_calls;
  if (call.procedure == 0) {
    if (!call.arguments.empty()) return garbage(call, "portmap NULL", "bytes are left over");
    return succeed(xid);
  }
  return version == 2 ? portmap_v2(std::move(call)) : portmap_v34(version, std::move(call));
}

Dispatcher::Answer Dispatcher::portmap_v2(Call call) {
  xdr::Reader in(call.arguments);
  xdr::Writer out;
  encode_success(out, call.context.xid);
  switch (static_cast<portmap::Procedure2>(call.procedure)) {
    case portmap::Procedure2::getport: {
      portmap::Mapping asked;
      if (!portmap::decode(in, asked)) return garbage(call, "portmap GETPORT", in.failure());
      bool known =
          asked.protocol == portmap::protocol_tcp || asked.protocol == portmap::protocol_udp;
      bool udp = asked.protocol == portmap::protocol_udp;
      portmap::encode_port(out, known ? find_port(asked.program, udp, ports_) : 0);
      return finished(out);
    }
    case portmap::Procedure2::dump:
      if (!in.finish()) return garbage(call, "portmap DUMP", in.failure());
      portmap::encode(out, list_v2(ports_));
      return finished(out);
    default: return refuse(call.context.xid, AcceptStatus::proc_unavail);
  }
}

Dispatcher::Answer Dispatcher::portmap_v34(std::uint32_t version, Call call) {
  xdr::Reader in(call.arguments);
  xdr::Writer out;
  encode_success(out, call.context.xid);
  auto procedure = static_cast<portmap::Procedure34>(call.procedure);
  bool exact = procedure == portmap::Procedure34::getversaddr && version == 4;
  if (procedure == portmap::Procedure34::getaddr || exact) {
    portmap::Binding asked;
    if (!portmap::decode(in, asked)) return garbage(call, "rpcbind GETADDR", in.failure());
    bool known = !exact || has_version(asked.program, asked.version);
    portmap::encode_address(out, known ? address_for(asked, ports_) : std::string());
    return finished(out);
  }
  if (procedure == portmap::Procedure34::dump) {
    if (!in.finish()) return garbage(call, "rpcbind DUMP", in.failure());
    portmap::encode(out, list_v34(ports_));
    return finished(out);
  }
  return refuse(call.context.xid, AcceptStatus::proc_unavail);
}

}  // namespace rowan::rpc
