#include "rpc/base/task.h"

#include <catch2/catch.hpp>

#include "rpc/base/loop.h"
#include "tests/support/manual_loop.h"

namespace rowan {
namespace {

using test::ManualDiskPool;
using test::ManualLoop;
using test::run_task;

Task<int> immediate(int value) { co_return value; }

Task<int> sum_of_many(int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) sum += co_await immediate(1);
  co_return sum;
}

Task<int> after_signal(Signal& signal, int value) {
  co_await signal.wait();
  co_return value;
}

TEST_CASE("a loop over a million tasks that complete at once uses no stack") {
  ManualLoop loop;
  ManualDiskPool disk;
  REQUIRE(run_task(loop, disk, sum_of_many(1'000'000)) == 1'000'000);
}

TEST_CASE("every waiter of a signal is resumed by the loop and not inside set()") {
  ManualLoop loop;
  Signal signal(loop);
  int resumed = 0;
  TaskGroup group;
  auto waiter = [](Signal& s, int& n) -> Task<void> {
    n += co_await after_signal(s, 1);
  };
  for (int i = 0; i < 3; ++i) group.start(waiter(signal, resumed));
  REQUIRE(group.running() == 3);
  signal.set();
  REQUIRE(resumed == 0);
  loop.run();
  REQUIRE(resumed == 3);
  REQUIRE(group.running() == 0);
}

TEST_CASE("idle() completes when the last task of a group ends") {
  ManualLoop loop;
  ManualDiskPool disk;
  Signal signal(loop);
  TaskGroup group;
  auto waiter = [](Signal& s) -> Task<void> { co_await s.wait(); };
  group.start(waiter(signal));
  bool idle = false;
  TaskGroup outer;
  auto watch = [](TaskGroup& g, bool& flag) -> Task<void> {
    co_await g.idle();
    flag = true;
  };
  outer.start(watch(group, idle));
  REQUIRE_FALSE(idle);
  signal.set();
  loop.run();
  REQUIRE(idle);
}

TEST_CASE("sleep_for resumes when time has moved far enough and not before") {
  ManualLoop loop;
  bool woke = false;
  TaskGroup group;
  auto sleeper = [](Loop& l, bool& flag) -> Task<void> {
    co_await sleep_for(l, std::chrono::seconds(5));
    flag = true;
  };
  group.start(sleeper(loop, woke));
  loop.advance(std::chrono::seconds(4));
  REQUIRE_FALSE(woke);
  loop.advance(std::chrono::seconds(1));
  REQUIRE(woke);
}

TEST_CASE("run_job hands the finished job back") {
  struct Adder final : Job {
    int value = 1;
    void run() noexcept override { value += 41; }
  };
  ManualLoop loop;
  ManualDiskPool disk;
  auto body = [](Loop& l, DiskPool& d) -> Task<int> {
    std::unique_ptr<Job> job = co_await run_job(d, l, std::make_unique<Adder>());
    co_return static_cast<Adder&>(*job).value;
  };
  REQUIRE(run_task(loop, disk, body(loop, disk)) == 42);
}

}  // namespace
}  // namespace rowan
