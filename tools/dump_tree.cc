// Page checksums are kept by the pages above. Those are looked for by place, all over the file, so
// that a damaged upper page hides only what it says itself.
#include "tools/dump_tree.h"

#include <utility>

#include "cache/layout.h"
#include "cache/table_merge.h"
#include "cache/table_tree.h"
#include "tools/dump_item.h"

namespace rowan::tools {

using namespace cache;

Result<void> check_claim(ByteView bytes, const PageClaim& claim) {
  return check_page(bytes, claim.pointer, claim.level, claim.epoch);
}

TreeKnowledge TreeKnowledge::of(Directory& directory, const File& tree) {
  TreeKnowledge knowledge;
  auto file = directory.open(layout::superblock, OpenMode::read);
  if (!file) return knowledge;
  auto found = read_superblock(**file, directory.path());
  if (!found) return knowledge;
  const Superblock& superblock = found->superblock;
  knowledge.epoch_ = superblock.epoch;
  knowledge.records_ = own::load(tree, superblock.meta, superblock.epoch);
  for (const PagePointer& page : superblock.bitmap) {
    knowledge.expect(page);
    knowledge.bitmap_.insert({page.page, page.copy});
  }
  auto used = load_bitmap(tree, superblock.bitmap, superblock.page_count, superblock.epoch);
  if (!used) return knowledge;
  knowledge.used_ = std::move(*used);
  knowledge.expect(superblock.meta.pointer);
  knowledge.expect_children(tree);
  return knowledge;
}

bool TreeKnowledge::is_used(std::uint32_t page) const {
  return !used_ || page >= used_->page_count() || used_->is_used(page);
}

std::optional<std::uint64_t> TreeKnowledge::checksum(std::uint32_t page) const {
  const auto found = checksums_.find(page);
  if (found == checksums_.end()) return {};
  return found->second;
}

void TreeKnowledge::expect(const PagePointer& pointer) {
  for (const std::uint32_t page : {pointer.page, pointer.copy}) {
    if (page != 0) checksums_[page] = pointer.checksum;
  }
}

void TreeKnowledge::expect_children(const File& tree) {
  if (records_) {
    for (const auto& [id, state] : records_->states) expect(state.root.pointer);
  }
  for (std::uint32_t page = 1; page < used_->page_count(); ++page) {
    if (!used_->is_used(page)) continue;
    auto bytes = read_bytes(tree, std::uint64_t{page} * page_size, page_size);
    if (!bytes) continue;
    const auto claim = claim_of(bytes->view());
    if (!claim || claim->level == 0 || !check_claim(bytes->view(), *claim)) continue;
    const PageView view(bytes->view());
    for (std::size_t i = 0; i < view.count(); ++i) expect(view.child(i));
  }
}

Result<std::set<std::uint32_t>> TreeKnowledge::pages_of(const File& tree, StateId state) const {
  if (!records_)
    return Error(Errc::not_found, "the states cannot be told: " + to_string(records_.error()));
  const auto found = records_->states.find(state);
  if (found == records_->states.end())
    return Error(Errc::not_found, "no merged state " + std::to_string(to_number(state)));
  std::set<std::uint32_t> pages;
  const TreeRoot& root = found->second.root;
  if (!root.pointer.absent()) add_pages(tree, root.pointer, root.level, pages);
  return pages;
}

void TreeKnowledge::add_pages(const File& tree, const PagePointer& pointer, std::uint8_t level,
                              std::set<std::uint32_t>& into) const {
  into.insert(pointer.page);
  if (pointer.copy != 0) into.insert(pointer.copy);
  if (level == 0) return;
  const auto loaded = load_page(tree, pointer, level, epoch_);
  if (!loaded) return;   // printed as damaged at its place
  const PageView view(loaded->bytes.view());
  for (std::size_t i = 0; i < view.count(); ++i)
    add_pages(tree, view.child(i), static_cast<std::uint8_t>(level - 1), into);
}

}  // namespace rowan::tools
