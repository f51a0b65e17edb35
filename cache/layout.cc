#include "cache/layout.h"

namespace rowan::cache::layout {
namespace {

constexpr std::string_view segment_prefix = "segment-";
constexpr std::string_view hex_digits = "0123456789abcdef";

}  // namespace

std::string segment(std::uint32_t number) {
  std::string name(segment_prefix);
  for (int shift = 28; shift >= 0; shift -= 4) name += hex_digits[(number >> shift) & 15];
  return name;
}

std::optional<std::uint32_t> parse_segment(std::string_view name) {
  if (name.size() != segment_prefix.size() + 8 || !name.starts_with(segment_prefix)) return {};
  std::uint32_t number = 0;
  for (const char digit : name.substr(segment_prefix.size())) {
    const auto value = hex_digits.find(digit);
    if (value == hex_digits.npos) return {};
    number = number << 4 | static_cast<std::uint32_t>(value);
  }
  return number;
}

}  // namespace rowan::cache::layout
