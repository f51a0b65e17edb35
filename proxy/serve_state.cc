#include "proxy/serve_state.h"

#include "rpc/base/log.h"

namespace rowan::proxy {
namespace {

Task<Result<void>> add_store(ServingPlace place, const StateToServe& what, Pool& pool,
                             Image& image) {
  Result<std::unique_ptr<cache::Store>> store = co_await pool.store(what.state);
  if (!store) co_return std::move(store).error();
  co_return place.exports.add(std::make_unique<Appliance>(what.settings, std::move(*store),
                                                          pool.jobs(), image, place.loop));
}

Task<Result<Pool*>> serve_above(ServingPlace place, const StateToServe& what, Image& image) {
  CO_TRY(auto directory, place.registry.pool_directory(what.pool));
  Result<Pool*> pool = co_await place.pools.acquire(what.pool, std::move(directory));
  if (!pool) co_return pool;
  Result<void> added = co_await add_store(place, what, **pool, image);
  if (added) co_return pool;
  Result<void> released = co_await place.pools.release(what.pool);
  if (!released)
    log(Level::error, "pool.close_failed",
        {{"appliance", what.settings.name}, {"why", to_string(released.error())}});
  co_return std::move(added).error();
}

}  // namespace

Task<Result<Pool*>> serve_state(ServingPlace place, const StateToServe& what) {
  CO_TRY(auto catalog, place.registry.image_catalog(what.image));
  Result<Image*> image =
      co_await place.images.acquire(what.image, what.version, std::move(catalog));
  if (!image) co_return std::move(image).error();
  Result<Pool*> pool = co_await serve_above(place, what, **image);
  if (!pool) co_await place.images.release(what.version.id);
  co_return pool;
}

}  // namespace rowan::proxy
