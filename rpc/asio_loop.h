// The real event loop: one thread, one boost::asio::io_context. A shard of the process owns one of
// these and everything that runs on it.
#pragma once

#include <functional>
#include <memory>

#include "rpc/base/loop.h"

namespace boost::asio {
class io_context;
}

namespace rowan {

class AsioLoop final : public Loop {
 public:
  AsioLoop();
  // What is still queued is dropped unrun: whoever owns coroutines on the loop ends them first.
  ~AsioLoop() override;
  AsioLoop(const AsioLoop&) = delete;
  AsioLoop& operator=(const AsioLoop&) = delete;

  Clock& clock() override;
  void defer(std::function<void()> work) override;
  void post(std::function<void()> work) override;
  TimerId call_after(Duration delay, std::function<void()> work) override;
  void cancel(TimerId timer) override;

  // Runs until stop(), also while there is nothing to do. The calling thread becomes the loop's
  // thread.
  void run();
  // Makes run() return after the piece of work it is in. From any thread; also before run().
  void stop();
  // Runs what is ready, waiting at most `patience` for the first piece. True if anything ran.
  bool run_some(Duration patience);

  // For the files that own sockets.
  boost::asio::io_context& context();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rowan
