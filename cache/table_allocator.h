// Which pages of the tree file are in use. A page freed by a merge is not handed out again before
// that merge is durable: until then the old tree may be needed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rowan::cache {

class PageAllocator {
 public:
  PageAllocator() : used_(1, 1), page_count_(1) {}   // page 0 is never used: it means "absent"

  std::uint32_t allocate();          // never 0; grows the file when no page is free
  void release(std::uint32_t page);  // takes effect at settle(); 0 is ignored
  void settle();                     // what was released may be handed out

  std::uint32_t page_count() const { return page_count_; }
  std::uint64_t used_count() const;
  bool is_used(std::uint32_t page) const;

  // One bit per page; released pages are already free in it.
  std::string bitmap() const;
  static PageAllocator from_bitmap(std::string_view bitmap, std::uint32_t page_count);

 private:
  std::vector<std::uint64_t> used_;
  std::uint32_t page_count_;
  std::size_t first_free_word_ = 0;  // no free page before this word
  std::vector<std::uint32_t> released_;
};

}  // namespace rowan::cache
