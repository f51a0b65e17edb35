#include "rpc/asio_loop.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

namespace rowan {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

void run_until(AsioLoop& loop, const std::function<bool()>& done) {
  MonotonicTime end = real_clock().now() + seconds(20);
  while (!done()) {
    REQUIRE(real_clock().now() < end);
    loop.run_some(milliseconds(100));
  }
}

TEST_CASE(
    "deferred work runs in order, never inside the call, and what it defers runs after its batch") {
  AsioLoop loop;
  std::string order;
  loop.defer([&] {
    order += 'a';
    loop.defer([&] { order += 'c'; });
  });
  loop.defer([&] { order += 'b'; });
  REQUIRE(order.empty());
  run_until(loop, [&] { return order.size() == 3; });
  REQUIRE(order == "abc");
}

TEST_CASE("timers fire in the order of their times and not before them") {
  AsioLoop loop;
  std::string order;
  MonotonicTime start = loop.clock().now();
  loop.call_after(milliseconds(12), [&] { order += 'b'; });
  loop.call_after(milliseconds(4), [&] { order += 'a'; });
  loop.call_after(milliseconds(13), [&] { order += 'c'; });
  run_until(loop, [&] { return order.size() == 3; });
  REQUIRE(order == "abc");
  REQUIRE(loop.clock().now() - start >= milliseconds(13));
}

TEST_CASE("a cancelled timer does not run, also when another timer of the same moment cancels it") {
  AsioLoop loop;
  int cancelled_ran = 0;
  bool end = false;
  Loop::TimerId early = loop.call_after(milliseconds(1), [&] { ++cancelled_ran; });
  loop.cancel(early);
  Loop::TimerId second = 0;
  loop.call_after(Duration(0), [&] { loop.cancel(second); });
  second = loop.call_after(Duration(0), [&] { ++cancelled_ran; });
  loop.call_after(milliseconds(5), [&] { end = true; });
  run_until(loop, [&] { return end; });
  REQUIRE(cancelled_ran == 0);
  loop.cancel(second);  // long gone: harmless
  loop.cancel(0);
}

TEST_CASE("a timer set while a later one waits fires first") {
  AsioLoop loop;
  bool fired = false;
  Loop::TimerId late = loop.call_after(seconds(3600), [] { FAIL("an hour has not passed"); });
  loop.call_after(milliseconds(1), [&] { fired = true; });
  run_until(loop, [&] { return fired; });
  loop.cancel(late);
}

TEST_CASE("work posted by other threads all runs on the loop's thread") {
  AsioLoop loop;
  constexpr int per_thread = 2000;
  int ran = 0;  // no atomic: one thread only may touch it
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < per_thread; ++j) {
        loop.post([&] {
          if (++ran == 3 * per_thread) loop.stop();
        });
      }
    });
  }
  loop.run();
  for (auto& thread : threads) thread.join();
  REQUIRE(ran == 3 * per_thread);
}

TEST_CASE("stop() before run() makes it return at once") {
  AsioLoop loop;
  loop.stop();
  loop.run();
}

TEST_CASE("a loop is destroyed with work and timers still queued") {
  auto held = std::make_shared<int>(1);
  {
    AsioLoop loop;
    loop.defer([held] { FAIL("never runs"); });
    loop.post([held] { FAIL("never runs"); });
    loop.call_after(seconds(1), [held] { FAIL("never runs"); });
    REQUIRE(held.use_count() == 4);
  }
  REQUIRE(held.use_count() == 1);
}

}  // namespace
}  // namespace rowan
