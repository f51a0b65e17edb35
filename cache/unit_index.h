// Which unit lies in which slot of the block cache: an open-addressed hash table of slot numbers
// over a dense array of entries. About 48 bytes a unit, its checksums included. Memory only;
// block_log.h keeps it on disk.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cache/block_cache.h"
#include "cache/chunked.h"
#include "cache/eviction.h"
#include "cache/ids.h"
#include "rpc/base/bytes.h"

namespace rowan::cache {

using Slot = Eviction::Slot;

// one checksum each; also what disks account in
inline constexpr std::uint32_t sum_block = 4u << 10;
inline constexpr std::uint32_t sums_per_unit = unit_size / sum_block;
constexpr std::uint32_t blocks_of(std::uint32_t bytes) {
  return (bytes + sum_block - 1) / sum_block;
}

// The low 48 bits of the XXH3-64 of each 4 KiB block; of the last one, of the bytes that are there.
struct BlockSums {
  std::array<std::uint32_t, sums_per_unit> low{};
  std::array<std::uint16_t, sums_per_unit> high{};

  static BlockSums of(ByteView unit);
  // True if `bytes` are the blocks from number `first` on.
  bool match(std::uint32_t first, ByteView bytes) const;
  friend bool operator==(const BlockSums&, const BlockSums&) = default;
};

class UnitIndex {
 public:
  static constexpr std::size_t max_versions = 4095;
  static constexpr Slot no_slot = Eviction::no_slot;

  struct Entry {
    std::uint64_t object = 0;
    std::uint32_t index = 0;
    std::uint16_t length_and_flags = 0;   // length - 1 in 14 bits, in_memory, used
    // number of the version in 12 bits, disk blocks allocated in 3
    std::uint16_t version_and_blocks = 0;
    BlockSums sums;

    bool used() const { return (length_and_flags & 0x8000) != 0; }
    bool in_memory() const { return (length_and_flags & 0x4000) != 0; }
    std::uint32_t length() const { return (length_and_flags & 0x3fffu) + 1; }
    std::uint32_t version() const { return version_and_blocks & 0x0fffu; }
    // Blocks of 4 KiB the slot takes on disk, or will once it is written. Kept for unused slots
    // too.
    std::uint32_t blocks() const { return version_and_blocks >> 12; }
    void set_in_memory(bool on);
    void set_blocks(std::uint32_t blocks);
  };
  static_assert(sizeof(Entry) == 40);

  Slot find(const BlockKey& key) const;
  // The slot is unused and the key absent; `length` 1 to unit_size. False if there are too many
  // versions.
  bool insert(Slot slot, const BlockKey& key, std::uint32_t length, const BlockSums& sums);
  // The slot becomes unused; its blocks() stay.
  void erase(Slot slot);

  Entry& operator[](Slot slot) { return entries_[slot]; }
  const Entry& operator[](Slot slot) const { return entries_[slot]; }
  BlockKey key(Slot slot) const;
  std::uint64_t hash(Slot slot) const;   // of the key, for the eviction's memory

  Slot slots() const { return static_cast<Slot>(entries_.size()); }
  void grow(Slot slots) { entries_.grow(slots); }
  std::size_t units() const { return units_; }
  std::uint64_t units(VersionId version) const;
  // of a used entry
  VersionId version_id(std::uint32_t number) const { return versions_[number].id; }
  std::size_t memory_bytes() const;

 private:
  struct Version {
    VersionId id{};
    std::uint64_t units = 0;
  };

  std::optional<std::uint32_t> find_version(VersionId id) const;
  std::optional<std::uint32_t> intern_version(VersionId id);
  static std::uint64_t hash_of(std::uint64_t object, std::uint32_t version, std::uint32_t index);
  std::uint64_t home_of(Slot slot) const { return hash(slot) & (table_.size() - 1); }
  bool holds(Slot slot, const BlockKey& key, std::uint32_t version) const;
  void place(Slot slot);
  void rehash(std::size_t buckets);

  Chunked<Entry> entries_;
  std::vector<std::uint32_t> table_;     // slot + 1; 0 is empty; a power of two, at most 3/4 full
  std::size_t units_ = 0;
  std::vector<Version> versions_;
  std::unordered_map<std::uint64_t, std::uint32_t> version_numbers_;
  // of the last find: most reads of a moment are of one version
  mutable Slot last_slot_ = 0;   // of the last find: the file's next unit is often in the next one
  mutable VersionId last_version_{};
  mutable std::uint32_t last_number_ = 0;
};

}  // namespace rowan::cache
