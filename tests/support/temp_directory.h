// A directory on the real disk for one test; removed with everything in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "cache/file_posix.h"
#include "rpc/base/check.h"

namespace rowan::test {

class TempDirectory {
 public:
  TempDirectory() {
    std::string text = (std::filesystem::temp_directory_path() / "rowan-test-XXXXXX").string();
    CHECK(::mkdtemp(text.data()) != nullptr);
    path_ = text;
  }
  TempDirectory(const TempDirectory&) = delete;
  ~TempDirectory() {
    std::error_code ignored;  // a leftover in the temporary directory is no reason to abort
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  std::unique_ptr<cache::Directory> open() const { return *cache::open_directory(path_, false); }

 private:
  std::string path_;
};

}  // namespace rowan::test
