// The root of a table: where the tree starts and from where the journal must be replayed. Stored
// twice; both places are written, one after the other, with a sync after each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cache/file.h"
#include "cache/ids.h"
#include "cache/table_page.h"
#include "rpc/base/result.h"

namespace rowan::cache {

// Where in the journal the next group is expected. `chain` is the sum of the group before it.
struct JournalPosition {
  std::uint32_t segment = 0;   // 0: the journal is empty so far
  std::uint32_t block = 0;
  std::uint64_t chain = 0;
  friend bool operator==(const JournalPosition&, const JournalPosition&) = default;
};

struct Superblock {
  std::uint64_t epoch = 0;             // random; in every page and group of this table
  std::uint64_t generation = 0;
  Ticket merged_through = 0;           // the tree holds these batches
  Ticket durable_through = 0;          // the journal is known to hold these
  JournalPosition replay;
  std::uint32_t next_segment = 1;
  std::uint32_t page_count = 1;
  TreeRoot meta;                       // of the table's own records; absent: one empty state
  std::vector<PagePointer> bitmap;     // of used pages
};

inline constexpr std::size_t superblock_size = 4096;
inline constexpr std::uint64_t superblock_places[2] = {0, 65536};
inline constexpr std::size_t max_bitmap_pages = 96;   // a tree file of 205 GB

std::string encode(const Superblock& superblock);     // superblock_size bytes
// not_supported: a format this program does not know.
Result<Superblock> decode_superblock(std::string_view bytes);
std::string describe(const Superblock& superblock);

// The newer of the valid places. `healthy`: both were valid and equal.
struct FoundSuperblock {
  Superblock superblock;
  bool healthy = true;
};
Result<FoundSuperblock> read_superblock(const File& file, const std::string& path);
Result<void> write_superblock(File& file, const Superblock& superblock);

}  // namespace rowan::cache
