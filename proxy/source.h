// The bottom of the stack: where a version's bytes come from. Read-only, four operations. NFSv3
// exports (proxy/nfs_source) and local directories (proxy/directory_source) implement it; tests
// script it.
//
// Errors mean what they say: not_found and not_directory are facts about the tree; stale: the
// reference no longer names the object (look its path up again); timed_out and disconnected:
// nothing is known, ask later; access/not_permitted: the source refuses this proxy; drift;
// malformed: the source's answer made no sense.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cache/catalog.h"
#include "rpc/base/bytes.h"
#include "rpc/base/result.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

// An object of the source: its handle, if the source has such, and its path from the root of the
// image ("" is the root, then "usr/bin/cc").
struct SourceRef {
  std::string handle;
  std::string path;
};

struct SourcePage {
  std::vector<cache::SourceEntry> entries;  // without "." and ".."
  std::string cursor;                       // opaque; pass to the next list()
  bool last = false;
};

struct SourceRead {
  std::uint32_t count = 0;                  // bytes put into the caller's span
  bool eof = false;
  // as of the read, if the source told them: for drift
  std::optional<cache::ImageAttributes> attributes;
};

struct SourceLimits {
  std::uint32_t read_size = 0;       // largest useful read, bytes
  std::uint32_t reads_in_flight = 0;
};

class Source {
 public:
  virtual ~Source() = default;
  virtual Task<Result<cache::SourceEntry>> root() = 0;
  // Never called with "", ".", "..", or a name that contains '/' or NUL.
  virtual Task<Result<cache::SourceEntry>> lookup(const SourceRef& directory,
                                                  std::string_view name) = 0;
  virtual Task<Result<SourcePage>> list(const SourceRef& directory, std::string_view cursor) = 0;
  virtual Task<Result<std::string>> readlink(const SourceRef& symlink) = 0;
  // Fills `into` from `offset`; fewer bytes only at the end of the file. `into` outlives the task.
  virtual Task<Result<SourceRead>> read(const SourceRef& file, std::uint64_t offset,
                                        ByteSpan into) = 0;
  virtual Task<Result<cache::ImageAttributes>> attributes(const SourceRef& object) = 0;
  virtual SourceLimits limits() const = 0;
  virtual std::string describe() const = 0;   // "nfs://10.0.0.1/images/debian"
  // Ends everything in flight with disconnected; then the source may be destroyed.
  virtual Task<void> close() = 0;
};

// From an operator's words to a source, which is not asked for anything yet. usage: not a source.
using OpenSource = std::function<Result<std::unique_ptr<Source>>(const std::string& text)>;

}  // namespace rowan::proxy
