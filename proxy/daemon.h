// `rowan serve`: builds the object graph, runs it, takes it down in order.
#pragma once

#include <functional>
#include <string>

#include "proxy/config.h"
#include "rpc/base/result.h"

namespace rowan::proxy {

// Serves until SIGTERM or SIGINT, then answers what is in flight, makes everything durable and
// returns. An error means that it could not start: names what is in the way and the remedy. `ready`
// is called once, with a line for people: what is served, and where. Trouble with one appliance
// does not stop the others.
Result<void> run_daemon(const std::string& state, const ServeConfig& config,
                        const std::function<void(const std::string&)>& ready);

}  // namespace rowan::proxy
