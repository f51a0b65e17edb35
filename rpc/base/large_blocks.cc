#include "rpc/base/large_blocks.h"

#include <sys/mman.h>

#include <bitset>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <map>
#include <mutex>
#include <new>

#include "rpc/base/check.h"

// Regions of address space are cut into runs of steps, the first that fits in the lowest region.
// What is given back joins its free neighbours, whatever sizes they had, and a region without
// blocks goes back to the system, but for one: addresses count against limits of the process
// (RLIMIT_DATA) as memory does.

namespace rowan::large_blocks {
namespace {

constexpr std::size_t huge_page = 2u << 20;
constexpr std::size_t region_size = 32u << 20;
constexpr std::size_t region_steps = region_size / step;

// `region_size` of address space that starts on a huge page.
std::byte* map_region() {
  constexpr std::size_t mapped = region_size + huge_page;
  void* place = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) throw std::bad_alloc();
  auto begin = reinterpret_cast<std::uintptr_t>(place);
  std::size_t skip = (huge_page - begin % huge_page) % huge_page;
  auto* region = static_cast<std::byte*>(place) + skip;
  // Neither cut can fail but for want of a mapping, and then there are some addresses too many.
  if (skip > 0) ::munmap(place, skip);
  ::munmap(region + region_size, huge_page - skip);
  ::madvise(region, region_size, MADV_HUGEPAGE);  // a system without them: slower only
  return region;
}

class Regions {
 public:
  std::byte* take(std::size_t size) {
    std::lock_guard lock(mutex_);
    std::size_t count = size / step;
    for (auto& [base, region] : regions_) {
      if (region_steps - region.used < count) continue;
      std::size_t at = find(region, count);
      if (at < region_steps) return cut(base, region, at, count);
    }
    auto made = regions_.emplace(map_region(), Region()).first;
    ++empty_;
    return cut(made->first, made->second, 0, count);
  }

  void give(std::byte* block, std::size_t size) {
    // Failing leaves it as it is: the memory is not given back, but used again.
    ::madvise(block, size, MADV_DONTNEED);
    std::lock_guard lock(mutex_);
    auto place = std::prev(regions_.upper_bound(block));
    Region& region = place->second;
    auto at = static_cast<std::size_t>(block - place->first) / step;
    for (std::size_t i = at; i < at + size / step; ++i) region.taken.reset(i);
    region.used -= size / step;
    if (region.used > 0) return;
    if (empty_ > 0) {
      ::munmap(place->first, region_size);
      regions_.erase(place);
    } else {
      ++empty_;
    }
  }

 private:
  struct Region {
    std::bitset<region_steps> taken;
    std::size_t used = 0;  // steps
  };

  // The first run of `count` free steps; `region_steps` if there is none.
  static std::size_t find(const Region& region, std::size_t count) {
    std::size_t run = 0;
    for (std::size_t i = 0; i < region_steps; ++i) {
      run = region.taken[i] ? 0 : run + 1;
      if (run == count) return i + 1 - count;
    }
    return region_steps;
  }

  std::byte* cut(std::byte* base, Region& region, std::size_t at, std::size_t count) {
    if (region.used == 0) --empty_;
    for (std::size_t i = at; i < at + count; ++i) region.taken.set(i);
    region.used += count;
    return base + at * step;
  }

  std::mutex mutex_;  // guards all
  std::map<std::byte*, Region> regions_;
  std::size_t empty_ = 0;  // regions without blocks: one at most
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
