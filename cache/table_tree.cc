#include "cache/table_tree.h"

#include <utility>

namespace rowan::cache {
namespace {

Result<Buffer> read_page(const File& tree, std::uint32_t number, const PagePointer& pointer,
                         std::uint8_t level, std::uint64_t epoch) {
  Buffer bytes(page_size);
  TRY(const std::size_t got, tree.read_at(std::uint64_t{number} * page_size, bytes.span()));
  bytes.resize_within(got);
  TRY_VOID(check_page(bytes.view(), pointer, level, epoch));
  return bytes;
}

}  // namespace

Result<LoadedPage> load_page(const File& tree, const PagePointer& pointer, std::uint8_t level,
                             std::uint64_t epoch) {
  auto first = read_page(tree, pointer.page, pointer, level, epoch);
  if (first) return LoadedPage{std::move(*first), false};
  if (pointer.copy != 0) {
    auto second = read_page(tree, pointer.copy, pointer, level, epoch);
    if (second) return LoadedPage{std::move(*second), true};
  }
  return Error(first.error().code, describe(pointer) + ": " + first.error().detail);
}

TreePages::TreePages(std::shared_ptr<const File> tree, std::uint64_t epoch,
                     std::uint64_t limit_bytes)
    : tree_(std::move(tree)), epoch_(epoch), limit_bytes_(limit_bytes) {}

Result<PageView> TreePages::get(const PagePointer& pointer, std::uint8_t level) {
  wanted_ = {pointer, level};
  const auto at = pages_.find(pointer.page);
  if (at != pages_.end() && at->second.checksum == pointer.checksum) {
    uses_.splice(uses_.begin(), uses_, at->second.use);
    return PageView(at->second.bytes.view());
  }
  if (failed_ && failed_->first == pointer) {
    Error error = std::move(failed_->second);
    failed_.reset();
    return error;
  }
  Buffer bytes(page_size);
  auto got = tree_->read_cached(std::uint64_t{pointer.page} * page_size, bytes.span());
  if (!got) return Errc::needs_load;
  bytes.resize_within(*got);
  // A damaged page is the job's to judge: it knows the copy.
  if (!check_page(bytes.view(), pointer, level, epoch_)) return Errc::needs_load;
  keep(pointer, std::move(bytes));
  return PageView(pages_.find(pointer.page)->second.bytes.view());
}

void TreePages::insert(const PagePointer& pointer, Result<LoadedPage> loaded) {
  if (!loaded) {
    failed_.emplace(pointer, std::move(loaded).error());
    return;
  }
  if (loaded->from_copy) ++repaired_;
  keep(pointer, std::move(loaded->bytes));
}

void TreePages::keep(const PagePointer& pointer, Buffer bytes) {
  auto [at, added] = pages_.try_emplace(pointer.page);
  if (added) {
    uses_.push_front(pointer.page);
    at->second.use = uses_.begin();
  } else {
    uses_.splice(uses_.begin(), uses_, at->second.use);
  }
  at->second.bytes = std::move(bytes);
  at->second.checksum = pointer.checksum;
}

void TreePages::trim() {
  while (bytes() > limit_bytes_ && pages_.size() > max_tree_level) {
    pages_.erase(uses_.back());
    uses_.pop_back();
  }
}

Result<FoundLeaf> find_leaf(TreePages& pages, const TreeRoot& root, std::string_view key) {
  PagePointer pointer = root.pointer;
  std::optional<std::string_view> upper;
  for (std::uint8_t level = root.level; level > 0; --level) {
    TRY(const PageView page, pages.get(pointer, level));
    const std::size_t index = page.child_for(key);
    if (index + 1 < page.count()) upper = page.key(index + 1);
    pointer = page.child(index);
  }
  TRY(const PageView leaf, pages.get(pointer, 0));
  return FoundLeaf{leaf, upper};
}

Error lost_base_error(const PagePointer& page) {
  return Error(Errc::corrupt, describe(page) +
                                  ": replaces a page that was damaged; what is not in it "
                                  "may be lost");
}

}  // namespace rowan::cache
