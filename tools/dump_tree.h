// What a table's superblock, bitmap and upper pages say of the pages of its tree file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "cache/file.h"
#include "cache/table_allocator.h"
#include "cache/table_own.h"
#include "cache/table_page.h"
#include "cache/table_superblock.h"
#include "rpc/base/result.h"

namespace rowan::tools {

class TreeKnowledge {
 public:
  // As much as can be read; without a superblock nothing is known.
  static TreeKnowledge of(cache::Directory& directory, const cache::File& tree);

  // A page that nothing is known of counts as used.
  bool is_used(std::uint32_t page) const;
  bool is_bitmap(std::uint32_t page) const { return bitmap_.contains(page); }
  // The checksum that the pages above expect; nothing: no page that can be read points there.
  std::optional<std::uint64_t> checksum(std::uint32_t page) const;
  // corrupt: says why they cannot be read. not_found: no superblock.
  const Result<cache::own::Records>& records() const { return records_; }

  // The pages of a state's tree, without what lies below an unreadable one. not_found: no such
  // state.
  Result<std::set<std::uint32_t>> pages_of(const cache::File& tree, cache::StateId state) const;

 private:
  void expect(const cache::PagePointer& pointer);
  void expect_children(const cache::File& tree);
  void add_pages(const cache::File& tree, const cache::PagePointer& pointer, std::uint8_t level,
                 std::set<std::uint32_t>& into) const;

  std::uint64_t epoch_ = 0;
  std::optional<cache::PageAllocator> used_;            // nothing: the bitmap cannot be read
  std::map<std::uint32_t, std::uint64_t> checksums_;
  std::set<std::uint32_t> bitmap_;
  Result<cache::own::Records> records_ = Errc::not_found;
};

// The page against what it says of itself: place and checksum aside.
Result<void> check_claim(ByteView bytes, const cache::PageClaim& claim);

}  // namespace rowan::tools
