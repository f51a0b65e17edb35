// Reading the tree: pages by pointer, through a bounded cache, and the leaf a key belongs to.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "cache/file.h"
#include "cache/table_page.h"
#include "rpc/base/buffer.h"
#include "rpc/base/result.h"

namespace rowan::cache {

// Reads and checks a page, its copy if the first is damaged. For disk threads. corrupt and io name
// the page.
struct LoadedPage {
  Buffer bytes;
  bool from_copy = false;   // the first one is damaged
};
Result<LoadedPage> load_page(const File& tree, const PagePointer& pointer, std::uint8_t level,
                             std::uint64_t epoch);

struct WantedPage {
  PagePointer pointer;
  std::uint8_t level = 0;
};

class TreePages {
 public:
  TreePages(std::shared_ptr<const File> tree, std::uint64_t epoch, std::uint64_t limit_bytes);

  // needs_load: wanted() says what; corrupt or io: its last load failed, asking again loads again.
  // A view stays valid until trim() or insert().
  Result<PageView> get(const PagePointer& pointer, std::uint8_t level);
  const WantedPage& wanted() const { return wanted_; }   // what get() was last asked for
  void insert(const PagePointer& pointer, Result<LoadedPage> loaded);
  void trim();   // back to the limit

  const std::shared_ptr<const File>& file() const { return tree_; }
  std::uint64_t epoch() const { return epoch_; }
  std::uint64_t bytes() const { return pages_.size() * page_size; }
  std::uint64_t repaired() const { return repaired_; }   // loads that needed the copy

 private:
  struct Held {
    Buffer bytes;
    std::uint64_t checksum = 0;
    std::list<std::uint32_t>::iterator use;
  };
  void keep(const PagePointer& pointer, Buffer bytes);

  std::shared_ptr<const File> tree_;
  std::uint64_t epoch_, limit_bytes_, repaired_ = 0;
  std::unordered_map<std::uint32_t, Held> pages_;
  std::list<std::uint32_t> uses_;             // most recent first
  WantedPage wanted_;
  std::optional<std::pair<PagePointer, Error>> failed_;   // the answer to the next get() of it
};

struct FoundLeaf {
  PageView page;
  // keys from here on lie in later leaves; nothing: the last
  std::optional<std::string_view> upper;
};
// The leaf `key` belongs to; the tree is not empty. Errors as TreePages::get().
Result<FoundLeaf> find_leaf(TreePages& pages, const TreeRoot& root, std::string_view key);

// What a leaf whose base was lost says about keys it does not hold.
Error lost_base_error(const PagePointer& page);

}  // namespace rowan::cache
