// A local directory as a source: any tree that the process may read, with its names as raw bytes.
//
// Nothing outside the tree is reachable: every path is opened with openat2() beneath the root and
// without following any symlink. Mounts inside the tree belong to it. An object's number is its
// inode number mixed with its device's, so that files of two mounts are not taken for links of each
// other.
//
// There are no handles: objects are found by path. A cursor is the last name of a page, and pages
// are sorted by name; so a listing goes on where it was, across restarts and changes. System calls
// run on the disk pool.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "proxy/source.h"
#include "rpc/base/loop.h"
#include "rpc/base/result.h"
#include "rpc/base/unique_fd.h"

namespace rowan::proxy {

class DirectorySource final : public Source {
 public:
  DirectorySource(Loop& loop, DiskPool& disk, std::string path)
      : loop_(loop), disk_(disk), path_(std::move(path)) {}
  ~DirectorySource() override;   // close() first

  Task<Result<cache::SourceEntry>> root() override;
  Task<Result<cache::SourceEntry>> lookup(const SourceRef& directory,
                                          std::string_view name) override;
  Task<Result<SourcePage>> list(const SourceRef& directory, std::string_view cursor) override;
  Task<Result<std::string>> readlink(const SourceRef& symlink) override;
  Task<Result<SourceRead>> read(const SourceRef& file, std::uint64_t offset,
                                ByteSpan into) override;
  Task<Result<cache::ImageAttributes>> attributes(const SourceRef& object) override;
  SourceLimits limits() const override { return {1u << 20, 16}; }
  std::string describe() const override { return path_; }
  Task<void> close() override;

 private:
  template <class Answer, class Work>
  Task<Result<Answer>> on_disk(Work work);

  Loop& loop_;
  DiskPool& disk_;
  std::string path_;
  UniqueFd root_;                // opened by the first call that finds the directory there
  std::size_t under_way_ = 0;    // calls, for close()
  Signal* idle_ = nullptr;
  bool closed_ = false;
};

// `path` is absolute; a symlink as its last part is followed. The directory need not be there yet:
// until it is, calls are disconnected, naming it. `loop` and `disk` outlive the source.
Result<std::unique_ptr<Source>> make_directory_source(const std::string& path, Loop& loop,
                                                      DiskPool& disk);

}  // namespace rowan::proxy
