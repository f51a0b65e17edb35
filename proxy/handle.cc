#include "proxy/handle.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cstring>

#include "rpc/base/bytes.h"
#include "rpc/base/check.h"

namespace rowan::proxy {
namespace {

constexpr std::array<std::byte, 4> prefix{std::byte{'R'}, std::byte{'w'}, std::byte{1},
                                          std::byte{0}};
constexpr std::size_t claim_size = 20;

void put_claim(std::byte* to, cache::ApplianceId appliance, cache::ObjectId object) {
  std::memcpy(to, prefix.data(), prefix.size());
  store_be(to + 4, static_cast<std::uint64_t>(appliance));
  store_be(to + 12, cache::to_number(object));
}

// Fetched once: OpenSSL 3 searches its providers at every implicit fetch.
EVP_MAC* hmac() {
  static EVP_MAC* fetched = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  return fetched;
}

}  // namespace

std::optional<HandleClaim> parse_handle(const nfs3::Handle& handle) {
  if (handle.size != handle_size) return std::nullopt;
  const std::byte* from = handle.bytes.data();
  if (std::memcmp(from, prefix.data(), prefix.size()) != 0) return std::nullopt;
  HandleClaim claim;
  claim.appliance = cache::ApplianceId{load_be<std::uint64_t>(from + 4)};
  claim.object = cache::ObjectId{load_be<std::uint64_t>(from + 12)};
  std::memcpy(claim.mac.data(), from + claim_size, claim.mac.size());
  return claim;
}

nfs3::Handle format_handle(const HandleClaim& claim) {
  nfs3::Handle handle;
  handle.size = handle_size;
  put_claim(handle.bytes.data(), claim.appliance, claim.object);
  std::memcpy(handle.bytes.data() + claim_size, claim.mac.data(), claim.mac.size());
  return handle;
}

bool same_mac(const HandleMac& a, const HandleMac& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

HandleSealer::HandleSealer(cache::ApplianceId appliance, const ApplianceKey& key)
    : appliance_(appliance) {
  CHECK(hmac() != nullptr);
  context_ = EVP_MAC_CTX_new(hmac());
  CHECK(context_ != nullptr);
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end(),
  };
  const auto* bytes = reinterpret_cast<const unsigned char*>(key.data());
  CHECK_EQ(EVP_MAC_init(context_, bytes, key.size(), parameters), 1);
}

HandleSealer::~HandleSealer() { EVP_MAC_CTX_free(context_); }

HandleMac HandleSealer::mac(cache::ObjectId object) {
  std::array<std::byte, claim_size> claim;
  put_claim(claim.data(), appliance_, object);
  std::array<unsigned char, 32> whole;
  std::size_t length = 0;
  // Without a key the context starts over with the one it has.
  CHECK_EQ(EVP_MAC_init(context_, nullptr, 0, nullptr), 1);
  CHECK_EQ(
      EVP_MAC_update(context_, reinterpret_cast<const unsigned char*>(claim.data()), claim.size()),
      1);
  CHECK_EQ(EVP_MAC_final(context_, whole.data(), &length, whole.size()), 1);
  CHECK_EQ(length, whole.size());
  HandleMac truncated;
  std::memcpy(truncated.data(), whole.data(), truncated.size());
  return truncated;
}

nfs3::Handle HandleSealer::seal(cache::ObjectId object) {
  HandleClaim claim{appliance_, object, mac(object)};
  return format_handle(claim);
}

}  // namespace rowan::proxy
