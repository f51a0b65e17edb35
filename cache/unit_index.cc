#include "cache/unit_index.h"

#include <algorithm>

#include "cache/digest.h"
#include "rpc/base/check.h"

namespace rowan::cache {
namespace {

constexpr std::size_t least_buckets = 1024;

}  // namespace

BlockSums BlockSums::of(ByteView unit) {
  BlockSums sums;
  for (std::uint32_t i = 0; i < blocks_of(static_cast<std::uint32_t>(unit.size())); ++i) {
    std::size_t offset = std::size_t{i} * sum_block;
    std::size_t length = std::min<std::size_t>(sum_block, unit.size() - offset);
    std::uint64_t sum = checksum64(unit.subspan(offset, length));
    sums.low[i] = static_cast<std::uint32_t>(sum);
    sums.high[i] = static_cast<std::uint16_t>(sum >> 32);
  }
  return sums;
}

bool BlockSums::match(std::uint32_t first, ByteView bytes) const {
  for (std::uint32_t i = 0; i < blocks_of(static_cast<std::uint32_t>(bytes.size())); ++i) {
    std::size_t offset = std::size_t{i} * sum_block;
    std::size_t length = std::min<std::size_t>(sum_block, bytes.size() - offset);
    std::uint64_t sum = checksum64(bytes.subspan(offset, length));
    if (low[first + i] != static_cast<std::uint32_t>(sum)) return false;
    if (high[first + i] != static_cast<std::uint16_t>(sum >> 32)) return false;
  }
  return true;
}

void UnitIndex::Entry::set_in_memory(bool on) {
  length_and_flags =
      static_cast<std::uint16_t>((length_and_flags & ~0x4000u) | (on ? 0x4000u : 0u));
}

void UnitIndex::Entry::set_blocks(std::uint32_t blocks) {
  version_and_blocks = static_cast<std::uint16_t>((version_and_blocks & 0x0fffu) | blocks << 12);
}

std::uint64_t UnitIndex::hash_of(std::uint64_t object, std::uint32_t version, std::uint32_t index) {
  std::uint64_t h = object ^ (std::uint64_t{version} << 32 | index) * 0x9e3779b97f4a7c15u;
  h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
  h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
  return h ^ h >> 32;
}

std::uint64_t UnitIndex::hash(Slot slot) const {
  const Entry& entry = entries_[slot];
  return hash_of(entry.object, entry.version(), entry.index);
}

BlockKey UnitIndex::key(Slot slot) const {
  const Entry& entry = entries_[slot];
  return {versions_[entry.version()].id, ObjectId{entry.object}, entry.index};
}

std::optional<std::uint32_t> UnitIndex::find_version(VersionId id) const {
  if (id == last_version_ && id != VersionId{}) return last_number_;
  auto found = version_numbers_.find(static_cast<std::uint64_t>(id));
  if (found == version_numbers_.end()) return std::nullopt;
  last_version_ = id;
  last_number_ = found->second;
  return found->second;
}

std::optional<std::uint32_t> UnitIndex::intern_version(VersionId id) {
  if (auto number = find_version(id)) return number;
  auto unused = std::find_if(versions_.begin(), versions_.end(),
                             [](const Version& version) { return version.units == 0; });
  auto number = static_cast<std::uint32_t>(unused - versions_.begin());
  if (unused != versions_.end()) {
    version_numbers_.erase(static_cast<std::uint64_t>(unused->id));
    last_version_ = VersionId{};
    unused->id = id;
  } else {
    if (versions_.size() == max_versions) return std::nullopt;
    versions_.push_back({id, 0});
  }
  version_numbers_[static_cast<std::uint64_t>(id)] = number;
  return number;
}

std::uint64_t UnitIndex::units(VersionId version) const {
  auto number = find_version(version);
  return number ? versions_[*number].units : 0;
}

Slot UnitIndex::find(const BlockKey& key) const {
  if (table_.empty()) return no_slot;
  auto version = find_version(key.version);
  if (!version) return no_slot;
  if (Slot next = last_slot_ + 1; next < slots() && holds(next, key, *version)) {
    return last_slot_ = next;
  }
  std::size_t mask = table_.size() - 1;
  std::size_t at = hash_of(to_number(key.object), *version, key.index) & mask;
  for (;; at = (at + 1) & mask) {
    if (table_[at] == 0) return no_slot;
    if (Slot slot = table_[at] - 1; holds(slot, key, *version)) return last_slot_ = slot;
  }
}

bool UnitIndex::holds(Slot slot, const BlockKey& key, std::uint32_t version) const {
  const Entry& entry = entries_[slot];
  return entry.object == to_number(key.object) && entry.index == key.index &&
         entry.version() == version && entry.used();
}

void UnitIndex::place(Slot slot) {
  std::size_t mask = table_.size() - 1;
  std::size_t at = home_of(slot);
  while (table_[at] != 0) at = (at + 1) & mask;
  table_[at] = slot + 1;
}

void UnitIndex::rehash(std::size_t buckets) {
  std::vector<std::uint32_t> old(buckets, 0);
  old.swap(table_);
  for (std::uint32_t slot : old) {
    if (slot != 0) place(slot - 1);
  }
}

bool UnitIndex::insert(Slot slot, const BlockKey& key, std::uint32_t length,
                       const BlockSums& sums) {
  CHECK(length >= 1 && length <= unit_size);
  auto version = intern_version(key.version);
  if (!version) return false;
  if (units_ + 1 > table_.size() / 4 * 3) rehash(std::max(least_buckets, table_.size() * 2));
  Entry& entry = entries_[slot];
  CHECK(!entry.used());
  entry.object = to_number(key.object);
  entry.index = key.index;
  entry.length_and_flags = static_cast<std::uint16_t>(0x8000u | (length - 1));
  entry.version_and_blocks =
      static_cast<std::uint16_t>((entry.version_and_blocks & 0xf000u) | *version);
  entry.sums = sums;
  place(slot);
  ++versions_[*version].units;
  ++units_;
  return true;
}

void UnitIndex::erase(Slot slot) {
  Entry& entry = entries_[slot];
  CHECK(entry.used());
  std::size_t mask = table_.size() - 1;
  std::size_t hole = home_of(slot);
  while (table_[hole] != slot + 1) hole = (hole + 1) & mask;
  // Close the gap, so that no search ends at it: move back what would be found beyond it.
  for (std::size_t at = (hole + 1) & mask; table_[at] != 0; at = (at + 1) & mask) {
    std::size_t home = home_of(table_[at] - 1);
    if (((at - home) & mask) >= ((at - hole) & mask)) {
      table_[hole] = table_[at];
      hole = at;
    }
  }
  table_[hole] = 0;
  --versions_[entry.version()].units;
  --units_;
  entry.length_and_flags = 0;
}

std::size_t UnitIndex::memory_bytes() const {
  return entries_.memory_bytes() + table_.capacity() * sizeof(table_[0]);
}

}  // namespace rowan::cache
