#include "proxy/access_list.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

namespace rowan::proxy {
namespace {

constexpr std::uint8_t mapped_bits = 96;  // of ::ffff:0:0/96, where IPv4 lies

Error not_a_network(std::string_view text, std::string_view why) {
  return Error(Errc::usage, "'" + std::string(text) + "' is no network (" + std::string(why) +
                                "); write 10.0.0.0/8, 192.168.1.7 or 2001:db8::/32");
}

// Clears what lies behind the prefix; true if something did.
bool clear_host_bits(Network& network) {
  bool any = false;
  for (std::size_t i = 0; i < network.ip.size(); ++i) {
    std::size_t first_bit = i * 8;
    std::size_t kept = network.prefix_bits > first_bit ? network.prefix_bits - first_bit : 0;
    if (kept >= 8) continue;
    auto mask = static_cast<std::byte>(0xff00u >> kept);
    std::byte cleared = network.ip[i] & mask;
    any = any || cleared != network.ip[i];
    network.ip[i] = cleared;
  }
  return any;
}

bool is_mapped(const Network& network) {
  static constexpr std::array<unsigned char, 12> prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return network.prefix_bits >= mapped_bits &&
         std::memcmp(network.ip.data(), prefix.data(), 12) == 0;
}

// The address part; sets prefix_bits to where the family's own prefix starts.
bool parse_address(const std::string& text, Network& network) {
  if (inet_pton(AF_INET, text.c_str(), network.ip.data() + 12) == 1) {
    network.ip[10] = network.ip[11] = std::byte{0xff};
    network.prefix_bits = mapped_bits;
    return true;
  }
  network.prefix_bits = 0;
  return inet_pton(AF_INET6, text.c_str(), network.ip.data()) == 1;
}

bool contains(const Network& network, const std::array<std::byte, 16>& ip) {
  std::size_t whole = network.prefix_bits / 8;
  if (std::memcmp(network.ip.data(), ip.data(), whole) != 0) return false;
  std::size_t rest = network.prefix_bits % 8;
  if (rest == 0) return true;
  auto mask = static_cast<std::byte>(0xff00u >> rest);
  return (ip[whole] & mask) == network.ip[whole];
}

}  // namespace

Result<Network> parse_network(std::string_view text) {
  std::size_t slash = text.find('/');
  std::string address(text.substr(0, slash));
  Network network;
  // inet_pton reads a C string: a NUL inside would hide the rest.
  if (address.find('\0') != std::string::npos || !parse_address(address, network)) {
    return not_a_network(text, "no address");
  }
  std::uint8_t width = static_cast<std::uint8_t>(128 - network.prefix_bits);
  std::uint8_t bits = width;
  if (slash != std::string_view::npos) {
    std::string_view digits = text.substr(slash + 1);
    auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    bool whole = failed == std::errc() && end == digits.data() + digits.size() && !digits.empty();
    if (!whole || bits > width) return not_a_network(text, "bad prefix length");
  }
  network.prefix_bits = static_cast<std::uint8_t>(network.prefix_bits + bits);
  if (clear_host_bits(network)) return not_a_network(text, "bits set behind the prefix");
  return network;
}

std::string to_string(const Network& network) {
  char text[INET6_ADDRSTRLEN];
  bool mapped = is_mapped(network);
  const std::byte* from = network.ip.data() + (mapped ? 12 : 0);
  const char* address = inet_ntop(mapped ? AF_INET : AF_INET6, from, text, sizeof text);
  int bits = network.prefix_bits - (mapped ? mapped_bits : 0);
  std::string result(address);
  if (bits != (mapped ? 32 : 128)) result += "/" + std::to_string(bits);
  return result;
}

AccessList AccessList::loopback() {
  auto list = parse({"127.0.0.0/8", "::1"});
  return std::move(list).value();
}

Result<AccessList> AccessList::parse(const std::vector<std::string>& networks) {
  if (networks.size() > max_networks) {
    return Error(Errc::usage, std::to_string(networks.size()) + " networks; at most " +
                                  std::to_string(max_networks) + " can be allowed: join them");
  }
  AccessList list;
  for (const std::string& text : networks) {
    TRY(Network network, parse_network(text));
    list.networks_.push_back(network);
  }
  return list;
}

bool AccessList::allows(const PeerAddress& peer) const {
  for (const Network& network : networks_) {
    if (contains(network, peer.ip)) return true;
  }
  return false;
}

std::vector<std::string> AccessList::to_strings() const {
  std::vector<std::string> texts;
  for (const Network& network : networks_) texts.push_back(to_string(network));
  return texts;
}

}  // namespace rowan::proxy
