// XDR (RFC 4506) through one bounded cursor each way. Neither throws. (Not named xdr.h: libtirpc
// includes its own header as <rpc/xdr.h> and would find ours.)
//
// The Reader is sticky: after the first failure every field reads as zero or empty, and ok() says
// so once at the end, so a decoder is a plain list of fields. Every variable-length field takes its
// limit. What it reads borrows from the bytes it was given.
//
// Padding that is not zero is tolerated, as every NFS server in use does: RFC 4506, 4.9 tells the
// sender to write zeros, gives the receiver no duty, and some boot loaders send what was in their
// buffer. Booleans and enumerations outside of their values are refused (RFC 4506, 4.3 calls them
// an error).
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include "rpc/base/buffer.h"
#include "rpc/base/bytes.h"

namespace rowan::xdr {

// Zero bytes that follow `size` bytes of opaque data (RFC 4506, 4.9).
constexpr std::size_t padding(std::size_t size) { return (4 - size % 4) % 4; }
constexpr std::size_t padded(std::size_t size) { return size + padding(size); }

class Reader {
 public:
  explicit Reader(ByteView bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const { return failure_ == nullptr; }
  // Why it failed first ("too short", ...), or null. The text is static.
  const char* failure() const { return failure_; }
  // Bytes not yet read; zero after a failure.
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }

  std::uint32_t u32() {
    const std::byte* from = take(4);
    return from == nullptr ? 0 : load_be<std::uint32_t>(from);
  }
  std::uint64_t u64() {
    const std::byte* from = take(8);
    return from == nullptr ? 0 : load_be<std::uint64_t>(from);
  }
  bool boolean() {
    std::uint32_t value = u32();
    if (value > 1) fail("a boolean is neither 0 nor 1");
    return value == 1;
  }
  // An enumeration whose values are exactly first..last.
  template <class Enum>
  Enum enumeration(Enum first, Enum last) {
    std::uint32_t value = u32();
    if (value < static_cast<std::uint32_t>(first) || value > static_cast<std::uint32_t>(last)) {
      fail("an enumeration has an unknown value");
      return first;
    }
    return static_cast<Enum>(value);
  }
  // `size` bytes and their padding.
  ByteView fixed_opaque(std::size_t size) {
    // The size is compared before it is padded: padded() of a size near the top would wrap.
    if (size > left() || padded(size) > left()) [[unlikely]] {
      fail("it is too short");
      return {};
    }
    const std::byte* from = at_;
    at_ += padded(size);
    return {from, size};
  }
  // A length of at most `limit`, that many bytes, and their padding.
  ByteView opaque(std::size_t limit) {
    std::uint32_t size = u32();
    if (size > limit) [[unlikely]] {
      fail("a field is longer than its limit");
      return {};
    }
    return fixed_opaque(size);
  }
  std::string_view text(std::size_t limit) { return as_text(opaque(limit)); }
  // The length of an array of at most `limit` elements which take at least `element_size` bytes
  // each. A length that the bytes left cannot hold is refused here, before anybody makes room for
  // it.
  std::uint32_t count(std::size_t limit, std::size_t element_size);

  // True if all went well and nothing is left.
  bool finish() {
    if (at_ != end_) fail("bytes are left over");
    return ok();
  }
  // Marks the input bad; the first reason stays.
  void fail(const char* why) {
    if (failure_ == nullptr) failure_ = why;
    at_ = end_;
  }

 private:
  const std::byte* take(std::size_t size) {
    if (static_cast<std::size_t>(end_ - at_) < size) [[unlikely]] {
      fail("it is too short");
      return nullptr;
    }
    const std::byte* from = at_;
    at_ += size;
    return from;
  }

  const std::byte* at_;
  const std::byte* end_;
  const char* failure_ = nullptr;
};

// Appends to a pooled buffer that grows as needed. What is written was made here, so sizes are the
// caller's duty: a value too long for its field is a programmer error.
class Writer {
 public:
  // `expected` bytes fit without growing.
  explicit Writer(std::size_t expected = 256) : buffer_(expected == 0 ? 1 : expected) {
    at_ = buffer_.data();
    end_ = at_ + buffer_.capacity();
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  std::size_t size() const { return static_cast<std::size_t>(at_ - buffer_.data()); }
  ByteView view() const { return {buffer_.data(), size()}; }

  void u32(std::uint32_t value) { store_be(claim(4), value); }
  void u64(std::uint64_t value) { store_be(claim(8), value); }
  void boolean(bool value) { u32(value ? 1 : 0); }
  template <class Enum>
  void enumeration(Enum value) {
    u32(static_cast<std::uint32_t>(value));
  }
  // The bytes and their padding.
  void fixed_opaque(ByteView bytes);
  // Length, bytes, padding.
  void opaque(ByteView bytes) {
    u32(length_of(bytes.size()));
    fixed_opaque(bytes);
  }
  void text(std::string_view text) { opaque(as_bytes(text)); }
  void count(std::size_t count) { u32(length_of(count)); }
  // Bytes as they are: already XDR.
  void raw(ByteView bytes);

  // Overwrites the word at `offset`: for a length that is known afterwards.
  void patch_u32(std::size_t offset, std::uint32_t value);
  // Forgets what follows the first `size` bytes.
  void truncate(std::size_t size);
  // Hands the bytes over; the writer may only be destroyed afterwards.
  Buffer take();

 private:
  static std::uint32_t length_of(std::size_t size);
  std::byte* claim(std::size_t size) {
    if (static_cast<std::size_t>(end_ - at_) < size) [[unlikely]] grow(size);
    std::byte* to = at_;
    at_ += size;
    return to;
  }
  void grow(std::size_t size);

  Buffer buffer_;
  std::byte* at_ = nullptr;
  std::byte* end_ = nullptr;
};

}  // namespace rowan::xdr
