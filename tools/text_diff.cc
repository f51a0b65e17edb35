// E. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986), in linear space: a box of
// the edit graph (lines of the one text across, of the other down) is searched from both of its
// corners at once; where the two meet the box is split, until one side of each box is empty.
//
//   diagonal d = x - y;  forward_[d]: how far along x the paths from the upper left have come
//   on that diagonal after so many edits, backward_[d]: the same from the lower right
#include "tools/text_diff.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace rowan::tools {
namespace {

using Index = std::ptrdiff_t;

constexpr std::size_t binary_window = 8000;
// Edits that a box is searched for from either corner.
constexpr Index search_limit = 512;

// With its newline, if it has one.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

class LineNumbers {
 public:
  std::vector<std::uint32_t> of(const std::vector<std::string_view>& lines) {
    std::vector<std::uint32_t> numbers;
    numbers.reserve(lines.size());
    for (std::string_view line : lines)
      numbers.push_back(known_.try_emplace(line, known_.size()).first->second);
    return numbers;
  }

 private:
  std::unordered_map<std::string_view, std::uint32_t> known_;
};

struct Box {
  Index left, right, top, bottom;  // half-open
};
struct Point {
  Index x, y;
};

class Comparer {
 public:
  Comparer(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b)
      : a_(a),
        b_(b),
        offset_(static_cast<Index>(b.size()) + 1),
        forward_(a.size() + b.size() + 3),
        backward_(a.size() + b.size() + 3),
        removed(a.size()),
        added(b.size()) {
    std::vector<Box> todo{{0, static_cast<Index>(a.size()), 0, static_cast<Index>(b.size())}};
    while (!todo.empty()) {
      Box box = todo.back();
      todo.pop_back();
      trim(box);
      if (box.left == box.right || box.top == box.bottom) {
        mark(box);
        continue;
      }
      const Point at = split(box);
      todo.push_back({box.left, at.x, box.top, at.y});
      todo.push_back({at.x, box.right, at.y, box.bottom});
    }
  }

 private:
  bool same(Index x, Index y) const {
    return a_[static_cast<std::size_t>(x)] == b_[static_cast<std::size_t>(y)];
  }
  Index& forward(Index d) { return forward_[static_cast<std::size_t>(d + offset_)]; }
  Index& backward(Index d) { return backward_[static_cast<std::size_t>(d + offset_)]; }

  void trim(Box& box) const {
    while (box.left < box.right && box.top < box.bottom && same(box.left, box.top)) {
      ++box.left;
      ++box.top;
    }
    while (box.left < box.right && box.top < box.bottom && same(box.right - 1, box.bottom - 1)) {
      --box.right;
      --box.bottom;
    }
  }

  void mark(const Box& box) {
    std::fill(removed.begin() + box.left, removed.begin() + box.right, true);
    std::fill(added.begin() + box.top, added.begin() + box.bottom, true);
  }

  // Diagonals that the paths of one direction have reached; every other one per edit.
  struct Reach {
    Index low, high;
  };
  // One edit more; the diagonals just outside hold `outside`, which no path comes from.
  static void widen(Reach& reach, const Box& box, std::vector<Index>& furthest, Index offset,
                    Index outside) {
    const Index lowest = box.left - box.bottom, highest = box.right - box.top;
    if (reach.low > lowest) furthest[static_cast<std::size_t>(--reach.low - 1 + offset)] = outside;
    else ++reach.low;
    if (reach.high < highest)
      furthest[static_cast<std::size_t>(++reach.high + 1 + offset)] = outside;
    else --reach.high;
  }
  static bool covers(const Reach& reach, Index d) { return reach.low <= d && d <= reach.high; }

  // True if the paths have met; `at` is where.
  bool go_forward(const Box& box, Reach& reach, const Reach& other, bool may_meet, Point& at) {
    widen(reach, box, forward_, offset_, -1);
    for (Index d = reach.high; d >= reach.low; d -= 2) {
      Index x = forward(d - 1) >= forward(d + 1) ? forward(d - 1) + 1 : forward(d + 1);
      Index y = x - d;
      for (; x < box.right && y < box.bottom && same(x, y); ++x) ++y;
      forward(d) = x;
      at = {x, y};
      if (may_meet && covers(other, d) && backward(d) <= x) return true;
    }
    return false;
  }
  bool go_backward(const Box& box, Reach& reach, const Reach& other, bool may_meet, Point& at) {
    widen(reach, box, backward_, offset_, std::numeric_limits<Index>::max());
    for (Index d = reach.high; d >= reach.low; d -= 2) {
      Index x = backward(d - 1) < backward(d + 1) ? backward(d - 1) : backward(d + 1) - 1;
      Index y = x - d;
      for (; x > box.left && y > box.top && same(x - 1, y - 1); --x) --y;
      backward(d) = x;
      at = {x, y};
      if (may_meet && covers(other, d) && x <= forward(d)) return true;
    }
    return false;
  }

