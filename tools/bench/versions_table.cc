#include "tools/bench/versions_table.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/bench/compare.h"

// Rounds go over all columns in turn, so a machine that drifts shifts the samples of one round
// alike: goals between columns are judged by the median over the rounds, not between two medians.
namespace rowan::bench {
namespace {

std::string cell(const Figure& figure) {
  auto text = figure_text(figure.value());
  if (figure.with_greatest) text += " (" + figure_text(figure.greatest()) + ")";
  return text;
}

std::string goal_text(const Line& line) {
  auto judged = line.judged();
  if (!judged) return "";
  auto bound = figure_text(line.goal.bound);
  std::string text;
  switch (line.goal.kind) {
    case Goal::Kind::none:
      return "";
    case Goal::Kind::at_most:
      text = "≤ " + bound;
      break;
    case Goal::Kind::share_of_first:
      text = figure_text(*judged) + " of the first, ≥ " + bound;
      break;
    case Goal::Kind::excess_of_first:
      text = figure_text(*judged) + " over the first, ≤ " + bound;
      break;
  }
  return text + (line.reached() ? " ✓" : " ✗");
}

}  // namespace

double Figure::value() const { return median(samples); }

double Figure::greatest() const {
  return samples.empty() ? 0 : *std::max_element(samples.begin(), samples.end());
}

std::optional<double> Line::judged() const {
  if (goal.kind == Goal::Kind::none || figures.empty()) return std::nullopt;
  if (goal.kind == Goal::Kind::at_most) return figures.back().greatest();
  const auto& first = figures.front().samples;
  const auto& last = figures.back().samples;
  std::vector<double> between;
  for (std::size_t i = 0; i < std::min(first.size(), last.size()); ++i) {
    bool share = goal.kind == Goal::Kind::share_of_first;
    if (share && first[i] <= 0) continue;
    between.push_back(share ? last[i] / first[i] : last[i] - first[i]);
  }
  return between.empty() ? std::nullopt : std::optional(median(between));
}

bool Line::reached() const {
  auto figure = judged();
  if (!figure) return goal.kind == Goal::Kind::none;
  return goal.kind == Goal::Kind::share_of_first ? *figure >= goal.bound : *figure <= goal.bound;
}

void VersionsTable::begin(const std::string& scale, std::vector<std::string> columns) {
  scale_ = scale;
  columns_ = std::move(columns);
  if (json_) return;
  if (!first_) out_ << "\n";
  first_ = false;
  out_ << "| " << scale_ << " | by |";
  for (const auto& column : columns_) out_ << " " << column << " |";
  out_ << " unit | target |\n| --- | --- |";
  for (std::size_t i = 0; i < columns_.size(); ++i) out_ << " ---: |";
  out_ << " --- | --- |\n" << std::flush;
}

void VersionsTable::add(const Line& line) {
  out_ << (json_ ? json_text(line) : markdown(line)) << std::flush;
}

std::string VersionsTable::markdown(const Line& line) const {
  auto text = "| " + line.work;
  if (!line.not_measured.empty()) text += " (not measured: " + line.not_measured + ")";
  text += " | " + line.by + " |";
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    text += i < line.figures.size() ? " " + cell(line.figures[i]) + " |" : " - |";
  }
  return text + " " + line.unit + " | " + goal_text(line) + " |\n";
}

std::string VersionsTable::json_text(const Line& line) const {
  nlohmann::json json = {
      {"work", line.work}, {"by", line.by}, {"unit", line.unit}, {"scale", scale_}};
  if (!line.not_measured.empty()) json["not_measured"] = line.not_measured;
  json["figures"] = nlohmann::json::object();
  for (std::size_t i = 0; i < line.figures.size(); ++i) {
    json["figures"][columns_[i]] = {{"median", line.figures[i].value()},
                                    {"greatest", line.figures[i].greatest()}};
  }
  if (auto judged = line.judged()) {
    json["judged"] = *judged;
    json["target"] = line.goal.bound;
    json["reached"] = line.reached();
  }
  return json.dump() + "\n";
}

std::string grouped(std::uint64_t count) {
  auto text = std::to_string(count);
  for (std::size_t place = text.size(); place > 3;) text.insert(place -= 3, ",");
  return text;
}

}  // namespace rowan::bench
