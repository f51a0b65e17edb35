#include "rpc/disk_threads.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <latch>

#include "rpc/asio_loop.h"

namespace rowan {
namespace {

struct CountJob final : Job {
  explicit CountJob(std::atomic<int>& c) : count(c) {}
  std::atomic<int>& count;
  std::thread::id ran_on;
  void run() noexcept override {
    ++count;
    ran_on = std::this_thread::get_id();
  }
};

// Blocks its thread until the test opens the gate.
struct GateJob final : Job {
  GateJob(std::latch& e, std::latch& g) : entered(e), gate(g) {}
  std::latch& entered;
  std::latch& gate;
  void run() noexcept override {
    entered.count_down();
    gate.wait();
  }
};

std::unique_ptr<DiskThreads> make_pool(std::size_t threads, std::size_t queue = 4096) {
  DiskThreadsLimits limits;
  limits.threads = threads;
  limits.queue = queue;
  auto pool = DiskThreads::start(limits);
  REQUIRE(pool);
  return std::move(*pool);
}

TEST_CASE("jobs run on other threads and their completions on the home loop") {
  AsioLoop loop;
  auto pool = make_pool(3);
  std::atomic<int> ran = 0;
  int completed = 0;
  std::thread::id home = std::this_thread::get_id();
  for (int i = 0; i < 1000; ++i) {
    pool->submit(loop, std::make_unique<CountJob>(ran), [&](std::unique_ptr<Job> job) {
      CHECK(std::this_thread::get_id() == home);
      CHECK(static_cast<CountJob&>(*job).ran_on != home);
      if (++completed == 1000) loop.stop();
    });
  }
  REQUIRE(completed == 0);
  loop.run();
  REQUIRE(completed == 1000);
  REQUIRE(ran == 1000);
}

TEST_CASE("one pool serves several loops, each completion on its own loop") {
  auto pool = make_pool(2);
  auto body = [&pool] {
    AsioLoop loop;
    std::atomic<int> ran = 0;
    int completed = 0;
    for (int i = 0; i < 500; ++i) {
      pool->submit(loop, std::make_unique<CountJob>(ran), [&](std::unique_ptr<Job>) {
        if (++completed == 500) loop.stop();
      });
    }
    loop.run();
    return completed;
  };
  int other = 0;
  std::thread second([&] { other = body(); });
  int mine = body();
  second.join();
  REQUIRE(mine == 500);
  REQUIRE(other == 500);
}

TEST_CASE(
    "with a full queue the submitter runs its job itself and is answered by the loop all the "
    "same") {
  AsioLoop loop;
  auto pool = make_pool(1, 2);
  std::latch entered(1), gate(1);
  int completed = 0;
  auto done = [&](std::unique_ptr<Job>) { ++completed; };
  pool->submit(loop, std::make_unique<GateJob>(entered, gate), done);
  entered.wait();
  std::atomic<int> ran = 0;
  pool->submit(loop, std::make_unique<CountJob>(ran), done);
  pool->submit(loop, std::make_unique<CountJob>(ran), done);
  REQUIRE(ran == 0);  // the only thread is busy, two wait: the queue is full
  std::thread::id ran_on;
  pool->submit(loop, std::make_unique<CountJob>(ran), [&](std::unique_ptr<Job> job) {
    ran_on = static_cast<CountJob&>(*job).ran_on;
    ++completed;
  });
  REQUIRE(ran == 1);
  REQUIRE(completed == 0);
  gate.count_down();
  while (completed != 4) loop.run_some(std::chrono::seconds(1));
  REQUIRE(ran == 3);
  REQUIRE(ran_on == std::this_thread::get_id());
}

TEST_CASE("destroying the pool runs what was submitted; the completions stay with the loop") {
  AsioLoop loop;
  std::atomic<int> ran = 0;
  int completed = 0;
  {
    auto pool = make_pool(2);
    for (int i = 0; i < 100; ++i) {
      auto done = [&](std::unique_ptr<Job>) { ++completed; };
      pool->submit(loop, std::make_unique<CountJob>(ran), done);
    }
  }
  REQUIRE(ran == 100);
  REQUIRE(completed == 0);
  while (completed != 100) loop.run_some(std::chrono::seconds(1));
}

TEST_CASE("a loop may be destroyed with completions that it never ran") {
  auto pool = make_pool(2);
  auto held = std::make_shared<int>(0);
  std::latch entered(1), gate(1);
  {
    AsioLoop loop;
    pool->submit(loop, std::make_unique<GateJob>(entered, gate), [held](std::unique_ptr<Job>) {});
    gate.count_down();
    pool.reset();
    REQUIRE(held.use_count() == 2);
  }
  REQUIRE(held.use_count() == 1);
}

}  // namespace
}  // namespace rowan
