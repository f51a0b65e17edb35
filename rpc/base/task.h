// Task<T>: a lazy coroutine with one awaiter, for one thread. It knows no event loop: whoever
// completes what it waits for resumes it (Signal below, through a Loop). So NFS logic runs the same
// under Asio and under a simulated loop, and a call that never has to wait runs start to end as a
// plain function call.
//
// No symmetric transfer: g++ makes it a tail call only when optimising, and a loop over tasks that
// complete at once would eat the stack in a debug build. A child is resumed from await_suspend; if
// it finished, the parent goes on without having been suspended.
//
// g++ 12.2 destroys some temporaries twice: no braces and no value-capturing lambda inside an
// expression that contains co_await. Name the object first. tools/tidy.py looks for it.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

#include "rpc/base/check.h"

namespace rowan {

// Frames are recycled per thread; a proxy at full speed makes several a call.
void* allocate_frame(std::size_t size);
void release_frame(void* frame, std::size_t size) noexcept;

namespace detail {

class TaskPromiseBase {
 public:
  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* frame, std::size_t size) { release_frame(frame, size); }

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      TaskPromiseBase& promise = self.promise();
      // The frame may die inside resume(): nothing of it is touched afterwards.
      if (promise.parent_waits_) promise.parent_.resume();
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() noexcept { return {}; }
  FinalAwaiter final_suspend() noexcept { return {}; }
  // Exceptions come from libraries only and are caught at their door (style.md, errors).
  [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }

  std::coroutine_handle<> parent_;
  bool parent_waits_ = false;
};

template <class T>
class TaskPromise : public TaskPromiseBase {
 public:
  auto get_return_object() { return std::coroutine_handle<TaskPromise>::from_promise(*this); }
  template <class U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() { return std::move(*value_); }

 private:
  std::optional<T> value_;
};

template <>
class TaskPromise<void> : public TaskPromiseBase {
 public:
  auto get_return_object() { return std::coroutine_handle<TaskPromise>::from_promise(*this); }
  void return_void() {}
  void take() {}
};

}  // namespace detail

template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task(Handle handle)
      : handle_(handle) {}  // NOLINT: the compiler converts the promise's return object
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> parent) noexcept {
    promise_type& promise = handle_.promise();
    promise.parent_ = parent;
    handle_.resume();
    if (handle_.done()) return false;
    promise.parent_waits_ = true;
    return true;
  }
  T await_resume() { return handle_.promise().take(); }

 private:
  Handle handle_;
};

// Owns the tasks that nobody awaits: a connection's calls, a store's flushing, a prefetch.
// Destroying a group with running tasks is a programmer error; its owner first makes what they wait
// for end (closing a socket, failing a signal) and waits for `idle()`.
class TaskGroup {
 public:
  TaskGroup() = default;
  TaskGroup(const TaskGroup&) = delete;
  ~TaskGroup() { CHECK(running_ == 0); }

  // Runs the task up to its first wait before returning.
  void start(Task<void> task);

  std::size_t running() const { return running_; }
  // Completes once no task runs. One waiter at a time.
  auto idle() {
    struct Awaiter {
      TaskGroup& group;
      bool await_ready() const noexcept { return group.running_ == 0; }
      void await_suspend(std::coroutine_handle<> waiter) noexcept {
        CHECK(!group.idle_waiter_);
        group.idle_waiter_ = waiter;
      }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }

 private:
  void finished();

  std::size_t running_ = 0;
  std::coroutine_handle<> idle_waiter_;
};

}  // namespace rowan
