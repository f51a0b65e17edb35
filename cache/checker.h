// `rowan check`: walks every invariant of a redirect store, closed or open, and lists what is
// wrong, by path where the store knows one. Reads only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cache/file.h"
#include "cache/table_check.h"
#include "rpc/base/result.h"

namespace rowan::cache {

struct CheckOptions {
  bool data = false;                   // also read all data and compare it with its checksums
  std::size_t most_findings = 1000;    // further ones are only counted
  std::function<void(const CheckProgress&)> progress{};
  std::function<bool()> stopped{};     // true: nobody wants the rest
};

struct CheckReport {
  std::vector<std::string> findings;   // sentences: the path or the place, and what is wrong
  std::uint64_t finding_count = 0;
  std::uint64_t pages = 0, records = 0, objects = 0, data_blocks = 0, blocks_read = 0;
  bool healthy() const { return finding_count == 0; }
};

// Errors as check_table(): busy while the store is open; and try_later: stopped.
Result<CheckReport> check_store(Directory& directory, const CheckOptions& options);

// The same for states of a store that is open; pinned meanwhile. For a disk thread. What the store
// as a whole believes changes meanwhile and is left out.
Result<CheckReport> check_states(Directory& directory, const std::vector<PinnedState>& states,
                                 const CheckOptions& options);

}  // namespace rowan::cache