  Point split(const Box& box) {
    const Index start = box.left - box.top, end = box.right - box.bottom;
    const bool odd = ((start - end) & 1) != 0;
    Reach ahead{start, start}, behind{end, end};
    forward(start) = box.left;
    backward(end) = box.right;
    Point at{};
    for (Index edits = 1;; ++edits) {
      if (go_forward(box, ahead, behind, odd, at)) return at;
      if (go_backward(box, behind, ahead, !odd, at)) return at;
      if (edits >= search_limit) return furthest(box, ahead, behind);
    }
  }

  // Where either direction has come furthest: a good place, if not the best.
  Point furthest(const Box& box, const Reach& ahead, const Reach& behind) {
    Point best{box.left, box.top};
    for (Index d = ahead.high; d >= ahead.low; d -= 2) {
      Index x = std::min(forward(d), box.right);
      x = std::min(x, box.bottom + d);
      if (x + (x - d) > best.x + best.y) best = {x, x - d};
    }
    Point last{box.right, box.bottom};
    for (Index d = behind.high; d >= behind.low; d -= 2) {
      Index x = std::max(backward(d), box.left);
      x = std::max(x, box.top + d);
      if (x + (x - d) < last.x + last.y) last = {x, x - d};
    }
    const Index gone = best.x + best.y - box.left - box.top;
    const Index back = box.right + box.bottom - last.x - last.y;
    return back < gone ? best : last;
  }

  const std::vector<std::uint32_t>&a_, &b_;
  Index offset_;
  std::vector<Index> forward_, backward_;

 public:
  std::vector<bool> removed, added;  // lines of the first text, of the second
};

// ---- printing

// Lines [a, a_end) of the first text stand where [b, b_end) stand in the second.
struct Change {
  std::size_t a, a_end, b, b_end;
};

std::vector<Change> changes_of(const Comparer& compared) {
  std::vector<Change> changes;
  std::size_t a = 0, b = 0;
  while (a < compared.removed.size() || b < compared.added.size()) {
    Change change{a, a, b, b};
    while (change.a_end < compared.removed.size() && compared.removed[change.a_end])
      ++change.a_end;
    while (change.b_end < compared.added.size() && compared.added[change.b_end]) ++change.b_end;
    a = change.a_end;
    b = change.b_end;
    if (change.a != a || change.b != b) {
      changes.push_back(change);
    } else {
      ++a;
      ++b;
    }
  }
  return changes;
}

class Printer {
 public:
  Printer(const std::vector<std::string_view>& a, const std::vector<std::string_view>& b,
          std::size_t context)
      : a_(a), b_(b), context_(context) {}

  std::string print(const std::vector<Change>& changes) {
    for (std::size_t at = 0; at < changes.size();) {
      std::size_t end = at + 1;
      while (end < changes.size() && changes[end].a - changes[end - 1].a_end <= 2 * context_)
        ++end;
      hunk(std::span(changes).subspan(at, end - at));
      at = end;
    }
    return std::move(text_);
  }

 private:
  // A range of no lines is named by the line before it.
  static std::string range(std::size_t from, std::size_t to) {
    const std::size_t count = to - from;
    std::string text = std::to_string(count == 0 ? from : from + 1);
    return count == 1 ? text : text + "," + std::to_string(count);
  }

  void line(char mark, std::string_view line) {
    text_ += mark;
    text_ += line;
    if (!line.ends_with('\n')) text_ += "\n\\ No newline at end of file\n";
  }

  void hunk(std::span<const Change> changes) {
    const std::size_t before = std::min(context_, changes.front().a);
    const std::size_t after = std::min(context_, a_.size() - changes.back().a_end);
    std::size_t a = changes.front().a - before;
    text_ += "@@ -" + range(a, changes.back().a_end + after) + " +" +
             range(changes.front().b - before, changes.back().b_end + after) + " @@\n";
    for (const Change& change : changes) {
      for (; a < change.a; ++a) line(' ', a_[a]);
      for (; a < change.a_end; ++a) line('-', a_[a]);
      for (std::size_t b = change.b; b < change.b_end; ++b) line('+', b_[b]);
    }
    for (std::size_t i = 0; i < after; ++i) line(' ', a_[a + i]);
  }

  const std::vector<std::string_view>&a_, &b_;
  std::size_t context_;
  std::string text_;
};

}  // namespace

bool looks_binary(std::string_view bytes) {
  return bytes.substr(0, binary_window).find('\0') != std::string_view::npos;
}

std::string unified_diff(std::string_view before, std::string_view after, const DiffHead& head,
                         std::size_t context) {
  if (before == after) return {};
  const std::vector<std::string_view> a = lines_of(before), b = lines_of(after);
  LineNumbers numbers;
  const std::vector<std::uint32_t> a_numbers = numbers.of(a), b_numbers = numbers.of(b);
  const Comparer compared(a_numbers, b_numbers);
  Printer printer(a, b, context);
  return "--- " + head.before + "\n+++ " + head.after + "\n" +
         printer.print(changes_of(compared));
}

}  // namespace rowan::tools
