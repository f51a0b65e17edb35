// The runs of one comparison: a plan goes to both sides in turns, its median becomes a row.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "tools/bench/compare.h"
#include "tools/bench/driver.h"
#include "tools/bench/load.h"

namespace rowan::bench {

struct Side {
  Target target;
  pid_t pid;
};

// One row to measure: a load, the two sides, the ratio to reach.
struct Plan {
  std::string name, unit, work;
  std::uint32_t size = 4096;
  std::optional<double> target;
  std::uint64_t count = 0;              // calls of one run; 0: by time
  unsigned connections = 0, depth = 0;  // 0: as the options say
};

// One run of a plan; the error says of what, and against whom. `defaults` holds what the plan does
// not say.
Result<RunResult> run_plan(const Plan& plan, const Side& side, const LoadOptions& load,
                           const RunOptions& defaults);

struct Figures {
  std::vector<double> rates, cpu;
};

class Comparison {
 public:
  Comparison(const CompareOptions& options, const Lab& lab, TreeShape shape, std::ostream& out)
      : options_(options), lab_(lab), shape_(std::move(shape)), out_(out) {}

  bool wanted(const std::string& name) const {
    if (options_.only.empty()) return true;
    for (const auto& part : options_.only) {
      if (name.find(part) != std::string::npos) return true;
    }
    return false;
  }
  void print(const Row& row) {
    out_ << (options_.json ? json_row(row) : markdown_row(row)) << std::flush;
  }
  Result<double> once(const Plan& plan, const Side& side, Figures* figures);
  Result<void> alternate(const Plan& plan, const Side& baseline, const Side& rowan,
                         const std::string& baseline_name, Row& row);
  Result<void> row(const Plan& plan, const Side& baseline, const Side& rowan,
                   const std::string& baseline_name = "ganesha");
  Result<void> warm_up(const Side& side);

  const CompareOptions& options() const { return options_; }
  const Lab& lab() const { return lab_; }
  const TreeShape& shape() const { return shape_; }

 private:
  const CompareOptions& options_;
  const Lab& lab_;
  TreeShape shape_;
  std::ostream& out_;
  std::uint64_t seed_ = 1;
};

Row simple_row(std::string name, std::string unit, std::string against);

// The groups of rows, each in its file.
Result<void> null_row(Comparison& c, Lab& lab, const Side& rowan);
Result<void> warm_rows(Comparison& c, const Side& image, const Side& rowan);
Result<void> write_rows(Comparison& c, const Side& writable, const Side& rowan);
Result<void> link_rows(Comparison& c, Lab& lab, const Side& image);

}  // namespace rowan::bench
