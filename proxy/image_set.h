// The images that the appliances of one strand use: one catalogue an image, one source and one
// CachedImage a version, one block cache for all. Opened when the first appliance needs them,
// closed after the last.
//
// Opening and closing take turns: whoever comes meanwhile waits.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cache/block_cache.h"
#include "cache/catalog.h"
#include "proxy/cached_image.h"
#include "proxy/job_runner.h"
#include "proxy/records.h"
#include "proxy/registry.h"
#include "proxy/source.h"
#include "proxy/turn.h"
#include "rpc/base/loop.h"

namespace rowan::proxy {

class ImageSet {
 public:
  // All outlive the set.
  ImageSet(Loop& loop, DiskPool& disk, cache::BlockCache& blocks, OpenSource open_source)
      : loop_(loop),
        disk_(disk),
        blocks_(blocks),
        open_source_(std::move(open_source)),
        block_jobs_(loop, disk, blocks),
        turn_(loop) {}

  // The image of a version, opened if it is not, for one more user. `catalog` is where the image's
  // catalogue lies; it is kept if it is needed. The source need not answer.
  Task<Result<Image*>> acquire(std::string image, ImageVersion version,
                               std::unique_ptr<cache::Directory> catalog);
  // One user less; the last one closes source and catalogue.
  Task<void> release(cache::VersionId version);
  // Forgets the cached blocks of versions that nobody uses, and, if `catalog` is given (the
  // image's), what it knows of them. busy: one is in use. After another error a part is forgotten,
  // and the same again goes on.
  Task<Result<void>> forget(std::string image, std::vector<cache::VersionId> versions,
                            std::unique_ptr<cache::Directory> catalog);
  // Host::known_names() and take_names(); `catalog` is where the image's catalogue lies.
  Task<Result<std::vector<cache::KnownName>>> known_names(
      std::string image, ImageVersion version, std::unique_ptr<cache::Directory> catalog,
      cache::KnownName behind, std::size_t limit);
  Task<Result<void>> take_names(std::string image, ImageVersion version,
                                std::unique_ptr<cache::Directory> catalog,
                                std::vector<cache::KnownName> names);
  // Writes what the block cache still has in memory. When all users are gone.
  Task<void> drain();

  // JobRunner::stop_waiting() for all catalogues, also those that are opened later.
  void stop_waiting(MonotonicTime from);

  // Null: not open.
  const CachedImage* find(cache::VersionId version) const;
  // Paths that were known to have drifted when the version was opened; at most a few.
  std::vector<std::string> drifted_before(cache::VersionId version) const;
  std::size_t open_versions() const { return versions_.size(); }

 private:
  struct OpenCatalog {
    std::unique_ptr<cache::Directory> directory;
    std::unique_ptr<cache::Catalog> catalog;
    std::unique_ptr<JobRunner<cache::Catalog>> jobs;
    std::size_t users = 0;
  };
  struct OpenVersion {
    std::string image;
    std::unique_ptr<Source> source;
    std::unique_ptr<CachedImage> cached;
    std::unique_ptr<TaskGroup> questions;  // of our own to the image
    std::vector<std::string> drifted;      // before it was opened
    std::size_t users = 0;
  };

  Task<Result<Image*>> acquire_now(std::string image, ImageVersion version,
                                   std::unique_ptr<cache::Directory> catalog);
  Task<void> release_now(cache::VersionId version);
  Task<Result<OpenCatalog*>> acquire_catalog(const std::string& image,
                                             std::unique_ptr<cache::Directory> directory);
  Task<void> release_catalog(std::string image);
  Task<Result<void>> forget_now(std::string image, std::vector<cache::VersionId> versions,
                                std::unique_ptr<cache::Directory> catalog);
  static Task<Result<void>> remove_known(OpenCatalog& catalog, cache::VersionId version);
  static Task<void> read_drifted(OpenCatalog& catalog, OpenVersion& version, cache::VersionId id);
  static Task<void> ask_root(CachedImage& image, std::string name);

  Loop& loop_;
  DiskPool& disk_;
  cache::BlockCache& blocks_;
  OpenSource open_source_;
  JobRunner<cache::BlockCache> block_jobs_;
  Turn turn_;
  MonotonicTime patience_ends_ = MonotonicTime::max();
  std::map<std::string, OpenCatalog> catalogs_;
  std::map<cache::VersionId, OpenVersion> versions_;
};

// The same on a catalogue that somebody drives.
Task<Result<std::vector<cache::KnownName>>> known_names_in(cache::Catalog& catalog,
                                                           JobRunner<cache::Catalog>& jobs,
                                                           cache::VersionId version,
                                                           cache::KnownName behind,
                                                           std::size_t limit);
Task<Result<void>> take_names_in(cache::Catalog& catalog, JobRunner<cache::Catalog>& jobs,
                                 cache::VersionId version, std::vector<cache::KnownName> names);

// Host::forget_image() on a set: the whole image, whose catalogue goes with its directory, or one
// version of several.
Task<Result<void>> forget_in(ImageSet& images, Registry& registry, ImageRecord image,
                             std::string version);

}  // namespace rowan::proxy
