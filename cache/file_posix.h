// The real disk behind cache/file.h. The only system calls of this folder are in file_posix.cc.
#pragma once

#include <memory>
#include <string>

#include "cache/file.h"
#include "rpc/base/result.h"

namespace rowan::cache {

// The directory at `path`. With `create`, it and what is missing above it is made first (mode 0700,
// each made durable in its parent). The last component may be a symlink here, unlike anywhere
// below.
Result<std::unique_ptr<Directory>> open_directory(const std::string& path, bool create);

}  // namespace rowan::cache
