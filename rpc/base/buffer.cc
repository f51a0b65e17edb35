#include "rpc/base/buffer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "rpc/base/check.h"
#include "rpc/base/large_blocks.h"

// Size classes are powers of two from 256 bytes to 2 MiB, and one for a record of 1 MiB with its
// headers. Each thread keeps at most `kept_bytes` of a class, and `kept_large_bytes` of the large
// ones together, so a burst does not stay in memory for ever. Large ones are worth keeping: to fill
// a fresh one with zeros costs the system as much as copying its contents costs us. When there are
// enough of them, the class that was asked for the longest ago gives one up: what writes needed
// must not keep reads from theirs.

namespace rowan {
namespace {

constexpr int smallest_shift = 8;
constexpr std::size_t mebibyte = 1u << 20;
constexpr std::size_t record_capacity = mebibyte + (64u << 10);
constexpr std::size_t largest_capacity = large_blocks::largest;
constexpr std::size_t record_class = 13;  // after those from 2^8 to 2^20
constexpr std::size_t classes = record_class + 2;
constexpr std::size_t kept_bytes = 4u << 20;
constexpr std::size_t kept_large_bytes = 32u << 20;

// Set when this thread's pool is destroyed: buffers in statics and thread-locals may live a little
// longer and then go to free(). Trivial, so it can still be read by then.
thread_local bool pool_gone = false;

// One of the large classes.
bool is_large(std::size_t capacity) {
  return capacity >= large_blocks::smallest && capacity <= largest_capacity;
}

// Buffers of a page and more start on a page, so that they can be written past the page cache.
std::byte* fresh(std::size_t capacity) {
  if (is_large(capacity)) return large_blocks::take(capacity);
  constexpr std::size_t page = 4096;
  void* block = capacity < page ? std::malloc(capacity) : std::aligned_alloc(page, capacity);
  if (block == nullptr) throw std::bad_alloc();
  return static_cast<std::byte*>(block);
}

void discard(std::byte* block, std::size_t capacity) {
  if (is_large(capacity)) {
    large_blocks::give(block, capacity);
  } else {
    std::free(block);
  }
}

class Pool {
 public:
  ~Pool() {
    pool_gone = true;
    for (std::size_t i = 0; i < classes; ++i) {
      for (std::byte* block : free_[i]) discard(block, capacity_of(i));
    }
  }

  // `capacity` is that of a class.
  std::byte* take(std::size_t capacity) {
    std::size_t index = class_of(capacity);
    asked_[index] = ++asks_;
    auto& list = free_[index];
    if (list.empty()) return fresh(capacity);
    std::byte* block = list.back();
    list.pop_back();
    if (is_large(capacity)) large_bytes_ -= capacity;
    return block;
  }

  void give(std::byte* block, std::size_t capacity) {
    auto& list = free_[class_of(capacity)];
    if (is_large(capacity)) {
      large_bytes_ += capacity;
    } else if ((list.size() + 1) * capacity > kept_bytes) {
      return discard(block, capacity);
    }
    list.push_back(block);
    while (large_bytes_ > kept_large_bytes) discard_idlest();
  }

 private:
  static std::size_t class_of(std::size_t capacity) {
    if (capacity > mebibyte) return capacity == record_capacity ? record_class : record_class + 1;
    return static_cast<std::size_t>(std::bit_width(capacity >> (smallest_shift + 1)));
  }

  static std::size_t capacity_of(std::size_t index) {
    if (index >= record_class) return index == record_class ? record_capacity : largest_capacity;
    return std::size_t{1} << (smallest_shift + index);
  }

  // A large one, of those that are kept the one whose class was asked for the longest ago.
  void discard_idlest() {
    std::size_t idlest = classes;
    for (std::size_t i = class_of(large_blocks::smallest); i < classes; ++i) {
      if (!free_[i].empty() && (idlest == classes || asked_[i] < asked_[idlest])) idlest = i;
    }
    CHECK_LT(idlest, classes);
    large_bytes_ -= capacity_of(idlest);
    discard(free_[idlest].back(), capacity_of(idlest));
    free_[idlest].pop_back();
  }

  std::array<std::vector<std::byte*>, classes> free_;
  std::array<std::uint64_t, classes> asked_{};  // when last, on the clock of `asks_`
  std::uint64_t asks_ = 0;
  std::size_t large_bytes_ = 0;
};

thread_local Pool pool;

std::size_t capacity_for(std::size_t size) {
  if (size > mebibyte && size <= record_capacity) return record_capacity;
  return std::max(std::bit_ceil(size), std::size_t{1} << smallest_shift);
}

std::byte* allocate(std::size_t size, std::size_t& capacity) {
  capacity = capacity_for(size);
  if (capacity <= largest_capacity && !pool_gone) return pool.take(capacity);
  return fresh(capacity);
}

}  // namespace

Buffer::Buffer(std::size_t size) : size_(size) {
  if (size != 0) data_ = allocate(size, capacity_);
}

Buffer Buffer::copy_of(ByteView bytes) {
  Buffer copy(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.data_, bytes.data(), bytes.size());
  return copy;
}

void Buffer::resize_within(std::size_t size) {
  CHECK_LE(size, capacity_);
  size_ = size;
}

void Buffer::reserve(std::size_t capacity) {
  if (capacity <= capacity_) return;
  std::size_t larger = 0;
  std::byte* block = allocate(capacity, larger);
  if (size_ != 0) std::memcpy(block, data_, size_);
  std::size_t size = size_;
  release();
  data_ = block;
  size_ = size;
  capacity_ = larger;
}

void Buffer::trim_front(std::size_t count) {
  CHECK_LE(count, size_);
  data_ += count;
  size_ -= count;
  capacity_ -= count;
  front_ += count;
}

void Buffer::release() {
  if (data_ == nullptr) return;
  std::byte* block = data_ - front_;
  std::size_t capacity = capacity_ + front_;
  if (capacity <= largest_capacity && !pool_gone) {
    pool.give(block, capacity);
  } else {
    discard(block, capacity);
  }
  data_ = nullptr;
  size_ = capacity_ = front_ = 0;
}

}  // namespace rowan
