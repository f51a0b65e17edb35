// A move-only run of bytes from a per-thread pool. Records, replies and fetched blocks live in
// these; the pool keeps the hot path free of malloc for every size up to a full record. A buffer
// may die on another thread than the one that made it: it then feeds that thread's pool.
#pragma once

#include <cstddef>
#include <utility>

#include "rpc/base/bytes.h"

namespace rowan {

class Buffer {
 public:
  Buffer() = default;
  // `size` bytes, not cleared.
  explicit Buffer(std::size_t size);
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)),
        front_(std::exchange(other.front_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    if (this != &other) {
      release();
      data_ = std::exchange(other.data_, nullptr);
      size_ = std::exchange(other.size_, 0);
      capacity_ = std::exchange(other.capacity_, 0);
      front_ = std::exchange(other.front_, 0);
    }
    return *this;
  }
  ~Buffer() { release(); }

  static Buffer copy_of(ByteView bytes);

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  ByteSpan span() { return {data_, size_}; }
  ByteView view() const { return {data_, size_}; }

  // Changes the size within the capacity.
  void resize_within(std::size_t size);
  // At least `capacity` bytes, keeping the contents.
  void reserve(std::size_t capacity);
  // Lets the first `count` bytes go: those behind them stay where they are.
  void trim_front(std::size_t count);

 private:
  void release();

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;  // from data_ on
  std::size_t front_ = 0;     // before data_
};

}  // namespace rowan
