// A walk over a store, its check or its repair, that somebody watches and may end. For any thread.
#pragma once

#include <atomic>
#include <mutex>

#include "cache/checker.h"

namespace rowan::proxy {

class StoreWalk {
 public:
  void reached(const cache::CheckProgress& progress) {
    const std::lock_guard held(mutex_);
    progress_ = progress;
  }
  cache::CheckProgress progress() const {
    const std::lock_guard held(mutex_);
    return progress_;
  }
  void stop() { stopped_ = true; }
  bool is_stopped() const { return stopped_; }

  // For a check of everything, its data included; borrows this.
  cache::CheckOptions check_options() {
    cache::CheckOptions options;
    options.data = true;
    options.progress = [this](const cache::CheckProgress& progress) { reached(progress); };
    options.stopped = [this] { return is_stopped(); };
    return options;
  }

 private:
  mutable std::mutex mutex_;
  cache::CheckProgress progress_;
  std::atomic<bool> stopped_ = false;
};

}  // namespace rowan::proxy
