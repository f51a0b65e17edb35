// The tables of `versions`: a line for each thing measured, a column for each size it was measured
// at.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

namespace rowan::bench {

// What was measured at one size: a sample for each round.
struct Figure {
  std::vector<double> samples;
  bool with_greatest = false;  // the slowest is shown as well, and is what a bound is for

  double value() const;  // the median
  double greatest() const;
};

// What the last column of a line must be.
struct Goal {
  enum class Kind : std::uint8_t {
    none,
    at_most,          // its greatest sample, of a bound
    share_of_first,   // at least this part of the first column's, round by round
    excess_of_first,  // at most so much more than the first column's, round by round
  };
  Kind kind = Kind::none;
  double bound = 0;
};

struct Line {
  std::string work, by, unit;
  std::vector<Figure> figures = {};  // as many as the table has columns
  Goal goal = {};
  std::string not_measured = {};  // why: then there are no figures

  // What the goal is about; nothing when there is no goal or no figure.
  std::optional<double> judged() const;
  bool reached() const;
};

class VersionsTable {
 public:
  VersionsTable(std::ostream& out, bool json) : out_(out), json_(json) {}

  // A table with these columns begins; `scale` says what they count.
  void begin(const std::string& scale, std::vector<std::string> columns);
  void add(const Line& line);

 private:
  std::string markdown(const Line& line) const;
  std::string json_text(const Line& line) const;

  std::ostream& out_;
  bool json_;
  bool first_ = true;
  std::string scale_;
  std::vector<std::string> columns_;
};

// 1000000 -> "1,000,000"
std::string grouped(std::uint64_t count);

}  // namespace rowan::bench
