// A block cache on a directory of the real disk, with faults between the two.
#pragma once

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "cache/block_cache.h"
#include "cache/file.h"
#include "tests/support/temp_directory.h"

namespace rowan::test {

struct DiskFaults {
  bool cold = false;         // nothing is in the page cache
  bool disk_full = false;    // writes fail with no_space
  bool lose_writes = false;  // writes of data are acknowledged and forgotten, as a power cut does
  bool no_rename = false;
  bool no_punch = false;
};

// `length` bytes that are different for each seed.
std::vector<std::byte> unit_bytes(std::uint64_t seed, std::uint32_t length = cache::unit_size);

// Passes everything on to `inner` unless a fault is switched on. The faults outlive it.
class FaultyDirectory final : public cache::Directory {
 public:
  FaultyDirectory(std::unique_ptr<cache::Directory> inner, DiskFaults& faults)
      : inner_(std::move(inner)), faults_(faults) {}
  Result<std::unique_ptr<cache::File>> open(std::string_view name, cache::OpenMode mode) override;
  Result<std::unique_ptr<cache::Directory>> directory(std::string_view name, bool create) override;
  Result<std::vector<std::string>> list() const override { return inner_->list(); }
  Result<void> remove(std::string_view name) override { return inner_->remove(name); }
  Result<void> rename(std::string_view from, std::string_view to) override;
  Result<void> sync() override { return inner_->sync(); }
  Result<cache::DiskSpace> space() const override { return inner_->space(); }
  Result<std::unique_ptr<cache::File>> lock(std::string_view name) override {
    return inner_->lock(name);
  }
  const std::string& path() const override { return inner_->path(); }

 private:
  std::unique_ptr<cache::Directory> inner_;
  DiskFaults& faults_;
};

class CacheBench {
 public:
  explicit CacheBench(const cache::BlockCacheOptions& options = {});
  ~CacheBench();

  cache::BlockCache& cache() { return *cache_; }
  cache::Directory& directory() { return *directory_; }
  DiskFaults& faults() { return faults_; }
  void reopen(const cache::BlockCacheOptions& options = {});

  void offer(const cache::BlockKey& key, ByteView bytes);
  // The whole unit, loading it as needed.
  Result<std::vector<std::byte>> read(const cache::BlockKey& key);
  void finish_jobs();

  void flip_bit_of_block(std::uint64_t block);
  void damage_files(std::mt19937_64& random);
  std::uint64_t allocated_bytes() const;   // of the files together
  std::uint64_t index_bytes() const;

 private:
  TempDirectory temp_;
  DiskFaults faults_;
  std::unique_ptr<cache::Directory> directory_;
  std::unique_ptr<cache::BlockCache> cache_;
};

}  // namespace rowan::test
