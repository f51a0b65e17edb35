#include "proxy/offline_host.h"

#include "cache/catalog.h"
#include "proxy/blocking.h"
#include "proxy/image_set.h"
#include "proxy/lost_paths.h"
#include "proxy/source_opener.h"
#include "proxy/store_maker.h"

namespace rowan::proxy {
namespace {

constexpr std::uint64_t unlimited_bytes = std::uint64_t{1} << 60;

}  // namespace

Task<Result<void>> OfflineHost::probe_source(std::string source) {
  return proxy::probe_source(std::move(source), real_sources(loop_, disk_));
}

Task<Result<std::vector<std::string>>> OfflineHost::check_store(ApplianceRecord record, bool,
                                                                StoreWalk& walk) {
  CO_TRY(auto directory, registry_.pool_directory(record.pool));
  std::shared_ptr<cache::Directory> store = std::move(directory);
  const cache::CheckOptions options = walk.check_options();
  auto check = [store, &options] { return check_store_in(*store, options); };
  co_return co_await run_blocking(disk_, loop_, std::move(check));
}

void OfflineHost::drop_orphans_of(Pool& pool) {
  std::vector<ApplianceRecord> users;
  for (const auto& [name, record] : registry_.appliances()) {
    if (record.pool == pool.id()) users.push_back(record);
  }
  if (registry_.all_known() && !users.empty())
    drop_orphans(pool.family(), users, loop_.clock().wall().seconds);
}

Task<Result<void>> OfflineHost::forget_image(ImageRecord image, std::string version) {
  CO_TRY(auto directory, state_.cache());
  cache::BlockCacheOptions options;
  // What the daemon's limit is, is not known here; nothing else shall be evicted.
  options.limit_bytes = unlimited_bytes;
  CO_TRY(auto blocks, cache::BlockCache::open(*directory, options));
  ImageSet images(loop_, disk_, *blocks, real_sources(loop_, disk_));
  Result<void> done = co_await forget_in(images, registry_, std::move(image), std::move(version));
  co_await images.drain();
  co_return done;
}

// A catalogue for one question.
struct OfflineHost::OpenCatalog {
  std::unique_ptr<cache::Directory> directory;
  std::unique_ptr<cache::Catalog> catalog;
  std::unique_ptr<JobRunner<cache::Catalog>> jobs;
};

Result<OfflineHost::OpenCatalog> OfflineHost::open_catalog(const std::string& image) {
  OpenCatalog open;
  TRY(open.directory, registry_.image_catalog(image));
  TRY(open.catalog, cache::Catalog::open(*open.directory));
  open.jobs = std::make_unique<JobRunner<cache::Catalog>>(loop_, disk_, *open.catalog);
  return open;
}

Task<void> OfflineHost::close_catalog(OpenCatalog& open) {
  open.catalog->prepare_close();
  co_await open.jobs->drain();
}

Task<Result<std::vector<cache::KnownName>>> OfflineHost::known_names(std::string image,
                                                                     ImageVersion version,
                                                                     cache::KnownName behind,
                                                                     std::size_t limit) {
  CO_TRY(OpenCatalog open, open_catalog(image));
  Result<std::vector<cache::KnownName>> names =
      co_await known_names_in(*open.catalog, *open.jobs, version.id, behind, limit);
  co_await close_catalog(open);
  co_return names;
}

Task<Result<void>> OfflineHost::take_names(std::string image, ImageVersion version,
                                           std::vector<cache::KnownName> names) {
  CO_TRY(OpenCatalog open, open_catalog(image));
  Result<void> taken =
      co_await take_names_in(*open.catalog, *open.jobs, version.id, std::move(names));
  co_await close_catalog(open);
  co_return taken;
}

// By path, as the store and what is known of the image tell it.
Task<Result<void>> OfflineHost::name_lost(const ApplianceRecord& record, Pool& pool,
                                          std::vector<cache::LostPart> lost, Repaired& done) {
  CO_TRY(OpenCatalog open, open_catalog(record.image));
  Result<std::unique_ptr<cache::Store>> store = co_await pool.store(record.head);
  if (!store) co_return std::move(store).error();
  PathInImage path = [&open](cache::ObjectId id) -> Task<std::string> {
    auto question = [&open, id] { return open.catalog->path(id); };
    Result<std::string> known = co_await open.jobs->with_loads(question);
    co_return known ? *known : std::string();
  };
  LostPaths paths{**store, pool.jobs(), path};
  done.lost = co_await lost_lines(std::move(lost), paths);
  co_await close_catalog(open);
  co_return Result<void>();
}

Task<Result<Repaired>> OfflineHost::repair_store(ApplianceRecord record, StoreWalk& walk) {
  CO_TRY(auto directory, registry_.pool_directory(record.pool));
  cache::RepairOptions options;
  options.progress = [&walk](const cache::CheckProgress& progress) { walk.reached(progress); };
  auto repair = [&] { return cache::repair_store(*directory, options); };
  CO_TRY(cache::RepairReport report, co_await run_blocking(disk_, loop_, std::move(repair)));
  Repaired done{report.repaired, std::move(report.findings), {}};
  if (report.lost.empty()) co_return done;
  Result<Pool*> pool = co_await pools_.acquire(record.pool, std::move(directory));
  if (!pool) co_return std::move(pool).error();
  Result<void> named = co_await name_lost(record, **pool, std::move(report.lost), done);
  Result<void> closed = co_await pools_.release(record.pool);
  if (!named) co_return std::move(named).error();
  if (!closed) co_return std::move(closed).error();
  co_return done;
}

}  // namespace rowan::proxy
