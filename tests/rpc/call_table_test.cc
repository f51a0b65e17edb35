#include "rpc/call_table.h"

#include <memory>
#include <random>
#include <set>
#include <string>

#include "tests/support/catch.h"

namespace rowan::rpc {
namespace {

using Table = CallTable<std::string>;

MonotonicTime at(int seconds) { return MonotonicTime(std::chrono::seconds(seconds)); }

TEST_CASE("a reply is matched to its call once") {
  Table table(100, 8);
  auto first = table.add("a", at(1));
  auto second = table.add("b", at(1));
  REQUIRE(first.has_value());
  REQUIRE(second.has_value());
  CHECK(*first == 100);
  CHECK(*second == 101);
  CHECK(table.take(101) == "b");
  CHECK(table.take(100) == "a");
  CHECK(table.take(100) == std::nullopt);
  CHECK(table.take(102) == std::nullopt);
  CHECK(table.counters().matched == 2);
  CHECK(table.counters().unmatched == 2);
}

TEST_CASE("a full table refuses and takes again after a reply") {
  Table table(1, 2);
  REQUIRE(table.add("a", at(1)).has_value());
  REQUIRE(table.add("b", at(1)).has_value());
  CHECK(table.full());
  CHECK(table.add("c", at(1)).failed_with(Errc::limit));
  table.take(1);
  CHECK_FALSE(table.full());
  CHECK(table.add("c", at(1)).has_value());
}

TEST_CASE("xids wrap and pass over those outstanding") {
  Table table(0xfffffffe, 8);
  CHECK(*table.add("a", at(1)) == 0xfffffffe);
  CHECK(*table.add("b", at(1)) == 0xffffffff);
  CHECK(*table.add("c", at(1)) == 0);
  CHECK(table.take_all() == std::vector<std::string>{"a", "b", "c"});

  Table two(7, 8);
  REQUIRE(*two.add("old", at(1)) == 7);
  for (std::uint64_t i = 0; i < 10; ++i) two.take(*two.add("x", at(1)));
  CHECK(two.size() == 1);
}

TEST_CASE("calls expire at their deadline, earliest first, and late replies are dropped") {
  Table table(1, 8);
  CHECK(table.next_deadline() == std::nullopt);
  (void)table.add("late", at(30));
  (void)table.add("soon", at(10));
  (void)table.add("mid", at(20));
  CHECK(table.next_deadline() == at(10));
  CHECK(table.expire(at(10) - Duration(1)).empty());
  CHECK(table.expire(at(20)) == std::vector<std::string>{"soon", "mid"});
  CHECK(table.next_deadline() == at(30));
  CHECK(table.take(2) == std::nullopt);
  CHECK(table.counters().expired == 2);
  CHECK(table.counters().unmatched == 1);
}

TEST_CASE("an answered call's deadline does not count any more") {
  Table table(1, 8);
  (void)table.add("a", at(10));
  (void)table.add("b", at(20));
  table.take(1);
  CHECK(table.next_deadline() == at(20));
  CHECK(table.expire(at(15)).empty());
}

TEST_CASE("a broken connection gives all calls back, oldest first") {
  Table table(1, 100);
  std::vector<std::string> want;
  for (int i = 0; i < 50; ++i) {
    want.push_back(std::to_string(i));
    (void)table.add(want.back(), at(100 - i));
  }
  CHECK(table.take_all() == want);
  CHECK(table.size() == 0);
  CHECK(table.next_deadline() == std::nullopt);
  CHECK(table.expire(at(1000)).empty());
}

TEST_CASE("move-only calls are given back exactly once under random use") {
  std::uint32_t seed = 4711;
  CAPTURE(seed);
  std::mt19937 random(seed);
  CallTable<std::unique_ptr<int>> table(static_cast<std::uint32_t>(random()), 64);
  std::set<int> outstanding;
  std::vector<std::uint32_t> xids;
  int made = 0, now = 0;
  auto give_back = [&](const std::unique_ptr<int>& call) {
    REQUIRE(outstanding.erase(*call) == 1);
  };
  for (int step = 0; step < 20'000; ++step) {
    switch (random() % 8) {
      case 0: case 1: case 2: case 3: {
        auto xid =
            table.add(std::make_unique<int>(made), at(now + static_cast<int>(random() % 50)));
        REQUIRE(xid.has_value() == (outstanding.size() < 64));
        if (xid) outstanding.insert(made), xids.push_back(*xid);
        ++made;
        break;
      }
      case 4: case 5: case 6: {
        if (xids.empty()) break;
        auto call = table.take(xids[random() % xids.size()]);
        if (call) give_back(*call);
        break;
      }
      default:
        for (auto& call : table.expire(at(++now))) give_back(call);
    }
    REQUIRE(table.size() == outstanding.size());
    REQUIRE(table.next_deadline().has_value() == !outstanding.empty());
  }
  for (auto& call : table.take_all()) give_back(call);
  CHECK(outstanding.empty());
}

}  // namespace
}  // namespace rowan::rpc
