#include "proxy/service_manager.h"

#ifdef ROWAN_WITH_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

namespace rowan::proxy {

#ifdef ROWAN_WITH_SYSTEMD

void notify_ready(const std::string& status) {
  ::sd_notify(0, ("READY=1\nSTATUS=" + status).c_str());
}
void notify_starting(const std::string& status) {
  ::sd_notify(0, ("EXTEND_TIMEOUT_USEC=30000000\nSTATUS=" + status).c_str());
}
void notify_stopping() { ::sd_notify(0, "STOPPING=1\nSTATUS=finishing calls, syncing stores"); }
void notify_watchdog() { ::sd_notify(0, "WATCHDOG=1"); }
Duration watchdog_interval() {
  std::uint64_t microseconds = 0;
  if (::sd_watchdog_enabled(0, &microseconds) <= 0) return Duration::zero();
  // sd_watchdog_enabled(3) recommends half of the limit.
  return std::chrono::microseconds(microseconds / 2);
}

#else

void notify_ready(const std::string&) {}
void notify_starting(const std::string&) {}
void notify_stopping() {}
void notify_watchdog() {}
Duration watchdog_interval() { return Duration::zero(); }

#endif

}  // namespace rowan::proxy
