#include "proxy/image_set.h"

#include "proxy/blocking.h"
#include "rpc/base/log.h"

namespace rowan::proxy {
namespace {

constexpr std::size_t max_drifted_shown = 16;

}  // namespace

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
    Result<std::unique_ptr<Source>> source = open_source_(version.source);
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
    found->second.questions->start(read_drifted(**open, found->second, version.id));
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
    fresh.jobs->stop_waiting(patience_ends_);
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

Task<Result<void>> ImageSet::forget(std::string image, std::vector<cache::VersionId> versions,
                                    std::unique_ptr<cache::Directory> catalog) {
  co_await turn_.take();
  Result<void> done =
      co_await forget_now(std::move(image), std::move(versions), std::move(catalog));
  turn_.give_back();
  co_return done;
}

Task<Result<void>> ImageSet::forget_now(std::string image, std::vector<cache::VersionId> versions,
                                        std::unique_ptr<cache::Directory> catalog) {
  for (cache::VersionId version : versions) {
    if (versions_.contains(version))
      co_return Error(Errc::busy, "image '" + image + "' is still in use; try again");
  }
  for (cache::VersionId version : versions) blocks_.drop(version);
  block_jobs_.pump();
  if (catalog == nullptr) co_return Result<void>();
  Result<OpenCatalog*> open = co_await acquire_catalog(image, std::move(catalog));
  if (!open) co_return std::move(open).error();
  Result<void> removed;
  for (cache::VersionId version : versions) {
    if (removed) removed = co_await remove_known(**open, version);
  }
  co_await release_catalog(image);
  co_return removed;
}

Task<Result<void>> ImageSet::remove_known(OpenCatalog& catalog, cache::VersionId version) {
  auto step = [&catalog, version] { return catalog.catalog->remove_version(version); };
  while (true) {
    Result<cache::Ticket> removed = co_await catalog.jobs->with_loads(step);
    if (removed) co_return co_await catalog.jobs->durable(*removed);
    if (!removed.failed_with(Errc::try_later)) co_return std::move(removed).error();
    co_await catalog.jobs->drain();
  }
}

// Reads of them are refused; whoever asks for the status shall see why, also after a restart.
Task<void> ImageSet::read_drifted(OpenCatalog& catalog, OpenVersion& version,
                                  cache::VersionId id) {
  auto ask = [&catalog, id] { return catalog.catalog->drifted(id, max_drifted_shown); };
  Result<std::vector<cache::ObjectId>> found = co_await catalog.jobs->with_loads(ask);
  if (!found) {
    log(Level::warn, "image.drift_unknown",
        {{"image", version.image}, {"why", to_string(found.error())}});
    co_return;
  }
  for (cache::ObjectId object : *found) {
    auto ask_path = [&catalog, object] { return catalog.catalog->path(object); };
    Result<std::string> path = co_await catalog.jobs->with_loads(ask_path);
    version.drifted.push_back(path ? *path : "object " + std::to_string(to_number(object)));
  }
}

void ImageSet::stop_waiting(MonotonicTime from) {
  patience_ends_ = from;
  for (auto& [image, open] : catalogs_) open.jobs->stop_waiting(from);
}

Task<void> ImageSet::drain() { co_await block_jobs_.drain(); }

std::vector<std::string> ImageSet::drifted_before(cache::VersionId version) const {
  auto found = versions_.find(version);
  return found == versions_.end() ? std::vector<std::string>() : found->second.drifted;
}

const CachedImage* ImageSet::find(cache::VersionId version) const {
  auto found = versions_.find(version);
  return found == versions_.end() ? nullptr : found->second.cached.get();
}

Task<Result<void>> forget_in(ImageSet& images, Registry& registry, ImageRecord image,
                             std::string version) {
  std::vector<cache::VersionId> versions;
  for (const ImageVersion& known : image.versions) {
    if (version.empty() || known.label == version) versions.push_back(known.id);
  }
  std::unique_ptr<cache::Directory> catalog;
  if (versions.size() < image.versions.size()) {
    CO_TRY(catalog, registry.image_catalog(image.name));
  }
  co_return co_await images.forget(image.name, std::move(versions), std::move(catalog));
}

}  // namespace rowan::proxy
