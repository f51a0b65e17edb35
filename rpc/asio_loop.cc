#include "rpc/asio_loop.h"

#include <map>
#include <unordered_map>
#include <vector>

#include "rpc/asio.h"

// Deferred work does not go through Asio piece by piece: it gathers in `ready_`, and one Asio
// handler runs the whole batch. What a batch defers forms the next one, so sockets and timers get
// their turn in between, and "defer" from inside a batch means "after everything that is ready now"
// (the server's flush relies on it).
//
// All timers share one Asio timer, armed for the earliest. A cancelled timer is forgotten at once:
// a call's deadline is cancelled a thousand times for each time it fires.

namespace rowan {

class AsioLoop::Impl {
 public:
  Impl() : context_(1), guard_(asio::make_work_guard(context_)), timer_(context_) {}

  asio::io_context& context() { return context_; }

  void defer(std::function<void()> work) {
    ready_.push_back(std::move(work));
    if (draining_) return;
    draining_ = true;
    asio::post(context_, [this] { drain(); });
  }

  TimerId call_after(Duration delay, std::function<void()> work) {
    MonotonicTime when = real_clock().now() + delay;
    TimerId id = next_id_++;
    due_.emplace(id, when);
    timers_.emplace(std::pair(when, id), std::move(work));
    arm();
    return id;
  }

  void cancel(TimerId id) {
    auto found = due_.find(id);
    if (found == due_.end()) return;
    timers_.erase(std::pair(found->second, id));
    due_.erase(found);
    // The Asio timer stays armed: waking once for nothing is cheaper than arming it for every
    // cancelled call.
  }

 private:
  void drain() {
    running_.swap(ready_);
    for (auto& work : running_) {
      std::function<void()> piece = std::move(work);
      piece();
    }
    running_.clear();
    if (ready_.empty()) {
      draining_ = false;
    } else {
      asio::post(context_, [this] { drain(); });
    }
  }

  void arm() {
    if (timers_.empty()) return;
    MonotonicTime first = timers_.begin()->first.first;
    if (armed_ && *armed_ <= first) return;
    armed_ = first;
    timer_.expires_at(first);  // cancels the wait before, if any
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) fire();
    });
  }

  void fire() {
    armed_.reset();
    MonotonicTime now = real_clock().now();
    while (!timers_.empty() && timers_.begin()->first.first <= now) {
      auto first = timers_.begin();
      std::function<void()> work = std::move(first->second);
      due_.erase(first->first.second);
      timers_.erase(first);
      work();
    }
    arm();
  }

  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  std::vector<std::function<void()>> ready_, running_;
  bool draining_ = false;
  asio::steady_timer timer_;
  std::optional<MonotonicTime> armed_;
  std::map<std::pair<MonotonicTime, TimerId>, std::function<void()>> timers_;
  std::unordered_map<TimerId, MonotonicTime> due_;
  TimerId next_id_ = 1;
};

AsioLoop::AsioLoop() : impl_(std::make_unique<Impl>()) {}
AsioLoop::~AsioLoop() = default;

Clock& AsioLoop::clock() { return real_clock(); }
void AsioLoop::defer(std::function<void()> work) { impl_->defer(std::move(work)); }
void AsioLoop::post(std::function<void()> work) { asio::post(impl_->context(), std::move(work)); }
Loop::TimerId AsioLoop::call_after(Duration delay, std::function<void()> work) {
  return impl_->call_after(delay, std::move(work));
}
void AsioLoop::cancel(TimerId timer) { impl_->cancel(timer); }

void AsioLoop::run() { impl_->context().run(); }
void AsioLoop::stop() { impl_->context().stop(); }

bool AsioLoop::run_some(Duration patience) {
  if (impl_->context().run_one_for(patience) == 0) return false;
  impl_->context().poll();
  return true;
}

boost::asio::io_context& AsioLoop::context() { return impl_->context(); }

}  // namespace rowan
