// An array that grows without copying: its elements lie in chunks of fixed size. Growing it never
// doubles the memory of a large index for a moment, as a vector would.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace rowan::cache {

template <class T, std::size_t chunk_elements = 4096>
class Chunked {
 public:
  std::size_t size() const { return size_; }
  // Adds value-initialised elements until there are `size`; never shrinks.
  void grow(std::size_t size) {
    while (chunks_.size() * chunk_elements < size) {
      chunks_.push_back(std::make_unique<T[]>(chunk_elements));
    }
    if (size > size_) size_ = size;
  }
  T& operator[](std::size_t index) {
    return chunks_[index / chunk_elements][index % chunk_elements];
  }
  const T& operator[](std::size_t index) const {
    return chunks_[index / chunk_elements][index % chunk_elements];
  }
  std::size_t memory_bytes() const {
    return chunks_.size() * (chunk_elements * sizeof(T)) + chunks_.capacity() * sizeof(chunks_[0]);
  }

 private:
  std::vector<std::unique_ptr<T[]>> chunks_;
  std::size_t size_ = 0;
};

}  // namespace rowan::cache
