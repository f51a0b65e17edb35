// The table's own records in the tree; their keys start with a zero byte (FORMAT.md, "own
// records").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/ids.h"
#include "cache/table_memory.h"
#include "rpc/base/result.h"

namespace rowan::cache::own {

inline constexpr std::string_view first_key{"\0", 1};
inline constexpr std::string_view end_key{"\1", 1};

// Live data blocks of a segment; absent: none.
std::string segment_key(std::uint32_t segment);
std::string encode_live(std::uint64_t blocks);

// Ranges that a merge made useless and that may not have been given back yet.
std::vector<std::pair<std::string, std::string>> encode_dead(Ticket merged_through,
                                                             const std::vector<DeadRange>& ranges);

struct Records {
  std::map<std::uint32_t, std::uint64_t> live;
  std::vector<DeadRange> dead;
  std::vector<std::string> dead_keys;
};
// corrupt: outside the grammar.
Result<void> decode(std::string_view key, std::string_view value, Records& into);

}  // namespace rowan::cache::own
