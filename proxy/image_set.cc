#include "proxy/image_set.h"

#include "proxy/blocking.h"
#include "proxy/source_opener.h"
#include "rpc/base/log.h"

namespace rowan::proxy {

Task<Result<Image*>> ImageSet::acquire(std::string image, ImageVersion version,
                                       std::unique_ptr<cache::Directory> catalog) {
  co_await turn_.take();
  Result<Image*> acquired =
      co_await acquire_now(std::move(image), std::move(version), std::move(catalog));
  turn_.give_back();
  co_return acquired;
}

Task<Result<Image*>> ImageSet::acquire_now(std::string image, ImageVersion version,
                                           std::unique_ptr<cache::Directory> catalog) {
  auto found = versions_.find(version.id);
  if (found == versions_.end()) {
    Result<std::unique_ptr<Source>> source = open_source(version.source, loop_, disk_);
    if (!source) co_return std::move(source).error();
    Result<OpenCatalog*> open = co_await acquire_catalog(image, std::move(catalog));
    if (!open) co_return std::move(open).error();
    OpenVersion fresh;
    fresh.image = image;
    fresh.source = std::move(*source);
    ImageParts parts{loop_, *(*open)->catalog, *(*open)->jobs, blocks_, block_jobs_, *fresh.source};
    fresh.cached = std::make_unique<CachedImage>(parts, version.id, ImageOptions());
    fresh.questions = std::make_unique<TaskGroup>();
    found = versions_.emplace(version.id, std::move(fresh)).first;
    found->second.questions->start(ask_root(*found->second.cached, image + "@" + version.label));
  }
  ++found->second.users;
  Image* opened = found->second.cached.get();
  co_return opened;
}

Task<Result<ImageSet::OpenCatalog*>> ImageSet::acquire_catalog(
    const std::string& image, std::unique_ptr<cache::Directory> directory) {
  auto found = catalogs_.find(image);
  if (found == catalogs_.end()) {
    auto open = [&directory] { return cache::Catalog::open(*directory); };
    Result<std::unique_ptr<cache::Catalog>> catalog = co_await run_blocking(disk_, loop_, open);
    if (!catalog) co_return std::move(catalog).error();
    OpenCatalog fresh;
    fresh.directory = std::move(directory);
    fresh.catalog = std::move(*catalog);
    fresh.jobs = std::make_unique<JobRunner<cache::Catalog>>(loop_, disk_, *fresh.catalog);
    found = catalogs_.emplace(image, std::move(fresh)).first;
  }
  ++found->second.users;
  co_return &found->second;
}

// So that the root is known, and can be mounted, even if the source goes away before the first
// client comes.
Task<void> ImageSet::ask_root(CachedImage& image, std::string name) {
  Result<cache::ImageAttributes> root = co_await image.attributes(cache::image_root);
  if (!root)
    log(Level::warn, "image.unreachable", {{"image", name}, {"why", to_string(root.error())}});
}

Task<void> ImageSet::release(cache::VersionId version) {
  co_await turn_.take();
  co_await release_now(version);
  turn_.give_back();
}

Task<void> ImageSet::release_now(cache::VersionId version) {
  auto found = versions_.find(version);
  CHECK(found != versions_.end());
  if (--found->second.users > 0) co_return;
  co_await found->second.cached->close();
  co_await found->second.questions->idle();
  std::string image = found->second.image;
  versions_.erase(found);
  co_await release_catalog(image);
}

Task<void> ImageSet::release_catalog(std::string image) {
  auto found = catalogs_.find(image);
  CHECK(found != catalogs_.end());
  if (--found->second.users > 0) co_return;
  found->second.catalog->prepare_close();
  while (found->second.catalog->busy() && !found->second.catalog->failure()) {
    co_await found->second.jobs->drain();
  }
  co_await found->second.jobs->drain();
  catalogs_.erase(found);
}

void ImageSet::drop_blocks(cache::VersionId version) {
  blocks_.drop(version);
  block_jobs_.pump();
}

Task<void> ImageSet::drain() { co_await block_jobs_.drain(); }

const CachedImage* ImageSet::find(cache::VersionId version) const {
  auto found = versions_.find(version);
  return found == versions_.end() ? nullptr : found->second.cached.get();
}

}  // namespace rowan::proxy
