// Prints the files of a table's directory (a redirect store or a catalogue) and of the block
// cache's, as they lie on disk: superblock, states, pages of the trees, groups of the journal with
// their edits, records decoded. Reads with the server's own decoders, needs no file but the one it
// prints, and goes on behind damage, which it names. Changes nothing.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cache/file.h"
#include "cache/ids.h"
#include "rpc/base/result.h"
#include "tools/dump_item.h"

namespace rowan::tools {

struct DumpOptions {
  std::vector<std::string> files;       // only these; empty: all that Rowan knows
  std::optional<cache::StateId> state;  // only its tree and its batches
  bool free_pages = false;              // also pages of the tree that the bitmap calls free
  bool records = true;                  // of pages and groups
};

// Calls `found` for each item, in the order of the files. The number of damaged ones. An error only
// if a file or state that was asked for is not there, or the directory cannot be read.
Result<std::uint64_t> dump_directory(cache::Directory& directory, const DumpOptions& options,
                                     const std::function<void(const DumpedItem&)>& found);

}  // namespace rowan::tools
