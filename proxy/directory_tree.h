// Reading a tree on the local disk, beneath a root and never out of it. Blocking; the only system
// calls of the directory source.
#pragma once

#include <string>
#include <string_view>

#include "cache/catalog.h"
#include "proxy/source.h"
#include "rpc/base/bytes.h"
#include "rpc/base/result.h"

namespace rowan::proxy::tree {

// `path` is relative to the directory `root`; "" is the root. Errors name the path: not_found,
// not_directory, access, stale never, limit (descriptors, memory), io.
Result<cache::SourceEntry> stat(int root, const std::string& path);
// Entries with a name after `after`, sorted by name, at most `limit`. Entries that vanish meanwhile
// are left out.
Result<SourcePage> list(int root, const std::string& path, const std::string& after,
                        std::size_t limit);
Result<std::string> readlink(int root, const std::string& path);
// The attributes are those of the open file after the read.
Result<SourceRead> read(int root, const std::string& path, std::uint64_t offset, ByteSpan into);

}  // namespace rowan::proxy::tree
