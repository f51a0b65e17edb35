// Changes made one by one through NFS, as between two checkpoints.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tools/bench/tree.h"

namespace rowan::bench {

class SmallChanges {
 public:
  // Works in `directory` below the export's root, which it makes if need be.
  static Result<SmallChanges> connect(const Target& target, const std::string& directory);

  // The file, made with this many bytes if it is not there.
  Result<FileHandle> file(const std::string& name, std::uint64_t size);
  // 4 KiB at a multiple of 4 KiB; stable: FILE_SYNC, else UNSTABLE (RFC 1813, 3.3.7).
  Result<void> overwrite(const FileHandle& file, std::uint64_t offset, bool stable);
  Result<void> create(const std::string& name);  // GUARDED

 private:
  std::unique_ptr<RawClient> client_;
  FileHandle directory_;
  std::vector<char> block_;
  std::uint64_t writes_ = 0;  // makes each block another one
};

}  // namespace rowan::bench
