// systemd's notification socket, if there is one (sd_notify(3)). The door of libsystemd; without
// the library all of it does nothing.
#pragma once

#include <string>

#include "rpc/base/clock.h"

namespace rowan::proxy {

void notify_ready(const std::string& status);
// Starting goes on: gives it some more time.
void notify_starting(const std::string& status);
void notify_stopping();
// Tells that the loop still turns.
void notify_watchdog();
// How often to tell, or zero: nobody waits for it.
Duration watchdog_interval();

}  // namespace rowan::proxy
