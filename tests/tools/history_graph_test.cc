#include "tools/history_graph.h"

#include "tests/support/catch.h"

namespace rowan::tools {
namespace {

// The picture, with each entry's id behind its line.
std::string drawn(const std::vector<HistoryNode>& nodes, bool unicode = true) {
  std::string text;
  for (const GraphLine& line : draw_history(nodes, unicode)) {
    text += line.text;
    if (line.node) text += " " + std::to_string(nodes[*line.node].id);
    text += "\n";
  }
  return text;
}

TEST_CASE("a history without branches is one column") {
  CHECK(drawn({}) == "");
  CHECK(drawn({{3, 2}, {2, 1}, {1, 0}}) == "● 3\n● 2\n● 1\n");
}

TEST_CASE("what a roll-back left behind is a column of its own") {
  CHECK(drawn({{4, 1}, {3, 2}, {2, 1}, {1, 0}}) ==
        "● 4\n"
        "│ ● 3\n"
        "│ ● 2\n"
        "├─╯\n"
        "● 1\n");
}

TEST_CASE("several branches come together at once") {
  CHECK(drawn({{4, 1}, {3, 1}, {2, 1}, {1, 0}}) ==
        "● 4\n"
        "│ ● 3\n"
        "│ │ ● 2\n"
        "├─┴─╯\n"
        "● 1\n");
}

TEST_CASE("a branch that ends crosses those that go on") {
  CHECK(drawn({{6, 4}, {5, 1}, {7, 4}, {4, 1}, {1, 0}}) ==
        "● 6\n"
        "│ ● 5\n"
        "│ │ ● 7\n"
        "├─┼─╯\n"
        "● │ 4\n"
        "├─╯\n"
        "● 1\n");
}

TEST_CASE("a column that has ended is used again") {
  CHECK(drawn({{5, 2}, {4, 2}, {2, 1}, {3, 1}, {1, 0}}) ==
        "● 5\n"
        "│ ● 4\n"
        "├─╯\n"
        "● 2\n"
        "│ ● 3\n"
        "├─╯\n"
        "● 1\n");
}

TEST_CASE("histories that began apart do not meet") {
  CHECK(drawn({{2, 0}, {1, 0}}) == "● 2\n● 1\n");
  CHECK(drawn({{3, 9}, {2, 1}, {1, 0}}) == "● 3\n● 2\n● 1\n");
}

TEST_CASE("ASCII does for terminals that know nothing else") {
  CHECK(drawn({{6, 4}, {5, 1}, {7, 4}, {4, 1}, {1, 0}}, false) ==
        "* 6\n"
        "| * 5\n"
        "| | * 7\n"
        "|-|-'\n"
        "* | 4\n"
        "|-'\n"
        "* 1\n");
}

}  // namespace
}  // namespace rowan::tools
