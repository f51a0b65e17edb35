// Records on disk: little-endian fields one after the other. The reader is bounded and remembers
// that it ran short, so a decoder reads all its fields and asks once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "rpc/base/bytes.h"

namespace rowan::cache {

class DiskWriter {
 public:
  explicit DiskWriter(std::string& out) : out_(&out) {}
  void u8(std::uint8_t value) { put(value); }
  void u16(std::uint16_t value) { put(value); }
  void u32(std::uint32_t value) { put(value); }
  void u64(std::uint64_t value) { put(value); }
  void raw(std::string_view text) { out_->append(text); }
  // With its length before it; at most 65535 bytes (callers' limits are lower).
  void text(std::string_view text) {
    u16(static_cast<std::uint16_t>(text.size()));
    raw(text);
  }

 private:
  template <class T>
  void put(T value) {
    std::byte bytes[sizeof(T)];
    store_le(bytes, value);
    out_->append(reinterpret_cast<const char*>(bytes), sizeof(T));
  }
  std::string* out_;
};

class DiskReader {
 public:
  explicit DiskReader(std::string_view text) : rest_(text) {}
  explicit DiskReader(ByteView bytes) : rest_(as_text(bytes)) {}
  std::uint8_t u8() { return take<std::uint8_t>(); }
  std::uint16_t u16() { return take<std::uint16_t>(); }
  std::uint32_t u32() { return take<std::uint32_t>(); }
  std::uint64_t u64() { return take<std::uint64_t>(); }
  // Empty if fewer are left.
  std::string_view raw(std::size_t count) {
    if (count > rest_.size()) {
      failed_ = true;
      return {};
    }
    const std::string_view text = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return text;
  }
  std::string_view text() { return raw(u16()); }

  bool failed() const { return failed_; }
  std::size_t left() const { return failed_ ? 0 : rest_.size(); }
  // Everything was there and nothing is left over.
  bool finished() const { return !failed_ && rest_.empty(); }

 private:
  template <class T>
  T take() {
    const std::string_view text = raw(sizeof(T));
    return failed_ ? T{} : load_le<T>(reinterpret_cast<const std::byte*>(text.data()));
  }
  std::string_view rest_;
  bool failed_ = false;
};

// Big-endian numbers in keys sort as numbers.
inline void append_be64(std::string& key, std::uint64_t value) {
  std::byte bytes[8];
  store_be(bytes, value);
  key.append(reinterpret_cast<const char*>(bytes), 8);
}
inline void append_be32(std::string& key, std::uint32_t value) {
  std::byte bytes[4];
  store_be(bytes, value);
  key.append(reinterpret_cast<const char*>(bytes), 4);
}
inline std::uint64_t be64_at(std::string_view key, std::size_t at) {
  return load_be<std::uint64_t>(reinterpret_cast<const std::byte*>(key.data() + at));
}
inline std::uint32_t be32_at(std::string_view key, std::size_t at) {
  return load_be<std::uint32_t>(reinterpret_cast<const std::byte*>(key.data() + at));
}

}  // namespace rowan::cache
