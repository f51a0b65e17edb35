// The table of a comparison, as Markdown for the README and as JSON lines.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/bench/compare.h"

namespace rowan::bench {

std::string figure_text(double value) {
  char text[64];
  double size = std::fabs(value);
  std::snprintf(text, sizeof text, size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : "%.2f", value);
  return text;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  auto middle = values.size() / 2;
  return values.size() % 2 != 0 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::string markdown_header() {
  return "| work | against | it | rowan | unit | ratio | target | CPU µs per call, it / rowan |\n"
         "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
}

std::string markdown_row(const Row& row) {
  std::string target;
  if (row.target) {
    target = (row.at_most ? "≤ " : "≥ ") + figure_text(*row.target) +
             (row.reached() ? " ✓" : " ✗");
  }
  std::string cpu;
  if (row.baseline_cpu_us && row.rowan_cpu_us) {
    cpu = figure_text(*row.baseline_cpu_us) + " / " + figure_text(*row.rowan_cpu_us);
  }
  auto name = row.remark.empty() ? row.name : row.name + " (" + row.remark + ")";
  return "| " + name + " | " + row.baseline_name + " | " + figure_text(row.baseline) + " | " +
         figure_text(row.rowan) + " | " + row.unit + " | " + figure_text(row.ratio()) + " | " +
         target + " | " + cpu + " |\n";
}

std::string json_row(const Row& row) {
  nlohmann::json json = {{"work", row.name},         {"against", row.baseline_name},
                         {"baseline", row.baseline}, {"rowan", row.rowan},
                         {"unit", row.unit},         {"ratio", row.ratio()}};
  if (row.target) {
    json["target"] = *row.target;
    json["reached"] = row.reached();
  }
  if (row.baseline_cpu_us) json["baseline_cpu_us_per_call"] = *row.baseline_cpu_us;
  if (row.rowan_cpu_us) json["rowan_cpu_us_per_call"] = *row.rowan_cpu_us;
  if (!row.remark.empty()) json["remark"] = row.remark;
  return json.dump() + "\n";
}

}  // namespace rowan::bench
