// A cached image over a scripted source: catalogue on a table in memory, block cache on the real
// disk, one loop, no wall clock.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/block_cache.h"
#include "cache/catalog_impl.h"
#include "proxy/cached_image.h"
#include "tests/support/image_tree.h"
#include "tests/support/manual_loop.h"
#include "tests/support/memory_table.h"
#include "tests/support/scripted_source.h"
#include "tests/support/temp_directory.h"

namespace rowan::test {

inline constexpr cache::VersionId bench_version{4242};

struct ImageBenchOptions {
  std::vector<TreeEntry> tree = standard_tree();
  cache::BlockCacheOptions blocks;
  proxy::ImageOptions image;
  std::uint64_t seed = 0;      // 0: jobs in order, everything in memory
};

class ImageBench {
 public:
  explicit ImageBench(ImageBenchOptions options = {})
      : options_(std::move(options)), source_holder_(make_source()) {
    if (options_.seed != 0) disk_ = ManualDiskPool(options_.seed);
    open();
  }
  ~ImageBench() { close(); }

  ManualLoop& loop() { return loop_; }
  ManualDiskPool& disk() { return disk_; }
  ScriptedSource& source() { return *source_holder_; }
  proxy::CachedImage& image() { return *image_; }
  cache::BlockCache& blocks() { return *blocks_; }
  cache::CatalogImpl& catalog() { return *catalog_; }
  MemoryDisk& table_disk() { return table_disk_; }

  // A clean end and a new start; the source goes on.
  void restart() {
    close();
    next_source();
    open();
  }
  // The machine forgets what was not durable.
  void crash() {
    MemoryDisk kept = table_disk_;
    close();
    table_disk_ = kept;
    next_source();
    open();
  }

  template <class T>
  T run(Task<T> task) {
    return run_task(loop_, disk_, std::move(task));
  }
  void settle_all() { settle(loop_, disk_, true); }

  cache::ObjectId find(const std::string& path) { return *try_find(path); }
  Result<cache::ObjectId> try_find(const std::string& path) {
    cache::ObjectId at = cache::image_root;
    for (std::size_t from = 0; from < path.size();) {
      std::size_t end = std::min(path.find('/', from), path.size());
      Result<cache::ObjectId> next = run(image_->lookup(at, path.substr(from, end - from)));
      if (!next) return next;
      at = *next;
      from = end + 1;
    }
    return at;
  }
  Result<std::vector<std::byte>> read(cache::ObjectId file, std::uint64_t offset,
                                      std::size_t count) {
    std::vector<std::byte> bytes(count);
    Result<void> done = run(image_->read(file, offset, bytes));
    if (!done) return done.error();
    return bytes;
  }
  // A bit in every 16 KiB of what the cache has on disk.
  void flip_cached_bits() {
    auto file = *directory_->open("blocks", cache::OpenMode::write);
    for (std::uint64_t at = 100; at < *file->size(); at += cache::unit_size) {
      std::byte byte;
      CHECK(file->read_at(at, {&byte, 1}).has_value());
      byte ^= std::byte{1};
      CHECK(file->write_at(at, {&byte, 1}).has_value());
    }
  }
  static std::vector<std::byte> content(std::uint64_t seed, std::uint64_t offset,
                                        std::size_t count) {
    std::vector<std::byte> bytes(count);
    fill_content(seed, offset, bytes);
    return bytes;
  }

 private:
  void next_source() {
    auto next = make_source();
    next->go_on_as(*source_holder_);
    source_holder_ = std::move(next);
  }
  std::unique_ptr<ScriptedSource> make_source() {
    return std::make_unique<ScriptedSource>(loop_, options_.tree, options_.seed + 1);
  }
  void open() {
    directory_ = temp_.open();
    blocks_ = *cache::BlockCache::open(*directory_, options_.blocks);
    catalog_ = std::make_unique<cache::CatalogImpl>(
        std::make_unique<MemoryTable>(table_disk_, options_.seed));
    CHECK(catalog_->load_counters().has_value());
    catalog_jobs_.emplace(loop_, disk_, *catalog_);
    block_jobs_.emplace(loop_, disk_, *blocks_);
    proxy::ImageParts parts{loop_,    *catalog_,    *catalog_jobs_,
                            *blocks_, *block_jobs_, *source_holder_};
    image_ = std::make_unique<proxy::CachedImage>(parts, bench_version, options_.image);
  }
  static Task<void> shut(proxy::CachedImage& image, proxy::JobRunner<cache::Catalog>& catalog_jobs,
                         proxy::JobRunner<cache::BlockCache>& block_jobs, bool& done) {
    co_await image.close();
    co_await catalog_jobs.drain();
    co_await block_jobs.drain();
    done = true;
  }
  void close() {
    bool done = false;
    TaskGroup group;
    group.start(shut(*image_, *catalog_jobs_, *block_jobs_, done));
    settle(loop_, disk_, true);
    CHECK(done);
    image_.reset();
    catalog_jobs_.reset();
    block_jobs_.reset();
    catalog_.reset();
    blocks_.reset();
  }

  ImageBenchOptions options_;
  TempDirectory temp_;
  ManualLoop loop_;
  ManualDiskPool disk_;
  MemoryDisk table_disk_;
  std::unique_ptr<ScriptedSource> source_holder_;
  std::unique_ptr<cache::Directory> directory_;
  std::unique_ptr<cache::BlockCache> blocks_;
  std::unique_ptr<cache::CatalogImpl> catalog_;
  std::optional<proxy::JobRunner<cache::Catalog>> catalog_jobs_;
  std::optional<proxy::JobRunner<cache::BlockCache>> block_jobs_;
  std::unique_ptr<proxy::CachedImage> image_;
};

}  // namespace rowan::test
