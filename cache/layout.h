// Every file name of a table's directory, built and parsed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rowan::cache::layout {

inline constexpr std::string_view lock = "lock";
inline constexpr std::string_view superblock = "superblock";
inline constexpr std::string_view new_superblock = "superblock.new";
inline constexpr std::string_view tree = "tree";
inline constexpr std::string_view reserve = "reserve";
inline constexpr std::string_view repair_report = "repair-report";

std::string segment(std::uint32_t number);                          // "segment-0000002a"
std::optional<std::uint32_t> parse_segment(std::string_view name);  // of exactly such a name

}  // namespace rowan::cache::layout
