// Value or error. Member names follow std::expected, so that it can replace this file one day.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "rpc/base/check.h"

namespace rowan {

// Every failure the project can tell apart. The first group has one NFSv3 status each (RFC
// 1813, 2.6); the second never reaches a client under its own name (rpc/nfs3_status.h holds the one
// table).
enum class Errc : std::uint8_t {
  not_permitted,   // NFS3ERR_PERM: not the owner
  not_found,       // NOENT
  io,              // IO
  no_device,       // NXIO
  access,          // ACCES
  exists,          // EXIST
  cross_device,    // XDEV
  not_directory,   // NOTDIR
  is_directory,    // ISDIR
  invalid,         // INVAL
  too_big,         // FBIG
  no_space,        // NOSPC
  read_only,       // ROFS
  too_many_links,  // MLINK
  name_too_long,   // NAMETOOLONG
  not_empty,       // NOTEMPTY
  quota,           // DQUOT
  stale,           // STALE
  bad_handle,      // BADHANDLE
  not_sync,        // NOT_SYNC
  bad_cookie,      // BAD_COOKIE
  not_supported,   // NOTSUPP
  too_small,       // TOOSMALL
  server_fault,    // SERVERFAULT
  bad_type,        // BADTYPE
  try_later,       // JUKEBOX

  corrupt,       // bytes read back from disk fail their checksum or their grammar
  malformed,     // bytes from a peer fail their grammar
  limit,         // a named limit was met (connections, memory, descriptors)
  disconnected,  // the peer closed or reset
  timed_out,     // a deadline passed
  needs_load,    // the answer is on disk, not in memory: run the load job and ask again
  drift,         // the source no longer shows the pinned version
  busy,          // somebody else holds it (a lock file, a mounted appliance)
  usage,         // the caller's words are off (command line, admin interface)
};

std::string_view to_string(Errc code);

// An error keeps its code and, where it is worth a log line, what it was about. Small codes that
// are part of normal life (not_found) carry no text, so making one allocates nothing.
struct Error {
  Errc code;
  std::string detail;

  Error(Errc c)
      : code(c) {}  // NOLINT(google-explicit-constructor): `return Errc::not_found;` is the idiom
  Error(Errc c, std::string text) : code(c), detail(std::move(text)) {}
};

std::string to_string(const Error& error);

template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT
  Result(Errc code) : state_(std::in_place_index<1>, Error(code)) {}         // NOLINT

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & {
    CHECK(has_value());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    CHECK(has_value());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    CHECK(has_value());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  Error& error() & {
    CHECK(!has_value());
    return *std::get_if<1>(&state_);
  }
  const Error& error() const& {
    CHECK(!has_value());
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    CHECK(!has_value());
    return std::move(*std::get_if<1>(&state_));
  }

  // True when this is an error with that code.
  bool failed_with(Errc code) const { return !has_value() && error().code == code; }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT
  Result(Errc code) : error_(Error(code)) {}         // NOLINT

  bool has_value() const { return !error_; }
  explicit operator bool() const { return has_value(); }
  void value() const { CHECK(has_value()); }
  void operator*() const { value(); }

  Error& error() & {
    CHECK(error_.has_value());
    return *error_;
  }
  const Error& error() const& {
    CHECK(error_.has_value());
    return *error_;
  }
  Error&& error() && {
    CHECK(error_.has_value());
    return std::move(*error_);
  }
  bool failed_with(Errc code) const { return error_ && error_->code == code; }

 private:
  std::optional<Error> error_;
};

}  // namespace rowan

// The agreed early-return helpers: `TRY(auto x, f());` leaves the function with f's error or
// defines x; `TRY_VOID(f());` is for results without a value. CO_TRY and CO_TRY_VOID are the same
// inside a coroutine.
#define ROWAN_CONCAT_(a, b) a##b
#define ROWAN_CONCAT(a, b) ROWAN_CONCAT_(a, b)
#define ROWAN_TRY_IMPL(tmp, leave, decl, ...)         \
  auto tmp = (__VA_ARGS__);                           \
  if (!tmp.has_value()) leave std::move(tmp).error(); \
  decl = std::move(*tmp)
#define TRY(decl, ...) ROWAN_TRY_IMPL(ROWAN_CONCAT(try_, __LINE__), return, decl, __VA_ARGS__)
#define CO_TRY(decl, ...) ROWAN_TRY_IMPL(ROWAN_CONCAT(try_, __LINE__), co_return, decl, __VA_ARGS__)
#define TRY_VOID(...)                                                  \
  do {                                                                 \
    auto try_result = (__VA_ARGS__);                                   \
    if (!try_result.has_value()) return std::move(try_result).error(); \
  } while (false)
#define CO_TRY_VOID(...)                                                  \
  do {                                                                    \
    auto try_result = (__VA_ARGS__);                                      \
    if (!try_result.has_value()) co_return std::move(try_result).error(); \
  } while (false)
