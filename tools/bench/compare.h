// Rowan beside nfs-ganesha: same machine, same client, same content, alternating runs, medians.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "rpc/base/result.h"
#include "tools/bench/lab.h"

namespace rowan::bench {

struct CompareOptions {
  std::string rowan, link, responder;  // empty: beside this program, then PATH
  std::string tree;                    // empty: a temporary directory, removed at the end
  std::string source = "nfs";          // what rowan redirects from: nfs (nfs-ganesha) or dir
  std::vector<std::string> only;       // rows whose name holds one of these; empty: all
  bool quick = false;
  bool json = false;
  unsigned rounds = 3;
  double seconds = 2;
  unsigned connections = 2, depth = 16;
};

void define_compare(CLI::App& app, CompareOptions& options);

// One line of the table: a figure of each side and what their ratio should be.
struct Row {
  std::string name, unit, baseline_name;
  double baseline = 0, rowan = 0;
  std::optional<double> target;  // the ratio to reach; none: for information
  bool at_most = false;          // the target is a greatest ratio, not a least
  std::optional<double> baseline_cpu_us, rowan_cpu_us;  // server's processor time for each call
  std::optional<bool> met;  // overrides ratio >= target (the durable creates' second target)
  std::string remark;

  double ratio() const { return baseline > 0 ? rowan / baseline : 0; }
  bool reached() const {
    if (met || !target) return met.value_or(true);
    return at_most ? ratio() <= *target : ratio() >= *target;
  }
};

std::string markdown_header();
std::string markdown_row(const Row& row);
std::string json_row(const Row& row);
std::string figure_text(double value);       // three significant digits or more
double median(std::vector<double> values);  // 0 when empty

// The path given, or the program beside this one, or the name for a search of PATH.
Result<std::string> sibling(const std::string& given, const char* name);
// Works in `tree`, which stays; without one, in a new directory, removed after success.
using WorkIn = std::function<Result<void>(const std::filesystem::path& directory)>;
Result<void> in_work_directory(const std::string& tree, const WorkIn& work);

Result<void> run_compare(const CompareOptions& options, std::ostream& out);

}  // namespace rowan::bench
