// The lines in front of a history's entries that show where it branches: newest first, a column for
// each branch.
//
//     ●      the newest
//     │ ●    of another branch
//     ├─╯
//     ●      what both began from
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace rowan::tools {

struct HistoryNode {
  std::uint64_t id = 0;
  std::uint64_t parent = 0;  // 0 or an id that is not in the list: none
};

struct GraphLine {
  std::string text;                 // without trailing spaces
  std::optional<std::size_t> node;  // index of the entry this line is for; none: only connects
};

// `newest_first`: every node comes before its parent. `unicode`: box-drawing characters, else
// ASCII.
std::vector<GraphLine> draw_history(std::span<const HistoryNode> newest_first, bool unicode);

}  // namespace rowan::tools
