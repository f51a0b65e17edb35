// The figures of runs as a table for people and as JSON for programs.
#pragma once

#include <ostream>
#include <string>

#include "tools/bench/driver.h"

namespace rowan::bench {

struct NamedResult {
  std::string target;
  LoadOptions load;
  RunOptions run;
  RunResult result;
};

void print_header(std::ostream& out);
void print_row(std::ostream& out, const NamedResult& row);
std::string to_json(const NamedResult& row);

// "64k" -> 65536, also m and g, binary. Errc::usage otherwise.
Result<std::uint64_t> parse_size(std::string_view text);
// 65536 -> "64k"
std::string size_text(std::uint64_t bytes);

}  // namespace rowan::bench
