#include "proxy/keep_rule.h"

#include <charconv>
#include <chrono>
#include <optional>

namespace rowan::proxy {
namespace {

constexpr std::uint32_t max_count = 100000;
constexpr std::string_view letters = "hdwmy";  // in the order of Unit, from hour on

using Seconds = std::chrono::sys_seconds;

// Which hour, day and so on a time belongs to; only equality counts. Weeks begin on Monday.
std::int64_t period_of(KeepRule::Unit unit, std::int64_t time) {
  const Seconds at{std::chrono::seconds(time)};
  const std::chrono::sys_days day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const std::int64_t year = static_cast<int>(date.year());
  switch (unit) {
    case KeepRule::Unit::last:
      return time;
    case KeepRule::Unit::hour:
      return std::chrono::floor<std::chrono::hours>(at).time_since_epoch().count();
    case KeepRule::Unit::day:
      return day.time_since_epoch().count();
    case KeepRule::Unit::week: {
      const std::chrono::days since_monday = std::chrono::weekday(day) - std::chrono::Monday;
      return (day - since_monday).time_since_epoch().count();
    }
    case KeepRule::Unit::month:
      return year * 12 + static_cast<unsigned>(date.month());
    case KeepRule::Unit::year:
      return year;
  }
  return time;
}

void keep_part(const KeepRule::Part& part, std::span<const std::int64_t> times,
               std::vector<bool>& keep) {
  std::uint32_t left = part.count;
  std::optional<std::int64_t> last;
  for (std::size_t i = 0; i < times.size() && left > 0; ++i) {
    const std::int64_t period = period_of(part.unit, times[i]);
    if (part.unit != KeepRule::Unit::last && last == period) continue;
    last = period;
    keep[i] = true;
    --left;
  }
}

Result<KeepRule::Part> parse_part(std::string_view text) {
  KeepRule::Part part;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, part.count);
  const std::string_view unit(at, static_cast<std::size_t>(end - at));
  const std::size_t letter = unit.size() == 1 ? letters.find(unit[0]) : std::string_view::npos;
  if (error != std::errc() || part.count == 0 || part.count > max_count ||
      (!unit.empty() && letter == std::string_view::npos)) {
    return Error(Errc::usage, "'" + std::string(text) +
                                  "' does not say what to keep; write a number with h, d, w, m or "
                                  "y, such as 24h,7d,4w, or a number alone for the newest");
  }
  if (!unit.empty()) part.unit = static_cast<KeepRule::Unit>(letter + 1);
  return part;
}

}  // namespace

Result<KeepRule> parse_keep_rule(std::string_view text) {
  KeepRule rule;
  while (true) {
    const std::size_t comma = text.find(',');
    TRY(const KeepRule::Part part, parse_part(text.substr(0, comma)));
    rule.parts.push_back(part);
    if (comma == std::string_view::npos) return rule;
    text.remove_prefix(comma + 1);
  }
}

std::string to_text(const KeepRule& rule) {
  std::string text;
  for (const KeepRule::Part& part : rule.parts) {
    if (!text.empty()) text += ',';
    text += std::to_string(part.count);
    if (part.unit != KeepRule::Unit::last) text += letters[static_cast<std::size_t>(part.unit) - 1];
  }
  return text;
}

std::vector<bool> kept(const KeepRule& rule, std::span<const std::int64_t> times) {
  std::vector<bool> keep(times.size(), false);
  for (const KeepRule::Part& part : rule.parts) keep_part(part, times, keep);
  return keep;
}

}  // namespace rowan::proxy
