// Making and checking the redirect store of an appliance that nobody serves.
#pragma once

#include <string>
#include <vector>

#include "cache/checker.h"
#include "cache/store.h"
#include "rpc/base/result.h"

namespace rowan::proxy {

// Registry::MakeStore: an empty store, durable.
Result<void> make_store(cache::Directory& directory);

// A line for each finding, and one for those that were too many.
std::vector<std::string> findings_of(cache::CheckReport report);

// Opens and walks the store; one line a finding, none: it is sound. The appliance must not be
// served.
Result<std::vector<std::string>> check_store_in(cache::Directory& directory,
                                                const cache::CheckOptions& options);

}  // namespace rowan::proxy
