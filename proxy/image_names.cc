// The names of an image on their way to another host and from one (cache/catalog.h).
#include <utility>

#include "proxy/image_set.h"

namespace rowan::proxy {

using cache::KnownName;

Task<Result<std::vector<KnownName>>> known_names_in(cache::Catalog& catalog,
                                                    JobRunner<cache::Catalog>& jobs,
                                                    cache::VersionId version, KnownName behind,
                                                    std::size_t limit) {
  auto ask = [&catalog, version, &behind, limit] {
    return catalog.known_names(version, behind, limit);
  };
  co_return co_await jobs.with_loads(ask);
}

Task<Result<void>> take_names_in(cache::Catalog& catalog, JobRunner<cache::Catalog>& jobs,
                                 cache::VersionId version, std::vector<KnownName> names) {
  auto step = [&catalog, version, &names] { return catalog.take_names(version, names); };
  while (true) {
    Result<cache::Ticket> taken = co_await jobs.with_loads(step);
    if (taken) co_return co_await jobs.durable(*taken);
    if (!taken.failed_with(Errc::try_later)) co_return std::move(taken).error();
    Result<void> written = co_await jobs.durable(catalog.applied());
    if (!written) co_return written;
  }
}

Task<Result<std::vector<KnownName>>> ImageSet::known_names(
    std::string image, ImageVersion version, std::unique_ptr<cache::Directory> catalog,
    KnownName behind, std::size_t limit) {
  co_await turn_.take();
  Result<OpenCatalog*> open = co_await acquire_catalog(image, std::move(catalog));
  Result<std::vector<KnownName>> names = std::vector<KnownName>();
  if (open) {
    OpenCatalog& found = **open;
    names = co_await known_names_in(*found.catalog, *found.jobs, version.id, behind, limit);
    co_await release_catalog(image);
  }
  turn_.give_back();
  if (!open) co_return std::move(open).error();
  co_return names;
}

Task<Result<void>> ImageSet::take_names(std::string image, ImageVersion version,
                                        std::unique_ptr<cache::Directory> catalog,
                                        std::vector<KnownName> names) {
  co_await turn_.take();
  Result<OpenCatalog*> open = co_await acquire_catalog(image, std::move(catalog));
  Result<void> taken;
  if (open) {
    OpenCatalog& found = **open;
    taken = co_await take_names_in(*found.catalog, *found.jobs, version.id, std::move(names));
    co_await release_catalog(image);
  }
  turn_.give_back();
  if (!open) co_return std::move(open).error();
  co_return taken;
}

}  // namespace rowan::proxy
