#include "rpc/base/task.h"

#include <array>
#include <cstdlib>
#include <new>

namespace rowan {
namespace {

// Frames in steps of 64 bytes up to 4 KiB; larger ones go to malloc.
constexpr std::size_t step = 64;
constexpr std::size_t classes = 64;
constexpr std::size_t kept_per_class = 256;

struct FreeFrame {
  FreeFrame* next;
};

class FramePool {
 public:
  ~FramePool() {
    for (auto& list : lists_) {
      while (list.head != nullptr) {
        FreeFrame* next = list.head->next;
        std::free(list.head);
        list.head = next;
      }
    }
  }

  void* take(std::size_t index) {
    List& list = lists_[index];
    if (list.head == nullptr) {
      void* frame = std::malloc((index + 1) * step);
      if (frame == nullptr) throw std::bad_alloc();
      return frame;
    }
    FreeFrame* frame = list.head;
    list.head = frame->next;
    --list.count;
    return frame;
  }

  void give(void* memory, std::size_t index) noexcept {
    List& list = lists_[index];
    if (list.count == kept_per_class) {
      std::free(memory);
      return;
    }
    auto* frame = static_cast<FreeFrame*>(memory);
    frame->next = list.head;
    list.head = frame;
    ++list.count;
  }

 private:
  struct List {
    FreeFrame* head = nullptr;
    std::size_t count = 0;
  };
  std::array<List, classes> lists_;
};

thread_local FramePool pool;

// A task that owns itself: started by TaskGroup, its frame goes when it ends.
struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* frame, std::size_t size) { release_frame(frame, size); }
  };
};

template <class Done>
Detached run_detached(Task<void> task, Done done) {
  {
    Task<void> running = std::move(task);
    co_await running;
  }
  done();
}

}  // namespace

void* allocate_frame(std::size_t size) {
  std::size_t index = (size - 1) / step;
  if (index < classes) return pool.take(index);
  void* frame = std::malloc(size);
  if (frame == nullptr) throw std::bad_alloc();
  return frame;
}

void release_frame(void* frame, std::size_t size) noexcept {
  std::size_t index = (size - 1) / step;
  if (index < classes) {
    pool.give(frame, index);
  } else {
    std::free(frame);
  }
}

void TaskGroup::start(Task<void> task) {
  ++running_;
  auto done = [this] { finished(); };
  run_detached(std::move(task), done);
}

void TaskGroup::finished() {
  --running_;
  if (running_ == 0 && idle_waiter_) std::exchange(idle_waiter_, nullptr).resume();
}

}  // namespace rowan
