// A directory's files as text that fits into the repository: stores written by released formats are
// kept like this in tests/golden and opened on each run.
//
//   file NAME SIZE
//   OFFSET HEX            bytes
//   OFFSET COUNT*HH       the same byte COUNT times
//   like GOLDEN           first all that another of these files has
//   flip NAME OFFSET BIT  damage: one bit of a file made so far
//
// Offsets and counts are decimal. Bytes that no line names are zero, and a file without lines is
// allocated whole. Lines that begin with '#' are notes.
#pragma once

#include <string>
#include <string_view>

#include "cache/file.h"
#include "rpc/base/result.h"

namespace rowan::test {

// Regular files only; a table's and a block cache's directory have nothing else.
Result<std::string> to_golden(cache::Directory& directory);
// Makes the files, synced. invalid: outside the grammar above.
Result<void> from_golden(std::string_view text, cache::Directory& directory);

// tests/golden/cache/NAME. The test fails loudly if it is not there.
std::string read_golden(const std::string& name);

}  // namespace rowan::test
