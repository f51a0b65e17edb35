// A state of a redirect store becomes something that clients can use: an appliance above its image,
// among the exports.
#pragma once

#include <string>

#include "proxy/exports.h"
#include "proxy/image_set.h"
#include "proxy/pool_set.h"
#include "proxy/registry.h"

namespace rowan::proxy {

struct ServingPlace {
  Loop& loop;
  Registry& registry;
  ImageSet& images;
  PoolSet& pools;
  Exports& exports;
};

struct StateToServe {
  ApplianceSettings settings;
  std::string image;
  ImageVersion version;
  PoolId pool{};
  cache::StateId state{};
};

// Acquires the image and the pool, whose users the caller releases once the appliance has gone from
// the exports. After an error nothing is held. `what` outlives the task.
Task<Result<Pool*>> serve_state(ServingPlace place, const StateToServe& what);

}  // namespace rowan::proxy
