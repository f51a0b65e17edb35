// The cursor of a listing of an NFS export (proxy/source.h, SourcePage): the server's cookie and
// verifier in bytes.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "rpc/base/bytes.h"
#include "rpc/base/result.h"
#include "rpc/nfs3.h"

namespace rowan::proxy {

// Where a listing goes on, and how many entries came before: opaque to everybody else.
struct NfsCursor {
  nfs3::Cookie cookie = 0;
  nfs3::Verifier verifier{};
  std::uint64_t entries = 0;
};
inline constexpr std::size_t nfs_cursor_size = 24;

inline std::string encode(const NfsCursor& cursor) {
  std::string text(nfs_cursor_size, '\0');
  auto* to = reinterpret_cast<std::byte*>(text.data());
  store_le(to, cursor.cookie);
  std::memcpy(to + 8, cursor.verifier.data(), cursor.verifier.size());
  store_le(to + 16, cursor.entries);
  return text;
}

inline Result<NfsCursor> decode_cursor(std::string_view text) {
  NfsCursor cursor;
  if (text.empty()) return cursor;
  if (text.size() != nfs_cursor_size) return Errc::bad_cookie;
  const std::byte* from = as_bytes(text).data();
  cursor.cookie = load_le<std::uint64_t>(from);
  std::memcpy(cursor.verifier.data(), from + 8, cursor.verifier.size());
  cursor.entries = load_le<std::uint64_t>(from + 16);
  return cursor;
}

}  // namespace rowan::proxy
