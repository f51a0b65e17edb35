// The part of the examination that reads and writes files.
#pragma once

#include <cstdint>

#include "tools/bench/raw_client.h"
#include "tools/doctor.h"

namespace rowan::tools {

// What the server takes in one call, bytes; 0: not known.
struct FileLimits {
  std::uint32_t read = 0, write = 0;
};

// Reads the start of some file near the root; with `write`, makes a file there, writes, compares,
// removes.
void examine_files(bench::RawClient& nfs, const bench::FileHandle& root, FileLimits limits,
                   bool write, Notebook& notebook);

}  // namespace rowan::tools
