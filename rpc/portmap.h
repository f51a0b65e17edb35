// The port mapper's protocols (RFC 1833): portmap version 2, and GETADDR and DUMP of rpcbind
// versions 3 and 4. Both directions: the dispatcher answers them for its own programs, the client
// asks an image server's host.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/service.h"
#include "rpc/xdr_cursor.h"

namespace rowan::portmap {

inline constexpr std::uint32_t program = 100000;
inline constexpr std::uint16_t port = 111;
inline constexpr std::uint32_t lowest_version = 2;   // portmap
inline constexpr std::uint32_t highest_version = 4;  // rpcbind

enum class Procedure2 : std::uint32_t { null = 0, set, unset, getport, dump, callit };
// Version 4 calls 9 GETVERSADDR: the address of exactly that version.
enum class Procedure34 : std::uint32_t {
  null = 0,
  set = 1,
  unset = 2,
  getaddr = 3,
  dump = 4,
  getversaddr = 9
};

inline constexpr std::uint32_t protocol_tcp = 6;
inline constexpr std::uint32_t protocol_udp = 17;
inline constexpr std::size_t text_limit = 1024;  // of netids, addresses and owners

struct Mapping {  // mapping, version 2
  std::uint32_t program = 0;
  std::uint32_t version = 0;
  std::uint32_t protocol = protocol_tcp;
  std::uint32_t port = 0;
  friend bool operator==(const Mapping&, const Mapping&) = default;
};
struct Binding {  // rpcb, versions 3 and 4
  std::uint32_t program = 0;
  std::uint32_t version = 0;
  std::string netid;    // "tcp", "udp", "tcp6", "udp6"
  std::string address;  // universal
  std::string owner;
  friend bool operator==(const Binding&, const Binding&) = default;
};

// GETPORT's argument and DUMP's result; GETPORT's result is one number (0: not registered).
bool decode(xdr::Reader& in, Mapping& mapping);
void encode(xdr::Writer& out, const Mapping& mapping);
bool decode(xdr::Reader& in, std::vector<Mapping>& mappings);
void encode(xdr::Writer& out, const std::vector<Mapping>& mappings);
bool decode_port(xdr::Reader& in, std::uint32_t& port);
void encode_port(xdr::Writer& out, std::uint32_t port);

// GETADDR's argument and DUMP's result; GETADDR's result is one text (empty: not registered).
bool decode(xdr::Reader& in, Binding& binding);
void encode(xdr::Writer& out, const Binding& binding);
bool decode(xdr::Reader& in, std::vector<Binding>& bindings);
void encode(xdr::Writer& out, const std::vector<Binding>& bindings);
bool decode_address(xdr::Reader& in, std::string& address);
void encode_address(xdr::Writer& out, std::string_view address);

// Universal addresses (RFC 5665, 5.2): "10.0.0.1.8.1" and "fe80::1.8.1" are port 2049. The host
// part is kept as it is; parsing checks the two numbers of the port and that a host is there.
struct UniversalAddress {
  std::string_view host;
  std::uint16_t port = 0;
};
std::string universal_address(std::string_view host, std::uint16_t port);
std::optional<UniversalAddress> parse_universal_address(std::string_view text);

}  // namespace rowan::portmap
