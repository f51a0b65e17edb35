// Which clients may use an appliance: a list of networks in CIDR notation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/base/result.h"
#include "rpc/service.h"

namespace rowan::proxy {

// One network: "10.0.0.0/8", "192.168.1.7", "2001:db8::/32". IPv4 is kept IPv4-mapped, as in
// PeerAddress.
struct Network {
  std::array<std::byte, 16> ip{};
  std::uint8_t prefix_bits = 128;  // of the mapped form: IPv4 /8 is 104
  friend bool operator==(const Network&, const Network&) = default;
};
// usage, naming the text, if it is no network or has host bits set.
Result<Network> parse_network(std::string_view text);
std::string to_string(const Network& network);

inline constexpr std::size_t max_networks = 256;

class AccessList {
 public:
  AccessList() = default;
  // 127.0.0.0/8 and ::1: what a new appliance has until somebody is allowed.
  static AccessList loopback();
  // usage: a text that is no network, or more than max_networks of them.
  static Result<AccessList> parse(const std::vector<std::string>& networks);

  // An empty list allows nobody.
  bool allows(const PeerAddress& peer) const;
  std::vector<std::string> to_strings() const;
  friend bool operator==(const AccessList&, const AccessList&) = default;

 private:
  std::vector<Network> networks_;
};

}  // namespace rowan::proxy
