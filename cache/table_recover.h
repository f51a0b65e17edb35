// Reading the journal back at open: what follows the superblock's position, up to the torn end of
// the last life.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cache/file.h"
#include "cache/table_group.h"
#include "cache/table_memory.h"
#include "cache/table_state_set.h"
#include "cache/table_superblock.h"
#include "rpc/base/result.h"

namespace rowan::cache {

// One group as it lies on disk; shared with the checker and the dump tool.
struct FoundGroup {
  GroupHeader header;
  std::string edits;
  bool repaired = false;
};
struct ExpectedGroup {
  std::uint64_t epoch = 0;
  JournalPosition at;
  Ticket first = 0;
};
// not_found: no such group there (never written, torn, or both copies damaged).
Result<FoundGroup> read_group(const File& segment, const ExpectedGroup& expected);
// Compares the group's data with its sum.
Result<bool> data_is_whole(const File& segment, const GroupHeader& header);
// Writes head and edits of a group again, from what its copy said. Not synced.
Result<void> heal_group(File& segment, const FoundGroup& group);
// Does again what a group's batches did. corrupt: outside the grammar, or impossible.
Result<void> replay_group(const FoundGroup& group, StateSet& states, BlockLedger& ledger);

struct Recovered {
  BlockLedger ledger;
  JournalPosition end;                  // where the next group chains to
  Ticket last = 0;
  std::vector<std::uint32_t> segments;  // that exist and belong to the journal or to data before it
  std::vector<std::uint32_t> garbage;   // begun by a life that got nothing on disk
  std::uint32_t next_segment = 1;
  bool torn_tail = false;               // the last segment has bytes behind `end`
  std::vector<FoundGroup> repaired;     // read from their copy; heal_group() mends them
};

// Reads only; brings `states`, those of the superblock's meta tree, to the journal's end. corrupt:
// something that was durable cannot be read; names segment and offset.
Result<Recovered> recover_journal(Directory& directory, const Superblock& superblock,
                                  StateSet& states);

// For repairs: the journal ends where it cannot be read, and this is what is behind that place.
struct LostBatches {
  Ticket first = 0, through = 0;        // both 0: nothing is
  std::string place;
  std::vector<std::string> keys;        // that the readable ones of them changed; with repetitions
};
Result<Recovered> recover_what_is_left(Directory& directory, const Superblock& superblock,
                                       StateSet& states, LostBatches& lost);

}  // namespace rowan::cache
