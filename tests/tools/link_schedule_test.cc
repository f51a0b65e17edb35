#include "tools/link_schedule.h"

#include <catch2/catch.hpp>

namespace rowan::link {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

MonotonicTime at(Duration since_begin) { return MonotonicTime{} + seconds(1000) + since_begin; }

TEST_CASE("a byte on an idle wire without a limit arrives after the delay") {
  Wire wire(milliseconds(20), 0);
  CHECK(wire.send(at(milliseconds(5)), 1) == at(milliseconds(25)));
  CHECK(wire.send(at(milliseconds(5)), 4096) == at(milliseconds(25)));
}

TEST_CASE("bytes queue behind each other at the rate") {
  Wire wire(milliseconds(20), 8'000'000);  // a byte each microsecond
  CHECK(wire.send(at({}), 1000) == at(milliseconds(21)));
  CHECK(wire.send(at({}), 1000) == at(milliseconds(22)));
  CHECK(wire.send(at(microseconds(500)), 1000) == at(milliseconds(23)));
}

TEST_CASE("a wire that was idle does not catch up") {
  Wire wire(Duration{}, 8'000'000);
  CHECK(wire.send(at({}), 1000) == at(milliseconds(1)));
  CHECK(wire.send(at(seconds(1)), 1000) == at(seconds(1) + milliseconds(1)));
}

TEST_CASE("rounding does not add up: a million odd segments take exactly their time") {
  constexpr std::uint64_t rate = 7'000'003;
  Wire wire(Duration{}, rate);
  constexpr std::uint64_t count = 1'000'000, bytes = 3;
  MonotonicTime last;
  for (std::uint64_t i = 0; i < count; ++i) last = wire.send(at({}), bytes);
  auto exact = static_cast<std::int64_t>(count * bytes * 8 * 1'000'000'000ull / rate);
  CHECK(last == at(nanoseconds(exact)));
}

TEST_CASE("a pipe delivers in order and only what has arrived") {
  Wire wire(milliseconds(10), 0);
  Pipe pipe(100);
  pipe.push(wire, at({}), "first");
  pipe.push(wire, at(milliseconds(5)), "second");
  CHECK(pipe.arrived(at(milliseconds(9))).empty());
  CHECK(pipe.next_arrival() == at(milliseconds(10)));
  REQUIRE(pipe.arrived(at(milliseconds(10))) == "first");
  pipe.consume(2);
  REQUIRE(pipe.arrived(at(milliseconds(10))) == "rst");
  pipe.consume(3);
  CHECK(pipe.arrived(at(milliseconds(14))).empty());
  CHECK(pipe.arrived(at(milliseconds(15))) == "second");
}

TEST_CASE("a pipe is full at its window and has room again after delivery") {
  Wire wire(Duration{}, 0);
  Pipe pipe(10);
  pipe.push(wire, at({}), "0123456789");
  CHECK(pipe.room() == 0);
  REQUIRE(pipe.arrived(at({})) == "0123456789");
  pipe.consume(4);
  CHECK(pipe.room() == 4);
}

TEST_CASE("the end arrives after the bytes, and nothing may follow it") {
  Wire wire(milliseconds(10), 0);
  Pipe pipe(100);
  pipe.push(wire, at({}), "x");
  pipe.end(wire, at({}));
  CHECK(pipe.room() == 0);
  CHECK_FALSE(pipe.end_arrived(at(milliseconds(20))));
  pipe.consume(1);
  CHECK_FALSE(pipe.end_arrived(at(milliseconds(9))));
  CHECK(pipe.next_arrival() == at(milliseconds(10)));
  CHECK(pipe.end_arrived(at(milliseconds(10))));
}

TEST_CASE("large writes trickle in segments") {
  Wire wire(Duration{}, 8'000'000);
  Pipe pipe(100'000);
  pipe.push(wire, at({}), std::string(3 * segment_bytes, 'x'));
  auto one = microseconds(segment_bytes);
  CHECK(pipe.arrived(at(one - nanoseconds(1))).empty());
  CHECK(pipe.arrived(at(one)).size() == segment_bytes);
}

TEST_CASE("jitter delays within its bound, and never lets bytes overtake each other") {
  Wire wire(milliseconds(10), 0, {.jitter = milliseconds(5)});
  Pipe pipe(10'000);
  MonotonicTime last;
  bool differs = false;
  for (int i = 0; i < 1000; ++i) {
    pipe.push(wire, at({}), "x");
    auto due = *pipe.next_arrival();
    CHECK((due >= at(milliseconds(10)) && due <= at(milliseconds(15))));
    CHECK(due >= last);
    differs = differs || due > at(milliseconds(10));
    last = due;
    REQUIRE(pipe.arrived(due) == "x");
    pipe.consume(1);
  }
  CHECK(differs);
}

TEST_CASE("a share of the segments is lost and comes later; the same seed loses the same") {
  Roughness rough{.loss = 0.1, .retransmission = milliseconds(200), .seed = 7};
  Wire wire(Duration{}, 0, rough), twin(Duration{}, 0, rough);
  int lost = 0;
  for (int i = 0; i < 10'000; ++i) {
    auto due = wire.send(at({}), 1);
    CHECK(due == twin.send(at({}), 1));
    CHECK((due == at({}) || due == at(milliseconds(200))));
    lost += due > at({});
  }
  CHECK((lost > 800 && lost < 1200));
}

TEST_CASE("behind a lost segment everything waits, the end too") {
  Wire rough(Duration{}, 0, {.loss = 1, .retransmission = milliseconds(200)}), good(Duration{}, 0);
  Pipe pipe(100);
  pipe.push(rough, at({}), "a");
  pipe.push(good, at({}), "b");
  pipe.end(good, at({}));
  CHECK(pipe.arrived(at(milliseconds(199))).empty());
  REQUIRE(pipe.arrived(at(milliseconds(200))) == "a");
  pipe.consume(1);
  REQUIRE(pipe.arrived(at(milliseconds(200))) == "b");
  pipe.consume(1);
  CHECK_FALSE(pipe.end_arrived(at(milliseconds(199))));
  CHECK(pipe.end_arrived(at(milliseconds(200))));
}

}  // namespace
}  // namespace rowan::link
