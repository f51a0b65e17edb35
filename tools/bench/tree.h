// The files a load works on, below one directory of the export. `compare` makes them on the local
// disk; `run` makes what is missing through the server.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "rpc/base/result.h"
#include "tools/bench/raw_client.h"

namespace rowan::bench {

struct TreeShape {
  std::string directory = "rowan-bench";  // one name below the export's root
  std::uint64_t file_size = 256u << 20;   // bytes of `data` and of `scratch`
  std::uint32_t object_count = 1000;      // files in `names`
};

inline constexpr std::uint64_t max_file_size = std::uint64_t{1} << 40;
inline constexpr std::uint32_t max_object_count = 1'000'000;

inline constexpr const char* data_name = "data";        // random bytes, read
inline constexpr const char* scratch_name = "scratch";  // random bytes, overwritten
inline constexpr const char* names_name = "names";      // directory of small files
std::string object_name(std::uint32_t index);

// Makes DIR/<shape.directory>/... on the local disk, keeping what has the right size already.
Result<void> make_local_tree(const std::filesystem::path& parent, const TreeShape& shape);

// Incompressible content; a file of that size is left as it is.
Result<void> make_random_file(const std::filesystem::path& path, std::uint64_t size);

// LOOKUP; Errc::not_found when the name is absent, other NFS errors as Errc::io with their name.
Result<FileHandle> lookup(RawClient& client, const FileHandle& dir, const std::string& name);

// Finds the directory, the file (of at least shape.file_size bytes), or makes it.
Result<FileHandle> ensure_directory(RawClient& client, const FileHandle& dir,
                                    const std::string& name);
Result<FileHandle> ensure_file(RawClient& client, const FileHandle& dir, const std::string& name,
                               std::uint64_t size);

// A text for an nfsstat3: "NFS3ERR_NOENT".
std::string status_text(int status);

}  // namespace rowan::bench
