// What else keeps old states, on the same disk: a btrfs in a file, and qcow2 disk images. Every
// function's Error says why the machine cannot have it; a row then shows that.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "rpc/base/result.h"

namespace rowan::bench {

// A new btrfs, mounted on a loop device; gone with this process, however that ends.
class BtrfsVolume {
 public:
  // In `parent`: the file btrfs.img, sparse, and the mount point btrfs/. The process must have
  // mounts of its own.
  static Result<BtrfsVolume> make(const std::filesystem::path& parent, std::uint64_t bytes,
                                  const std::filesystem::path& log);
  BtrfsVolume(BtrfsVolume&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  BtrfsVolume& operator=(BtrfsVolume&&) = delete;
  ~BtrfsVolume();

  const std::filesystem::path& path() const { return path_; }
  Result<void> make_subvolume(const std::string& name);
  // Milliseconds until the snapshot is on disk, without the start of any program.
  Result<double> snapshot(const std::string& subvolume, const std::string& name, bool read_only);
  Result<void> sync() const;
  Result<std::uint64_t> used_bytes() const;  // after sync()

 private:
  explicit BtrfsVolume(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

// Milliseconds from the start of a program to its end; its failure is an Error.
Result<double> timed_program(const std::vector<std::string>& arguments,
                             const std::filesystem::path& log);

}  // namespace rowan::bench
