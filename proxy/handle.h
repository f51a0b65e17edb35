// The file handle: durable, of one size, and not to be forged. 36 bytes, big-endian:
//
//   0  'R' 'w' 1 0      format and its version
//   4  appliance id     8 bytes
//  12  object id        8 bytes
//  20  HMAC-SHA-256 of the first 20 bytes under the appliance's key, its first 16 bytes
//
// It holds all that is needed to find the object again after a restart or on another host; no table
// of handles exists that could lose one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "cache/ids.h"
#include "rpc/nfs3.h"

struct evp_mac_ctx_st;

namespace rowan::proxy {

using ApplianceKey = std::array<std::byte, 32>;  // of the HMAC; secret; moves with the store
using HandleMac = std::array<std::byte, 16>;

inline constexpr std::uint8_t handle_size = 36;

// What a handle claims. Nothing of it is proven until the MAC has been compared.
struct HandleClaim {
  cache::ApplianceId appliance{};
  cache::ObjectId object{};
  HandleMac mac{};
};

// Nothing: not of this format (BADHANDLE).
std::optional<HandleClaim> parse_handle(const nfs3::Handle& handle);
nfs3::Handle format_handle(const HandleClaim& claim);

// Equal, in a time that does not depend on where they differ.
bool same_mac(const HandleMac& a, const HandleMac& b);

// Makes the MACs of one appliance. One per strand: it keeps a keyed context.
class HandleSealer {
 public:
  HandleSealer(cache::ApplianceId appliance, const ApplianceKey& key);
  HandleSealer(const HandleSealer&) = delete;
  HandleSealer& operator=(const HandleSealer&) = delete;
  ~HandleSealer();

  HandleMac mac(cache::ObjectId object);
  nfs3::Handle seal(cache::ObjectId object);

 private:
  cache::ApplianceId appliance_;
  evp_mac_ctx_st* context_ = nullptr;
};

}  // namespace rowan::proxy
