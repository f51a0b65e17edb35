#include "proxy/stop_signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

namespace rowan::proxy {
namespace {

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGUSR2);  // wakes the thread for its end
  return set;
}

}  // namespace

StopSignals::StopSignals(std::function<void()> stop) : stop_(std::move(stop)) {
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t set = watched_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::thread([this] { wait(); });
}

StopSignals::~StopSignals() {
  done_ = true;
  ::pthread_kill(thread_.native_handle(), SIGUSR2);
  thread_.join();
}

void StopSignals::wait() {
  sigset_t set = watched_signals();
  bool asked = false;
  while (true) {
    int signal = 0;
    if (::sigwait(&set, &signal) != 0) continue;
    if (done_) return;
    if (signal == SIGUSR2) continue;
    if (asked) ::_exit(128 + signal);
    asked = true;
    stop_();
  }
}

}  // namespace rowan::proxy
