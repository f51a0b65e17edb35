// How a transaction becomes edits of the table.
//
// Data is kept by 4 KiB blocks of the file: all local bytes of one block of a file lie in one data
// block, and one extent record knows them. A write therefore replaces whole blocks: where it covers
// a block only in part, the local bytes that block had before are copied into the new one, and the
// image's bytes stay holes. So every data block has one owner and is released exactly once, by the
// step that cuts or removes that record.
//
// Dropping many extents at once (a large file removed) would make a transaction of any size. Beyond
// a limit the step leaves a purge mark, which says that what older batches wrote there is dead, and
// the store removes the records bit by bit.
#include "cache/store_stage.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cache/digest.h"

namespace rowan::cache {
namespace {

constexpr std::size_t longest_name = 255;
constexpr std::size_t longest_target = 4096;
constexpr std::uint64_t largest_offset = ~std::uint64_t{0} >> 1;

Result<void> check_record(ObjectId id, const ObjectRecord& record) {
  if (id == no_object) return Error(Errc::invalid, "object 0");
  if (record.name.size() > longest_name || record.target.size() > longest_target)
    return Error(Errc::name_too_long, "name or target of object " + std::to_string(to_number(id)));
  return {};
}

Error about(const Error& error, ObjectId id) {
  if (error.code == Errc::needs_load) return error;
  return Error(error.code, "object " + std::to_string(to_number(id)) + ": " + error.detail);
}

// Puts `bytes` at `skip` into `content`, whose other bytes are there, and sums up its blocks: each
// while its bytes are in the processor's cache.
std::vector<std::uint64_t> copy_and_sum(ByteView bytes, std::size_t skip, ByteSpan content) {
  std::vector<std::uint64_t> sums;
  sums.reserve(content.size() / data_block_size);
  for (std::size_t at = 0; at < content.size(); at += data_block_size) {
    const std::size_t begin = std::max(at, skip);
    const std::size_t end = std::min(at + data_block_size, skip + bytes.size());
    std::memcpy(content.data() + begin, bytes.data() + (begin - skip), end - begin);
    sums.push_back(checksum64(content.subspan(at, data_block_size)));
  }
  return sums;
}

}  // namespace

// ---- the table under the edits so far

Result<std::optional<std::string>> StoreStage::find(const std::string& key) {
  const auto staged = edits_.find(key);
  if (staged != edits_.end()) return staged->second;
  auto value = table_.get(key);
  if (value.failed_with(Errc::not_found)) return std::optional<std::string>();
  if (!value) return std::move(value).error();
  return std::optional<std::string>(std::string(*value));
}

Result<void> StoreStage::visit(const std::string& from, const std::string& to,
                               EntryVisitor visitor) const {
  auto staged = edits_.lower_bound(from);
  const auto end = edits_.lower_bound(to);
  bool more = true;
  // The staged ones below `limit`, or all that are left.
  auto visit_staged = [&](std::optional<std::string_view> limit) -> Result<void> {
    for (; more && staged != end && (!limit || staged->first < *limit); ++staged) {
      if (!staged->second) continue;
      TRY(more, visitor(staged->first, *staged->second));
    }
    return {};
  };
  auto visit_stored = [&](std::string_view key, std::string_view value) -> Result<bool> {
    TRY_VOID(visit_staged(key));
    const bool replaced = staged != end && staged->first == key;
    if (replaced || !more) return more;
    TRY(more, visitor(key, value));
    return more;
  };
  TRY_VOID(table_.visit(from, to, visit_stored));
  return visit_staged({});
}

Result<Ticket> StoreStage::commit(const Counters& before, bool frees_space) {
  TRY_VOID(count_blocks());
  if (!(counters == before)) edits_[counters_key()] = encode(counters);
  for (auto& [key, value] : edits_) {
    if (!value) batch_.erase(key);
    else if (key[0] == static_cast<char>(RecordKind::extent))
      batch_.put_pointing(key, std::move(*value), extent_pointer_at);
    else
      batch_.put(key, std::move(*value));
  }
  batch_.frees_space = frees_space;
  if (batch_.empty()) return table_.applied();
  return table_.apply(batch_);
}

// ---- objects and names

Result<std::optional<ObjectRecord>> StoreStage::record(ObjectId id) {
  TRY(const auto value, find(object_key(id)));
  if (!value) return std::optional<ObjectRecord>();
  TRY(ObjectRecord record, decode_object(*value));
  return std::optional<ObjectRecord>(std::move(record));
}

// Brings the records' data_blocks to what the steps have written and released.
Result<void> StoreStage::count_blocks() {
  for (const auto& [id, change] : block_changes_) {
    TRY(auto now, record(id));
    if (!now) continue;
    const auto blocks = static_cast<std::int64_t>(now->data_blocks) + change;
    now->data_blocks = blocks > 0 ? static_cast<std::uint64_t>(blocks) : 0;
    edits_[object_key(id)] = encode(*now);
    data_blocks_[id] = now->data_blocks;
  }
  return {};
}

Result<void> StoreStage::put_object(ObjectId id, const ObjectRecord& record) {
  TRY_VOID(check_record(id, record));
  TRY(const auto before, this->record(id));
  counters.objects += record.removed ? 0 : 1;
  counters.objects -= before && !before->removed ? 1 : 0;
  ObjectRecord counted = record;
  counted.data_blocks = before ? before->data_blocks : 0;
  edits_[object_key(id)] = encode(counted);
  data_blocks_[id] = counted.data_blocks;
  return {};
}

Result<void> StoreStage::remove_object(ObjectId id, const ObjectRecord& last) {
  TRY_VOID(check_record(id, last));
  TRY(const auto before, record(id));
  counters.objects -= before && !before->removed ? 1 : 0;
  if (is_local(id)) {
    edits_[object_key(id)] = std::nullopt;
  } else {
    ObjectRecord tombstone = last;
    tombstone.removed = true;
    tombstone.data_blocks = before ? before->data_blocks : 0;
    edits_[object_key(id)] = encode(tombstone);
  }
  return drop_beyond(id, 0);
}

Result<void> StoreStage::put_name(ObjectId directory, const std::string& name,
                                  const NameRecord& record) {
  if (name.empty()) return Error(Errc::invalid, "an empty name");
  if (name.size() > longest_name) return Error(Errc::name_too_long, name);
  TRY_VOID(erase_name(directory, name));
  edits_[name_key(directory, name)] = encode(record);
  if (record.child != no_object)
    edits_[sequence_key(directory, record.sequence)] = encode(SequenceRecord{record.child, name});
  return {};
}

Result<void> StoreStage::erase_name(ObjectId directory, const std::string& name) {
  const std::string key = name_key(directory, name);
  TRY(const auto value, find(key));
  if (!value) return {};
  TRY(const NameRecord old, decode_name(*value));
  if (old.child != no_object) edits_[sequence_key(directory, old.sequence)] = std::nullopt;
  edits_[key] = std::nullopt;
  return {};
}

// ---- data

const std::vector<PurgeMark>& StoreStage::marks_of(ObjectId id) const {
  static const std::vector<PurgeMark> none;
  const auto changed = changed_marks_.find(id);
  if (changed != changed_marks_.end()) return changed->second;
  const auto known = purge_marks_.find(id);
  return known == purge_marks_.end() ? none : known->second;
}

void StoreStage::set_marks(ObjectId id, std::vector<PurgeMark> marks) {
  auto& edit = edits_[purge_key(id)];
  edit.reset();
  if (!marks.empty()) edit = encode(marks);
  changed_marks_[id] = std::move(marks);
}

Result<StoreStage::Found> StoreStage::decode(std::string_view key, std::string_view value) const {
  TRY(const ParsedKey parsed, parse_key(key));
  TRY(StoredExtent extent, decode_extent(parsed, value));
  return Found{std::string(key), std::move(extent)};
}

Result<std::vector<StoreStage::Found>> StoreStage::overlapping(ObjectId id, std::uint64_t from,
                                                               std::uint64_t to,
                                                               std::size_t limit) const {
  std::vector<Found> found;
  auto take = [&](std::string_view key, std::string_view value) -> Result<bool> {
    auto decoded = decode(key, value);
    if (!decoded) return about(decoded.error(), id);
    if (decoded->extent.start >= to) return false;
    found.push_back(std::move(*decoded));
    return found.back().extent.end < to && found.size() < limit;
  };
  TRY_VOID(visit(extent_key(id, from + 1), prefix_end(key_prefix(RecordKind::extent, id)), take));
  return found;
}

Result<void> StoreStage::write(const Transaction::Write& step) {
  const auto end = checked_add(step.offset, step.bytes.size());
  if (!end || *end > largest_offset) return Error(Errc::too_big, "a write beyond 2^63");
  if (step.bytes.size() > max_batch_data_bytes / 2)
    return Error(Errc::too_big, "a write too long");
  for (std::uint64_t at = step.offset; at < *end;) {
    const std::uint64_t next = std::min(*end, round_down(at, extent_limit) + extent_limit);
    TRY_VOID(write_chunk({step.id, {at, next}, step.bytes.subspan(at - step.offset, next - at)},
                         step.owner));
    at = next;
  }
  return {};
}

Result<void> StoreStage::write_chunk(const Chunk& chunk,
                                     const std::shared_ptr<const Buffer>& owner) {
  const std::uint64_t from = round_down(chunk.written.begin, data_block_size);
  const std::uint64_t to = round_up(chunk.written.end, data_block_size);
  // One record a block at most, and one that begins before.
  TRY(const auto old, overlapping(chunk.id, from, to, extent_limit / data_block_size + 1));
  // The blocks that stay in the owner's memory.
  ByteRange kept{to, to};
  if (owner) {
    kept.begin = std::min(round_up(chunk.written.begin, data_block_size), to);
    kept.end = std::max(round_down(chunk.written.end, data_block_size), kept.begin);
  }
  Laid laid;
  laid.ranges.push_back(chunk.written);
  TRY_VOID(lay_copied(chunk, old, {from, kept.begin}, laid));
  lay_kept(chunk, owner, kept, laid);
  TRY_VOID(lay_copied(chunk, old, {kept.end, to}, laid));
  for (const Found& found : old) clear_blocks(found, chunk.id, from, to);

  counters.data_blocks += laid.sums.size();
  block_changes_[chunk.id] += static_cast<std::int64_t>(laid.sums.size());
  for (const StoredExtent& extent : lay_down(united(std::move(laid.ranges)), laid.data, laid.sums))
    put_extent(chunk.id, extent);
  return {};
}

// New blocks at `blocks` (whole ones), of the chunk's bytes and of the local ones they had.
Result<void> StoreStage::lay_copied(const Chunk& chunk, const std::vector<Found>& old,
                                    ByteRange blocks, Laid& laid) {
  if (blocks.begin >= blocks.end) return {};
  const ByteRange written{std::max(chunk.written.begin, blocks.begin),
                          std::min(chunk.written.end, blocks.end)};
  Buffer bytes(blocks.end - blocks.begin);
  const ByteSpan content = bytes.span();
  const std::uint64_t last = blocks.end - data_block_size;
  if (written.begin > blocks.begin || (last == blocks.begin && written.end < blocks.end))
    TRY_VOID(keep_old_bytes(old, chunk.id, blocks.begin, written, content, laid.ranges));
  if (last > blocks.begin && written.end < blocks.end) {
    const ByteSpan behind = content.last(data_block_size);
    TRY_VOID(keep_old_bytes(old, chunk.id, last, written, behind, laid.ranges));
  }
  std::vector<std::uint64_t> sums =
      copy_and_sum(chunk.bytes.subspan(written.begin - chunk.written.begin,
                                       written.end - written.begin),
                   written.begin - blocks.begin, content);
  lay(Batch::Data::of(std::move(bytes), std::move(sums)), laid);
  return {};
}

// The same of blocks that the chunk's bytes fill, where they are.
void StoreStage::lay_kept(const Chunk& chunk, const std::shared_ptr<const Buffer>& owner,
                          ByteRange blocks, Laid& laid) {
  if (blocks.begin >= blocks.end) return;
  Batch::Data data;
  data.bytes = chunk.bytes.subspan(blocks.begin - chunk.written.begin, blocks.end - blocks.begin);
  data.owner = owner;
  for (std::size_t at = 0; at < data.bytes.size(); at += data_block_size)
    data.sums.push_back(checksum64(data.bytes.subspan(at, data_block_size)));
  lay(std::move(data), laid);
}

void StoreStage::lay(Batch::Data data, Laid& laid) {
  const bool first = laid.sums.empty();
  laid.sums.insert(laid.sums.end(), data.sums.begin(), data.sums.end());
  const DataPointer pointer = batch_.add_data(std::move(data));
  if (first) laid.data = pointer;
}

// Fills what `written` leaves of one block with the local bytes it had, and zeros; adds their
// ranges.
Result<void> StoreStage::keep_old_bytes(const std::vector<Found>& old, ObjectId id,
                                        std::uint64_t block, ByteRange written, ByteSpan content,
                                        std::vector<ByteRange>& ranges) {
  const std::uint64_t end = block + data_block_size;
  const std::uint64_t begin_new = std::max(written.begin, block);
  const std::uint64_t end_new = std::min(written.end, end);
  std::memset(content.data(), 0, begin_new - block);
  std::memset(content.data() + (end_new - block), 0, end - end_new);
  for (const Found& found : old) {
    const auto live = live_part(found.extent, marks_of(id));
    if (!live) continue;
    std::vector<ByteRange> kept = ranges_within(*live, block, begin_new);
    const std::vector<ByteRange> behind = ranges_within(*live, end_new, end);
    kept.insert(kept.end(), behind.begin(), behind.end());
    if (kept.empty()) continue;
    std::byte bytes[data_block_size];
    auto read = read_block(*live, block / data_block_size, bytes);
    if (!read) return about(read.error(), id);
    for (const ByteRange& range : kept)
      std::memcpy(content.data() + (range.begin - block), bytes + (range.begin - block),
                  range.end - range.begin);
    ranges.insert(ranges.end(), kept.begin(), kept.end());
  }
  return {};
}

Result<void> StoreStage::read_block(const StoredExtent& extent, std::uint64_t block,
                                    ByteSpan into) const {
  const std::uint64_t index = block - extent.first_block();
  DataPointer at = extent.data;
  at.block += static_cast<std::uint32_t>(index);
  if (Batch::is_provisional(at)) {
    std::memcpy(into.data(), batch_.block(at).data(), data_block_size);
    return {};
  }
  return table_.read_data(at, std::span(&extent.sums[index], 1), into);
}

void StoreStage::put_extent(ObjectId id, const StoredExtent& extent) {
  edits_[extent_key(id, extent.end)] = encode(extent);
}

void StoreStage::release_all(ObjectId id, const StoredExtent& extent, std::uint64_t from_block,
                             std::uint64_t end_block) {
  const std::uint64_t first = std::max(extent.first_block(), from_block);
  const std::uint64_t end = std::min(extent.end_block(), end_block);
  if (first >= end) return;
  DataPointer at = extent.data;
  at.block += static_cast<std::uint32_t>(first - extent.first_block());
  batch_.release(at, static_cast<std::uint32_t>(end - first));
  counters.data_blocks -= end - first;
  block_changes_[id] -= static_cast<std::int64_t>(end - first);
}

// Takes the blocks of [from, to) out of a record; both are multiples of a block.
void StoreStage::clear_blocks(const Found& found, ObjectId id, std::uint64_t from,
                              std::uint64_t to) {
  edits_[found.key] = std::nullopt;
  release_all(id, found.extent, from / data_block_size, to / data_block_size);
  if (const auto before = cut(found.extent, 0, from)) put_extent(id, *before);
  if (const auto after = cut(found.extent, to, found.extent.end)) put_extent(id, *after);
}

// ---- dropping

Result<void> StoreStage::truncate(ObjectId id, std::uint64_t size) {
  return drop_beyond(id, size);
}

void StoreStage::cut_beyond(ObjectId id, const Found& found, std::uint64_t size) {
  edits_[found.key] = std::nullopt;
  const auto left = cut(found.extent, 0, size);
  release_all(id, found.extent, left ? left->end_block() : 0, found.extent.end_block());
  if (left) put_extent(id, *left);
}

Result<void> StoreStage::drop_beyond(ObjectId id, std::uint64_t size) {
  if (size >= largest_offset) return {};
  TRY(const auto found, overlapping(id, size, ~std::uint64_t{0}, eager_drops_ + 1));
  if (found.size() <= eager_drops_) {
    for (const Found& one : found) cut_beyond(id, one, size);
    return {};
  }
  TRY_VOID(drop_staged_beyond(id, size));
  std::vector<PurgeMark> marks = marks_of(id);
  if (!add_mark(marks, {size, table_.applied()}))
    return Error(Errc::try_later, "too many truncations are not worked off yet");
  set_marks(id, std::move(marks));
  return {};
}

// What this very transaction wrote: a mark is about older batches only.
Result<void> StoreStage::drop_staged_beyond(ObjectId id, std::uint64_t size) {
  const auto begin = edits_.lower_bound(extent_key(id, size + 1));
  const auto end = edits_.lower_bound(prefix_end(key_prefix(RecordKind::extent, id)));
  std::vector<Found> staged;
  for (auto at = begin; at != end; ++at) {
    if (!at->second) continue;
    TRY(Found found, decode(at->first, *at->second));
    if (Batch::is_provisional(found.extent.data)) staged.push_back(std::move(found));
  }
  for (const Found& found : staged) cut_beyond(id, found, size);
  return {};
}

Result<bool> StoreStage::purge(ObjectId id, std::uint64_t& cursor) {
  const std::vector<PurgeMark> marks = marks_of(id);
  std::uint64_t from = cursor;
  if (from == 0 && !marks.empty()) {
    from = ~std::uint64_t{0};
    for (const PurgeMark& mark : marks) from = std::min(from, mark.from);
  }
  const std::size_t most = 2 * eager_drops_;
  TRY(const auto found, overlapping(id, from, ~std::uint64_t{0}, most));
  for (const Found& one : found) {
    cursor = one.extent.end;
    const auto live = live_part(one.extent, marks);
    if (!live) cut_beyond(id, one, 0);
    else if (live->end != one.extent.end) cut_beyond(id, one, live->end);
  }
  if (found.size() == most) {
    // A batch even if all of them live: what follows is looked at after it.
    set_marks(id, marks);
    return false;
  }
  set_marks(id, {});
  return true;
}

}  // namespace rowan::cache
