// The table's own records, in a tree of their own, the meta tree; their keys start with a zero byte
// (FORMAT.md, "own records").
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/file.h"
#include "cache/ids.h"
#include "cache/table_memory.h"
#include "cache/table_state_set.h"
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

std::string state_key(StateId state);
std::string encode_state(const StateInfo& info, const TreeRoot& root);

struct StoredState {
  StateInfo info;
  TreeRoot root;
  std::string record;   // as it is stored
};

struct Records {
  std::map<std::uint32_t, std::uint64_t> live;
  std::vector<DeadRange> dead;
  std::vector<std::string> dead_keys;
  std::map<StateId, StoredState> states;
};
// corrupt: outside the grammar.
Result<void> decode(std::string_view key, std::string_view value, Records& into);

// All of a meta tree, synchronously. Without a tree there is one state: first_state, empty. corrupt
// names the page, or says how the states contradict each other.
Result<Records> load(const File& tree, const TreeRoot& meta, std::uint64_t epoch);
StateSet make_states(const Records& records);

}  // namespace rowan::cache::own
