// Two passes. The first goes down the children's trees as far as pages are younger than the state,
// and notes the older ones: these are the state's, with all below them. No leaf is read for it. The
// second goes down the state's tree and stops at those and at pages that are the parent's; what it
// meets is the state's alone. Of the records in its leaves it takes the data blocks that no record
// of a child refers to. A change may have moved a block to another record, but not out of the group
// that the decoder names, so the children's records of that group tell.
#include "cache/table_drop.h"

#include <algorithm>
#include <utility>

#include "cache/table_tree.h"

namespace rowan::cache {
namespace {

constexpr std::size_t most_child_pages = 64;

}  // namespace

DropWalk::DropWalk(DropInput input) : in_(std::move(input)) {
  std::erase_if(in_.children, [](const TreeRoot& root) { return root.pointer.absent(); });
  for (const TreeRoot& child : in_.children) child_left_.push_back({child.pointer, child.level});
  if (!in_.state.pointer.absent()) state_left_.push_back({in_.state.pointer, in_.state.level});
}

Result<bool> DropWalk::step(std::size_t pages) {
  const std::size_t end = loads_ + pages;
  while (loads_ < end) {
    if (!child_left_.empty()) {
      const Place place = child_left_.back();
      child_left_.pop_back();
      TRY_VOID(find_shared(place));
    } else if (!state_left_.empty()) {
      const Place place = state_left_.back();
      state_left_.pop_back();
      TRY_VOID(take_own(place));
    } else {
      return true;
    }
  }
  return false;
}

Result<Buffer> DropWalk::load(const Place& place) {
  ++loads_;
  TRY(LoadedPage loaded, load_page(*in_.tree, place.pointer, place.level, in_.epoch));
  return std::move(loaded.bytes);
}

void DropWalk::push_children(std::vector<Place>& stack, const PageView& page) {
  const auto level = static_cast<std::uint8_t>(page.level() - 1);
  // The first is looked at first: groups come in order.
  for (std::size_t i = page.count(); i > 0; --i) stack.push_back({page.child(i - 1), level});
}

Result<void> DropWalk::find_shared(const Place& place) {
  if (place.pointer.birth <= in_.after) return {};
  if (place.pointer.birth <= in_.through) {
    shared_.insert(place.pointer.page);
    return {};
  }
  if (place.level == 0) return {};
  TRY(const Buffer bytes, load(place));
  push_children(child_left_, PageView(bytes.view()));
  return {};
}

Result<void> DropWalk::take_own(const Place& place) {
  if (place.pointer.birth <= in_.after || shared_.contains(place.pointer.page)) return {};
  pages_.push_back(place.pointer);
  if (place.level == 0 && in_.find_data == nullptr) return {};
  TRY(const Buffer bytes, load(place));
  const PageView page(bytes.view());
  if (place.level == 0) return take_records(page);
  push_children(state_left_, page);
  return {};
}

// ---- data

Result<void> DropWalk::take_records(const PageView& leaf) {
  for (std::size_t i = 0; i < leaf.count(); ++i) {
    const LeafEntry entry = leaf.leaf_entry(i);
    if (!entry.value) continue;
    TRY(const RecordData data, in_.find_data(entry.key, *entry.value));
    if (data.blocks == 0 || data.first.birth <= in_.after) continue;
    TRY_VOID(look_at_group(data));
    take_blocks(data);
  }
  return {};
}

Result<void> DropWalk::look_at_group(const RecordData& data) {
  if (data.group_from == group_from_ && data.group_to == group_to_) return {};
  group_from_ = data.group_from;
  group_to_ = data.group_to;
  child_blocks_.clear();
  for (const TreeRoot& child : in_.children)
    TRY_VOID(scan_child({child.pointer, child.level}, group_from_, group_to_));
  child_blocks_ = join_ranges(std::move(child_blocks_));
  return {};
}

Result<void> DropWalk::scan_child(const Place& place, std::string_view from, std::string_view to) {
  auto found = child_pages_.find(place.pointer.page);
  if (found == child_pages_.end()) {
    TRY(Buffer bytes, load(place));
    if (place.level == 0 && child_pages_.size() >= most_child_pages) child_pages_.clear();
    found = child_pages_.emplace(place.pointer.page, std::move(bytes)).first;
  }
  const PageView page(found->second.view());
  if (place.level == 0) {
    if (page.lost_base()) return lost_base_error(place.pointer);
    return take_child_records(page, from, to);
  }
  // Below, the cache may let this page go.
  std::vector<PagePointer> children;
  for (std::size_t i = page.child_for(from); i < page.count(); ++i) {
    if (i > 0 && page.key(i) >= to) break;
    children.push_back(page.child(i));
  }
  const auto level = static_cast<std::uint8_t>(place.level - 1);
  for (const PagePointer& child : children) TRY_VOID(scan_child({child, level}, from, to));
  return {};
}

Result<void> DropWalk::take_child_records(const PageView& leaf, std::string_view from,
                                          std::string_view to) {
  for (std::size_t i = leaf.lower_bound(from); i < leaf.count(); ++i) {
    const LeafEntry entry = leaf.leaf_entry(i);
    if (entry.key >= to) break;
    if (!entry.value) continue;
    TRY(const RecordData data, in_.find_data(entry.key, *entry.value));
    if (data.blocks != 0)
      child_blocks_.push_back({data.first.segment, data.first.block, data.blocks});
  }
  return {};
}

// The record's blocks without the child's.
void DropWalk::take_blocks(const RecordData& data) {
  const std::uint32_t segment = data.first.segment;
  std::uint32_t at = data.first.block;
  const std::uint32_t end = at + data.blocks;
  auto take_to = [&](std::uint32_t to) {
    if (at < to) blocks_.push_back({segment, at, to - at});
  };
  for (const DeadRange& kept : child_blocks_) {
    if (kept.segment != segment || kept.block + kept.count <= at) continue;
    if (kept.block >= end) break;
    take_to(kept.block);
    at = std::min(end, kept.block + kept.count);
  }
  take_to(end);
}

}  // namespace rowan::cache
