// Which of many checkpoints a schedule keeps: "24h,7d,4w" is the newest of each of the last 24
// hours that have one, likewise for 7 days and 4 weeks. Counting the hours that have a checkpoint,
// and not those of the clock, means that a machine that was off, or whose clock was set, loses
// nothing by it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/base/result.h"

namespace rowan::proxy {

struct KeepRule {
  enum class Unit : std::uint8_t { last, hour, day, week, month, year };
  struct Part {
    Unit unit = Unit::last;
    std::uint32_t count = 0;  // at least 1
    friend bool operator==(const Part&, const Part&) = default;
  };
  std::vector<Part> parts;  // never empty
  friend bool operator==(const KeepRule&, const KeepRule&) = default;
};

// Parts between commas: a number and h, d, w, m (months) or y, or a number alone for so many of the
// newest. usage: anything else; says what is wrong.
Result<KeepRule> parse_keep_rule(std::string_view text);
std::string to_text(const KeepRule& rule);

// One answer for each of `times` (seconds since 1970, UTC; newest first): is it kept? A checkpoint
// is kept if any part asks for it.
std::vector<bool> kept(const KeepRule& rule, std::span<const std::int64_t> times);

}  // namespace rowan::proxy
