#include "proxy/size_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace rowan::proxy {
namespace {

constexpr std::array<std::string_view, 7> size_units{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The power of 1024 a unit stands for: "", "B", "K", "KB", "KiB" and so on; -1 for anything else.
int unit_power(std::string_view unit) {
  if (unit.empty() || unit == "B" || unit == "b") return 0;
  static constexpr std::string_view letters = "KMGTPE";
  std::size_t letter = letters.find(static_cast<char>(unit[0] & ~0x20));
  if (letter == std::string_view::npos) return -1;
  std::string_view rest = unit.substr(1);
  if (!rest.empty() && rest != "B" && rest != "b" && rest != "iB" && rest != "ib") return -1;
  return static_cast<int>(letter) + 1;
}

template <class... Args>
std::string format(const char* pattern, Args... args) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, args...);
  return text;
}

Error not_a_size(std::string_view text) {
  return Error(Errc::usage,
               "'" + std::string(text) +
                   "' is not a size; write a number with an optional unit, such as 512M or 10G");
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  std::size_t end = 0;
  std::uint64_t whole = 0;
  while (end < text.size() && is_digit(text[end])) {
    if (__builtin_mul_overflow(whole, 10u, &whole) ||
        __builtin_add_overflow(whole, static_cast<std::uint64_t>(text[end] - '0'), &whole)) {
      return not_a_size(text);
    }
    ++end;
  }
  if (end == 0) return not_a_size(text);
  double fraction = 0;
  if (end < text.size() && text[end] == '.') {
    double weight = 0.1;
    std::size_t first = ++end;
    for (; end < text.size() && is_digit(text[end]); ++end, weight /= 10) {
      fraction += weight * (text[end] - '0');
    }
    if (end == first) return not_a_size(text);
  }
  if (end < text.size() && text[end] == ' ') ++end;
  int power = unit_power(text.substr(end));
  if (power < 0 || (power == 0 && fraction != 0)) return not_a_size(text);
  std::uint64_t unit = std::uint64_t{1} << (10 * power);
  std::uint64_t bytes = 0;
  auto extra = static_cast<std::uint64_t>(std::llround(fraction * static_cast<double>(unit)));
  if (__builtin_mul_overflow(whole, unit, &bytes) || __builtin_add_overflow(bytes, extra, &bytes) ||
      bytes > static_cast<std::uint64_t>(INT64_MAX)) {
    return not_a_size(text);
  }
  return bytes;
}

Result<std::uint64_t> parse_duration(std::string_view text) {
  constexpr std::string_view units = "smhdw";
  constexpr std::array<std::uint64_t, 5> seconds{1, 60, 3600, 86400, 7 * 86400};
  constexpr std::uint64_t longest = 100ull * 366 * 86400;
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  const std::size_t unit = at + 1 == end ? units.find(*at) : std::string_view::npos;
  if (error != std::errc() || unit == std::string_view::npos || number == 0 ||
      number > longest / seconds[unit]) {
    return Error(Errc::usage, "'" + std::string(text) +
                                  "' is not a duration; write a number and s, m, h, d or w, such "
                                  "as 15m or 1d");
  }
  return number * seconds[unit];
}

std::string size_text(std::uint64_t bytes) {
  if (bytes < 1024) return format("%llu B", static_cast<unsigned long long>(bytes));
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  // 1023.95 would print as "1024.0": it belongs to the next unit.
  while (value >= 1023.95 && unit + 1 < size_units.size()) {
    value /= 1024;
    ++unit;
  }
  return format("%.1f %s", value, size_units[unit].data());
}

std::string duration_text(std::uint64_t nanoseconds) {
  double value = static_cast<double>(nanoseconds);
  if (value < 1e3) return format("%.0f ns", value);
  if (value < 999.5e3) return format(value < 99.95e3 ? "%.1f us" : "%.0f us", value / 1e3);
  if (value < 999.5e6) return format(value < 99.95e6 ? "%.1f ms" : "%.0f ms", value / 1e6);
  return format("%.1f s", value / 1e9);
}

std::string period_text(Duration period) {
  constexpr std::pair<std::int64_t, char> units[] = {
      {7 * 86'400, 'w'}, {86'400, 'd'}, {3'600, 'h'}, {60, 'm'}};
  const std::int64_t seconds = period / std::chrono::seconds(1);
  if (seconds == 0) return "off";
  for (const auto& [length, letter] : units) {
    if (seconds % length == 0) return std::to_string(seconds / length) + letter;
  }
  return std::to_string(seconds) + "s";
}

std::string share_text(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  return format("%.1f %%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string count_text(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
  return digits;
}

}  // namespace rowan::proxy
