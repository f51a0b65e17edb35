#include "proxy/keep_rule.h"

#include <algorithm>

#include "tests/support/catch.h"

namespace rowan::proxy {
namespace {

constexpr std::int64_t hour = 3600, day = 24 * hour;
constexpr std::int64_t monday = 1767571200;  // 2026-01-05 00:00 UTC

std::vector<std::int64_t> kept_of(std::string_view rule, const std::vector<std::int64_t>& times) {
  const std::vector<bool> keep = kept(parse_keep_rule(rule).value(), times);
  std::vector<std::int64_t> found;
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (keep[i]) found.push_back(times[i]);
  }
  return found;
}

TEST_CASE("a keep rule is read and written back") {
  for (const char* text : {"24h,7d,4w", "5", "12m,3y,10"})
    CHECK(to_text(parse_keep_rule(text).value()) == text);
  for (const char* text : {"", "h", "0h", "7x", "7d,", ",7d", "-1d", "7 d", "7dd", "1000000h"}) {
    INFO(text);
    CHECK(parse_keep_rule(text).failed_with(Errc::usage));
  }
}

TEST_CASE("the newest of each hour is kept, for as many hours as asked") {
  const std::vector<std::int64_t> times{monday + 2 * hour + 1800, monday + 2 * hour + 60,
                                        monday + hour + 3599, monday + hour, monday};
  CHECK(kept_of("2h", times) == std::vector{times[0], times[2]});
  CHECK(kept_of("9h", times) == std::vector{times[0], times[2], times[4]});
}

TEST_CASE("hours without a checkpoint do not use up the rule") {
  const std::vector<std::int64_t> times{monday + 100 * day, monday + 50 * day, monday};
  CHECK(kept_of("3h", times) == times);
}

TEST_CASE("a week begins on Monday") {
  const std::vector<std::int64_t> times{monday, monday - 1, monday - 7 * day};
  CHECK(kept_of("4w", times) == std::vector{times[0], times[1]});
  CHECK(kept_of("1w", times) == std::vector{times[0]});
}

TEST_CASE("months and years go by the calendar") {
  const std::int64_t february = monday + 27 * day, december = monday - 5 * day;
  const std::vector<std::int64_t> times{february, monday, december};
  CHECK(kept_of("9m", times) == times);
  CHECK(kept_of("9y", times) == std::vector{february, december});
}

TEST_CASE("a number alone keeps the newest") {
  CHECK(kept_of("2", {30, 20, 20, 10}) == std::vector<std::int64_t>{30, 20});
}

TEST_CASE("what any part asks for is kept") {
  std::vector<std::int64_t> times;
  for (int i = 0; i < 24 * 30; ++i) times.push_back(monday + 60 * day - i * hour);
  const auto all = kept_of("24h,7d,4w", times);
  // Two of the days lie within the hours, two of the weeks end on days that are kept.
  CHECK(all.size() == 24 + 5 + 2);
  for (std::int64_t one : kept_of("7d", times)) CHECK(std::ranges::count(all, one) == 1);
}

TEST_CASE("times before 1970 are in order too") {
  CHECK(kept_of("2h", {-1, -hour, -hour - 1}) == std::vector<std::int64_t>{-1, -hour - 1});
}

}  // namespace
}  // namespace rowan::proxy
