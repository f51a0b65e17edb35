// Whose turn it is: first come, first served, one at a time, on one loop.
#pragma once

#include <coroutine>
#include <deque>
#include <utility>

#include "rpc/base/loop.h"

namespace rowan::proxy {

class Turn {
 public:
  explicit Turn(Loop& loop) : loop_(loop) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  struct Awaiter {
    Turn& turn;
    bool await_ready() noexcept { return !std::exchange(turn.taken_, true); }
    void await_suspend(std::coroutine_handle<> waiter) { turn.waiters_.push_back(waiter); }
    void await_resume() const noexcept {}
  };
  // `co_await turn.take()`, then give_back() once.
  Awaiter take() { return Awaiter{*this}; }
  void give_back() {
    if (waiters_.empty()) {
      taken_ = false;
      return;
    }
    std::coroutine_handle<> next = waiters_.front();
    waiters_.pop_front();
    loop_.defer([next] { next.resume(); });
  }

 private:
  Loop& loop_;
  bool taken_ = false;
  std::deque<std::coroutine_handle<>> waiters_;
};

}  // namespace rowan::proxy
