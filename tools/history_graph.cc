#include "tools/history_graph.h"

#include <algorithm>
#include <string_view>

namespace rowan::tools {
namespace {

struct Pens {
  std::string_view node, pass, start, join, last, along, cross;
};
constexpr Pens unicode_pens{"●", "│", "├", "┴", "╯", "─", "┼"};
constexpr Pens ascii_pens{"*", "|", "|", "'", "'", "-", "|"};

// A column is what it waits for: the parent of the last entry drawn in it; 0: it is free.
using Columns = std::vector<std::uint64_t>;

std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

// The columns that wait for the node come together in the first of them.
std::string join_line(const Columns& columns, std::uint64_t id, const Pens& pens) {
  const auto first = std::ranges::find(columns, id) - columns.begin();
  const auto last = std::find(columns.rbegin(), columns.rend(), id).base() - columns.begin() - 1;
  std::string text;
  for (std::ptrdiff_t i = 0; i < std::ssize(columns); ++i) {
    const bool within = i > first && i < last;
    const bool taken = columns[static_cast<std::size_t>(i)] != 0;
    const bool joins = columns[static_cast<std::size_t>(i)] == id;
    if (i == first) text += pens.start;
    else if (i == last) text += pens.last;
    else if (within) text += joins ? pens.join : taken ? pens.cross : pens.along;
    else text += taken ? pens.pass : " ";
    text += i >= first && i < last ? pens.along : " ";
  }
  return trimmed(std::move(text));
}

std::string node_line(const Columns& columns, std::size_t at, const Pens& pens) {
  std::string text;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (i == at) text += pens.node;
    else text += columns[i] != 0 ? pens.pass : " ";
    text += ' ';
  }
  return trimmed(std::move(text));
}

std::size_t column_for(Columns& columns, std::uint64_t id) {
  auto found = std::ranges::find(columns, id);
  if (found == columns.end()) found = std::ranges::find(columns, std::uint64_t{0});
  if (found == columns.end()) found = columns.insert(columns.end(), 0);
  return static_cast<std::size_t>(found - columns.begin());
}

bool listed(std::span<const HistoryNode> nodes, std::uint64_t id) {
  return std::ranges::any_of(nodes, [&](const HistoryNode& node) { return node.id == id; });
}

}  // namespace

std::vector<GraphLine> draw_history(std::span<const HistoryNode> newest_first, bool unicode) {
  const Pens& pens = unicode ? unicode_pens : ascii_pens;
  std::vector<GraphLine> lines;
  Columns columns;
  for (std::size_t i = 0; i < newest_first.size(); ++i) {
    const HistoryNode& node = newest_first[i];
    if (std::ranges::count(columns, node.id) > 1) {
      lines.push_back({join_line(columns, node.id, pens), {}});
    }
    const std::size_t at = column_for(columns, node.id);
    std::ranges::replace(columns, node.id, std::uint64_t{0});
    lines.push_back({node_line(columns, at, pens), i});
    columns[at] = listed(newest_first.subspan(i + 1), node.parent) ? node.parent : 0;
    while (!columns.empty() && columns.back() == 0) columns.pop_back();
  }
  return lines;
}

}  // namespace rowan::tools
