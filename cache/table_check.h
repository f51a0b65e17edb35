// Walks a closed table with the decoders that the table itself uses: superblock, every page and its
// copy, the bitmap, the journal, for all states together. Hands the records of the heads out in
// order. Reads only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cache/file.h"
#include "cache/table_memory.h"
#include "cache/table_versions.h"
#include "rpc/base/result.h"

namespace rowan::cache {

struct CheckProgress {
  std::uint64_t done = 0, total = 0;   // pages (no total while the table is open), ...
  bool data = false;                   // ... then data blocks
};

struct TableCheckHooks {
  // one sentence with the place
  std::function<void(std::string)> finding;
  // callers' records of every head, one head after the other, in order
  std::function<void(StateId head, std::string_view key, std::string_view value)> record;
  // the callers' records of all states, each at least once, in no order; may be empty
  std::function<void(std::string_view key, std::string_view value)> any_record;
  std::function<void(const CheckProgress&)> progress;
  std::function<bool()> stopped;   // true: nobody wants the rest; may be empty
};

struct TableCheckOptions {
  FindRecordData find_data = nullptr;   // as in TableOptions
};

struct TableCheckResult {
  std::uint64_t pages = 0, records = 0;
  // false: pages were lost, so records are missing
  bool complete = true;
  std::vector<StateInfo> states;
  std::map<std::uint32_t, std::uint64_t> live_blocks;  // what the table believes, by segment
  std::map<std::uint32_t, std::uint64_t> segments;     // sizes in bytes of those that exist
};

// A state of a table that is open; pinned meanwhile.
struct PinnedState {
  StateId state = no_state;
  TreeRoot root;
  std::uint64_t epoch = 0;
  bool as_head = false;   // its records are handed out as those of a head
};

// The pages and records of these states; not what the table as a whole believes (superblock,
// journal, free pages, live blocks), which changes meanwhile. For a disk thread.
Result<TableCheckResult> check_pinned(Directory& directory, const std::vector<PinnedState>& states,
                                      const TableCheckHooks& hooks);

// An error only if the table cannot be walked at all: busy, not_found, not_supported, or corrupt
// when neither superblock, the states or the journal can be read.
Result<TableCheckResult> check_table(Directory& directory, const TableCheckOptions& options,
                                     const TableCheckHooks& hooks);

}  // namespace rowan::cache
