// What checkpoints cost: Rowan's, with file systems and disk images that have them beside it.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "rpc/base/result.h"

namespace rowan::bench {

struct VersionsOptions {
  std::string rowan;              // the program; empty: beside this one, then PATH
  std::string tree;               // empty: a temporary directory, removed at the end
  std::vector<std::string> only;  // of versions_parts(); empty: all
  bool quick = false;
  bool json = false;
  unsigned rounds = 5;
  double seconds = 2;
  unsigned connections = 2, depth = 16;
};

// times, rates, transfer, space: the groups of rows that --only chooses from.
std::vector<std::string> versions_parts();

void define_versions(CLI::App& app, VersionsOptions& options);

Result<void> run_versions(const VersionsOptions& options, std::ostream& out);

}  // namespace rowan::bench
