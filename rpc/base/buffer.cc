#include "rpc/base/buffer.h"

#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "rpc/base/check.h"

// Size classes are powers of two from 256 bytes to 2 MiB (a record of 1 MiB and its headers). Each
// thread keeps at most `kept_bytes` per class, so a burst does not stay in memory for ever.

namespace rowan {
namespace {

constexpr int smallest_shift = 8;
constexpr int largest_shift = 21;
constexpr std::size_t kept_bytes = 4u << 20;

// Set when this thread's pool is destroyed: buffers in statics and thread-locals may live a little
// longer and then go to free(). Trivial, so it can still be read by then.
thread_local bool pool_gone = false;

// Buffers of a page and more start on a page, so that they can be written past the page cache.
std::byte* fresh(std::size_t capacity) {
  constexpr std::size_t page = 4096;
  void* block = capacity < page ? std::malloc(capacity) : std::aligned_alloc(page, capacity);
  if (block == nullptr) throw std::bad_alloc();
  return static_cast<std::byte*>(block);
}

class Pool {
 public:
  ~Pool() {
    pool_gone = true;
    for (auto& list : free_) {
      for (std::byte* block : list) std::free(block);
    }
  }

  std::byte* take(int shift) {
    auto& list = free_[shift - smallest_shift];
    if (!list.empty()) {
      std::byte* block = list.back();
      list.pop_back();
      return block;
    }
    return fresh(std::size_t{1} << shift);
  }

  void give(std::byte* block, int shift) {
    auto& list = free_[shift - smallest_shift];
    if ((list.size() + 1) << shift > kept_bytes) {
      std::free(block);
      return;
    }
    list.push_back(block);
  }

 private:
  std::array<std::vector<std::byte*>, largest_shift - smallest_shift + 1> free_;
};

thread_local Pool pool;

int shift_for(std::size_t size) {
  int shift = std::bit_width(size - 1);
  return shift < smallest_shift ? smallest_shift : shift;
}

std::byte* allocate(std::size_t size, std::size_t& capacity) {
  int shift = shift_for(size);
  capacity = std::size_t{1} << shift;
  if (shift <= largest_shift && !pool_gone) return pool.take(shift);
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

void Buffer::release() {
  if (data_ == nullptr) return;
  int shift = shift_for(capacity_);
  if (shift <= largest_shift && !pool_gone) {
    pool.give(data_, shift);
  } else {
    std::free(data_);
  }
  data_ = nullptr;
  size_ = capacity_ = 0;
}

}  // namespace rowan
