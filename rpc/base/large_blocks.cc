#include "rpc/base/large_blocks.h"

#include <sys/mman.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#include "rpc/base/check.h"

// Regions of address space are cut into blocks from the front, and never given back: only their
// pages are. What is lost at a region's end is less than a block of addresses, not of memory.

namespace rowan::large_blocks {
namespace {

constexpr std::size_t huge_page = 2u << 20;
constexpr std::size_t region_size = 32u << 20;

class Regions {
 public:
  std::byte* take(std::size_t size) {
    std::lock_guard lock(mutex_);
    auto& list = free_[size / step];
    if (!list.empty()) {
      std::byte* block = list.back();
      list.pop_back();
      return block;
    }
    if (left_ < size) map_region();
    std::byte* block = at_;
    at_ += size;
    left_ -= size;
    return block;
  }

  void give(std::byte* block, std::size_t size) {
    // Failing leaves it as it is: the memory is not given back, but used again.
    ::madvise(block, size, MADV_DONTNEED);
    std::lock_guard lock(mutex_);
    free_[size / step].push_back(block);
  }

 private:
  void map_region() {
    void* place = ::mmap(nullptr, region_size + huge_page, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED) throw std::bad_alloc();
    auto begin = reinterpret_cast<std::uintptr_t>(place);
    std::size_t skip = (huge_page - begin % huge_page) % huge_page;
    at_ = static_cast<std::byte*>(place) + skip;
    left_ = region_size;
    ::madvise(at_, left_, MADV_HUGEPAGE);  // a system without them has small pages: slower only
  }

  std::mutex mutex_;  // guards all
  std::array<std::vector<std::byte*>, largest / step + 1> free_;
  std::byte* at_ = nullptr;
  std::size_t left_ = 0;
};

// Never destroyed: buffers in statics and thread-locals may be the last to go.
Regions& regions() {
  static auto* all = new Regions;
  return *all;
}

}  // namespace

#ifdef __SANITIZE_ADDRESS__
// The sanitizer sees the ends of blocks that malloc made.
std::byte* take(std::size_t size) {
  void* block = std::aligned_alloc(4096, size);
  if (block == nullptr) throw std::bad_alloc();
  return static_cast<std::byte*>(block);
}
void give(std::byte* block, std::size_t) { std::free(block); }
#else
std::byte* take(std::size_t size) {
  CHECK(size >= smallest && size <= largest && size % step == 0);
  return regions().take(size);
}
void give(std::byte* block, std::size_t size) { regions().give(block, size); }
#endif

}  // namespace rowan::large_blocks
