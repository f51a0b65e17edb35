// SIGTERM and SIGINT: the first asks for a clean shutdown, the second ends the process at once. A
// thread of their own waits for them, so that the second one works even if the loop is stuck.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

namespace rowan::proxy {

class StopSignals {
 public:
  // Blocks both signals in this thread and those it starts later: make this object before other
  // threads. `stop` is called once, on the thread of its own. SIGPIPE is ignored from here on.
  explicit StopSignals(std::function<void()> stop);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;

 private:
  void wait();

  std::function<void()> stop_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace rowan::proxy
