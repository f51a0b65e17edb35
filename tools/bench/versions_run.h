// What the parts of `versions` share: the sizes of this run, the lab, the table they fill.
#pragma once

#include "tools/bench/appliance.h"
#include "tools/bench/versions.h"
#include "tools/bench/versions_table.h"

namespace rowan::bench {

struct VersionsScale {
  std::vector<std::uint64_t> objects;      // changed ones, each count above the one before
  std::vector<std::uint64_t> checkpoints;  // likewise
  std::uint64_t file_size;                 // bytes that the rates read and overwrite
  std::uint64_t writes, creates;           // calls of one run
  std::uint64_t overwrites;                // of 4 KiB, for the space they take
  std::uint64_t overwritten_bytes;
  std::uint64_t sent_bytes;
};

// A quick run shows that everything works, in seconds.
VersionsScale versions_scale(bool quick);

struct VersionsRun {
  const VersionsOptions& options;
  VersionsScale scale;
  Lab& lab;
  VersionsTable& table;
};

// The parts, each in its file.
Result<void> measure_times(VersionsRun& run);
Result<void> measure_rates(VersionsRun& run);
Result<void> measure_space(VersionsRun& run);
Result<void> measure_transfer(VersionsRun& run);

std::vector<std::string> column_names(const std::vector<std::uint64_t>& counts);

// Allocated bytes of all files below a directory.
std::uint64_t allocated_bytes(const std::filesystem::path& directory);

}  // namespace rowan::bench
