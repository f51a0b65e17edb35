#include "cache/table_allocator.h"

#include <bit>
#include <string_view>

#include "rpc/base/bytes.h"
#include "rpc/base/check.h"

namespace rowan::cache {

std::uint32_t PageAllocator::allocate() {
  for (std::size_t word = first_free_word_; word < used_.size(); ++word) {
    if (used_[word] == ~std::uint64_t{0}) continue;
    first_free_word_ = word;
    const int bit = std::countr_one(used_[word]);
    used_[word] |= std::uint64_t{1} << bit;
    const auto page = static_cast<std::uint32_t>(word * 64 + static_cast<std::size_t>(bit));
    if (page >= page_count_) page_count_ = page + 1;
    return page;
  }
  first_free_word_ = used_.size();
  used_.push_back(1);
  const auto page = static_cast<std::uint32_t>((used_.size() - 1) * 64);
  CHECK_LT(page, ~std::uint32_t{0} - 64);
  page_count_ = page + 1;
  return page;
}

void PageAllocator::release(std::uint32_t page) {
  if (page != 0) released_.push_back(page);
}

void PageAllocator::settle() {
  for (const std::uint32_t page : released_) {
    const std::size_t word = page / 64;
    if (word >= used_.size()) continue;  // a damaged pointer named it: nothing to give back
    used_[word] &= ~(std::uint64_t{1} << (page % 64));
    if (word < first_free_word_) first_free_word_ = word;
  }
  released_.clear();
}

std::uint64_t PageAllocator::used_count() const {
  std::uint64_t count = 0;
  for (const std::uint64_t word : used_) count += static_cast<std::uint64_t>(std::popcount(word));
  return count;
}

bool PageAllocator::is_used(std::uint32_t page) const {
  return page / 64 < used_.size() && (used_[page / 64] >> (page % 64) & 1) != 0;
}

std::string PageAllocator::bitmap() const {
  PageAllocator settled = *this;
  settled.settle();
  std::string bytes(settled.used_.size() * 8, '\0');
  for (std::size_t i = 0; i < settled.used_.size(); ++i)
    store_le(reinterpret_cast<std::byte*>(bytes.data() + i * 8), settled.used_[i]);
  return bytes;
}

PageAllocator PageAllocator::from_bitmap(std::string_view bitmap, std::uint32_t page_count) {
  PageAllocator allocator;
  allocator.used_.assign(bitmap.size() / 8, 0);
  for (std::size_t i = 0; i < allocator.used_.size(); ++i)
    allocator.used_[i] =
        load_le<std::uint64_t>(reinterpret_cast<const std::byte*>(bitmap.data() + i * 8));
  if (allocator.used_.empty()) allocator.used_.push_back(0);
  allocator.used_[0] |= 1;
  allocator.page_count_ = page_count;
  return allocator;
}

}  // namespace rowan::cache
