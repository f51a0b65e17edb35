#include "rpc/xdr_cursor.h"

#include <cstring>

#include "rpc/base/check.h"

namespace rowan::xdr {

std::uint32_t Reader::count(std::size_t limit, std::size_t element_size) {
  std::uint32_t count = u32();
  if (count > limit) {
    fail("an array is longer than its limit");
    return 0;
  }
  if (element_size != 0 && count > left() / element_size) {
    fail("it is too short");
    return 0;
  }
  return count;
}

void Writer::fixed_opaque(ByteView bytes) {
  std::size_t whole = padded(bytes.size());
  std::byte* to = claim(whole);
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  for (std::size_t i = bytes.size(); i < whole; ++i) to[i] = std::byte{0};
}

void Writer::raw(ByteView bytes) {
  std::byte* to = claim(bytes.size());
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
}

void Writer::patch_u32(std::size_t offset, std::uint32_t value) {
  CHECK_LE(offset + 4, size());
  store_be(buffer_.data() + offset, value);
}

void Writer::truncate(std::size_t size) {
  CHECK_LE(size, this->size());
  at_ = buffer_.data() + size;
}

Buffer Writer::take() {
  buffer_.resize_within(size());
  at_ = end_ = nullptr;
  return std::move(buffer_);
}

std::uint32_t Writer::length_of(std::size_t size) {
  CHECK_LE(size, std::numeric_limits<std::uint32_t>::max());
  return static_cast<std::uint32_t>(size);
}

void Writer::grow(std::size_t size) {
  std::size_t used = this->size();
  CHECK(buffer_.data() != nullptr);  // not after take()
  buffer_.resize_within(used);
  buffer_.reserve(used + size);  // capacities are powers of two, so this doubles at least
  at_ = buffer_.data() + used;
  end_ = buffer_.data() + buffer_.capacity();
}

}  // namespace rowan::xdr
