// What a repair of a store lost, as an operator is told: by path, as far as the repaired store and
// the image still know one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cache/repair.h"
#include "cache/store.h"
#include "proxy/appliance.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

// "/usr/bin/cc", of an object of the image; empty: not known.
using PathInImage = std::function<Task<std::string>(cache::ObjectId)>;

struct LostPaths {
  cache::Store& store;  // of the running state
  StoreJobs& jobs;      // the store's
  PathInImage image;
};

// "/etc/fstab: bytes 0 to 4096 are lost": a line for each part.
Task<std::vector<std::string>> lost_lines(std::vector<cache::LostPart> lost, LostPaths paths);

}  // namespace rowan::proxy
