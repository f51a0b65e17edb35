// Two texts as a unified diff: what `diff -u` prints, for `patch` and for people. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rowan::tools {

// A NUL among the first bytes, as `diff` and `git` see it.
bool looks_binary(std::string_view bytes);

struct DiffHead {
  std::string before, after;  // behind "--- " and "+++ "
};

// Empty if the texts are the same. The shortest one there is while fewer than about a thousand
// lines differ; beyond that the search is cut short, and a longer one may come out.
std::string unified_diff(std::string_view before, std::string_view after, const DiffHead& head,
                         std::size_t context = 3);

}  // namespace rowan::tools
