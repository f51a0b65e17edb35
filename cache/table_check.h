// Walks a closed table with the decoders that the table itself uses: superblock, every page and its
// copy, the bitmap, the journal. Hands all records out in order. Reads only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cache/file.h"
#include "cache/table_memory.h"
#include "rpc/base/result.h"

namespace rowan::cache {

struct CheckProgress {
  std::uint64_t done = 0, total = 0;   // pages, then data blocks
};

struct TableCheckHooks {
  // one sentence with the place
  std::function<void(std::string)> finding;
  // callers' records, in order
  std::function<void(std::string_view key, std::string_view value)> record;
  std::function<void(const CheckProgress&)> progress;
};

struct TableCheckResult {
  std::uint64_t pages = 0, records = 0;
  // false: pages were lost, so records are missing
  bool complete = true;
  std::map<std::uint32_t, std::uint64_t> live_blocks;  // what the table believes, by segment
  std::map<std::uint32_t, std::uint64_t> segments;     // sizes in bytes of those that exist
};

// An error only if the table cannot be walked at all: busy, not_found, not_supported, or corrupt
// when neither superblock can be read or the journal is damaged.
Result<TableCheckResult> check_table(Directory& directory, const TableCheckHooks& hooks);

}  // namespace rowan::cache
