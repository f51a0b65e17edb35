// One list of fields for both directions. A structure's list is a template over `Io`, which is a
// Decoder (its values are filled) or an Encoder (its values are const); so a field cannot be read
// differently from how it is written. Only codecs (*_codec*.cc, portmap.cc) include this.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rpc/xdr_cursor.h"

namespace rowan::xdr {

class Decoder {
 public:
  static constexpr bool decoding = true;
  explicit Decoder(Reader& in) : in_(in) {}

  void number(std::uint32_t& value) { value = in_.u32(); }
  void number(std::uint64_t& value) { value = in_.u64(); }
  void boolean(bool& value) { value = in_.boolean(); }
  // `first` and `last` are the enumeration's smallest and largest values, with none missing
  // between.
  template <class Enum>
  void enumeration(Enum& value, Enum first, Enum last) {
    value = in_.enumeration(first, last);
  }
  template <std::size_t size>
  void fixed(std::array<std::byte, size>& bytes) {
    ByteView from = in_.fixed_opaque(size);
    if (from.size() == size) std::memcpy(bytes.data(), from.data(), size);
  }
  void opaque(ByteView& bytes, std::size_t limit) { bytes = in_.opaque(limit); }
  void text(std::string_view& text, std::size_t limit) { text = in_.text(limit); }
  void text(std::string& text, std::size_t limit) { text = in_.text(limit); }
  // Whether an optional value follows; makes it if so.
  template <class T>
  bool present(std::optional<T>& value) {
    if (in_.boolean()) {
      value.emplace();
    } else {
      value.reset();
    }
    return value.has_value();
  }
  // XDR's linked list: a TRUE before each element, a FALSE at the end. Every element takes bytes of
  // the input, which bounds the list.
  template <class T, class Element>
  void list(std::vector<T>& values, Element element) {
    values.clear();
    while (in_.boolean()) element(values.emplace_back());
  }
  void numbers(std::vector<std::uint32_t>& values, std::size_t limit) {
    values.resize(in_.count(limit, 4));
    for (std::uint32_t& value : values) value = in_.u32();
  }
  void fail(const char* why) { in_.fail(why); }
  Reader& reader() { return in_; }

 private:
  Reader& in_;
};

class Encoder {
 public:
  static constexpr bool decoding = false;
  explicit Encoder(Writer& out) : out_(out) {}

  void number(std::uint32_t value) { out_.u32(value); }
  void number(std::uint64_t value) { out_.u64(value); }
  void boolean(bool value) { out_.boolean(value); }
  template <class Enum>
  void enumeration(Enum value, Enum, Enum) {
    out_.enumeration(value);
  }
  template <std::size_t size>
  void fixed(const std::array<std::byte, size>& bytes) {
    out_.fixed_opaque(bytes);
  }
  void opaque(ByteView bytes, std::size_t) { out_.opaque(bytes); }
  void text(std::string_view text, std::size_t) { out_.text(text); }
  template <class T>
  bool present(const std::optional<T>& value) {
    out_.boolean(value.has_value());
    return value.has_value();
  }
  template <class T, class Element>
  void list(const std::vector<T>& values, Element element) {
    for (const T& value : values) {
      out_.boolean(true);
      element(value);
    }
    out_.boolean(false);
  }
  void numbers(const std::vector<std::uint32_t>& values, std::size_t) {
    out_.count(values.size());
    for (std::uint32_t value : values) out_.u32(value);
  }
  Writer& writer() { return out_; }

 private:
  Writer& out_;
};

// T& for a Decoder, const T& for an Encoder. Not deduced: a list's second parameter names its type.
template <class Io, class T>
using Ref = std::conditional_t<Io::decoding, T&, const T&>;

}  // namespace rowan::xdr
