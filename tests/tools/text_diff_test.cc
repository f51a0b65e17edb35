#include "tools/text_diff.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/temp_directory.h"

namespace rowan::tools {
namespace {

std::string diff(std::string_view before, std::string_view after) {
  return unified_diff(before, after, {"old", "new"});
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    lines.push_back(text.substr(at, end - at));
    at = end;
  }
  return lines;
}

// What a patch makes of a text; the whole of `before` must agree with the context it names.
std::string patched(const std::string& before, const std::string& patch) {
  std::vector<std::string> in = lines_of(before), out, hunks = lines_of(patch);
  std::size_t at = 0;
  for (std::size_t i = 2; i < hunks.size(); ++i) {
    std::string line = hunks[i];
    if (line[0] == '@') {
      std::size_t from = std::strtoull(line.c_str() + 4, nullptr, 10);
      if (line.find(",0 +") == std::string::npos) --from;
      REQUIRE(from >= at);
      while (at < from) out.push_back(in[at++]);
      continue;
    }
    const char mark = line[0];
    line.erase(0, 1);
    if (i + 1 < hunks.size() && hunks[i + 1][0] == '\\') line.pop_back();
    if (mark == '\\') continue;
    if (mark != '+') {
      REQUIRE(at < in.size());
      REQUIRE(in[at] == line);
      ++at;
    }
    if (mark != '-') out.push_back(line);
  }
  while (at < in.size()) out.push_back(in[at++]);
  std::string text;
  for (const std::string& line : out) text += line;
  return text;
}

std::size_t edits_of(const std::string& patch) {
  std::size_t count = 0;
  const std::vector<std::string> lines = lines_of(patch);
  for (std::size_t i = 2; i < lines.size(); ++i) count += lines[i][0] == '+' || lines[i][0] == '-';
  return count;
}

using Random = std::mt19937_64;

std::string random_text(Random& random, std::size_t lines, unsigned words) {
  std::string text;
  for (std::size_t i = 0; i < lines; ++i) text += "w" + std::to_string(random() % words) + "\n";
  if (random() % 4 == 0 && !text.empty()) text.pop_back();
  return text;
}

std::string edited(Random& random, const std::string& text, std::size_t edits, unsigned words) {
  std::vector<std::string> lines = lines_of(text);
  for (std::size_t i = 0; i < edits; ++i) {
    const std::size_t at = lines.empty() ? 0 : random() % lines.size();
    const auto place = lines.begin() + static_cast<std::ptrdiff_t>(at);
    if (random() % 2 == 0 || lines.empty())
      lines.insert(place, "w" + std::to_string(random() % words) + "\n");
    else lines.erase(place);
  }
  std::string result;
  for (const std::string& line : lines) result += line;
  return result;
}

TEST_CASE("texts that are the same have no diff") {
  CHECK(diff("", "").empty());
  CHECK(diff("a\nb\n", "a\nb\n").empty());
}

TEST_CASE("hunks look as diff prints them") {
  CHECK(diff("a\nb\nc\n", "a\nB\nc\n") ==
        "--- old\n+++ new\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
  CHECK(diff("", "a\n") == "--- old\n+++ new\n@@ -0,0 +1 @@\n+a\n");
  CHECK(diff("a\n", "") == "--- old\n+++ new\n@@ -1 +0,0 @@\n-a\n");
  CHECK(diff("a", "a\n") ==
        "--- old\n+++ new\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n");
  std::string before, after;
  for (int i = 1; i <= 20; ++i) before += std::to_string(i) + "\n";
  after = before;
  after.replace(after.find("2\n"), 2, "two\n");
  after.replace(after.find("19\n"), 3, "");
  CHECK(diff(before, after) ==
        "--- old\n+++ new\n@@ -1,5 +1,5 @@\n 1\n-2\n+two\n 3\n 4\n 5\n"
        "@@ -16,5 +16,4 @@\n 16\n 17\n 18\n-19\n 20\n");
}

TEST_CASE("random texts: the diff leads from the one to the other") {
  Random random(20);
  for (int round = 0; round < 2000; ++round) {
    const unsigned words = 1 + static_cast<unsigned>(random() % 30);
    const std::string before = random_text(random, random() % 40, words);
    const std::string after = random() % 3 == 0 ? random_text(random, random() % 40, words)
                                                : edited(random, before, random() % 8, words);
    INFO("before:\n" << before << "after:\n" << after);
    REQUIRE(patched(before, diff(before, after)) == after);
  }
}

TEST_CASE("large texts that have little in common are done, if not in the shortest way") {
  Random random(21);
  const std::string before = random_text(random, 60'000, 1000);
  const std::string after = random_text(random, 50'000, 1000);
  CHECK(patched(before, diff(before, after)) == after);
}

std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST_CASE("random texts: no more lines differ than diff --minimal says") {
  if (std::system("diff --version > /dev/null 2>&1") != 0) {
    WARN("diff is not installed: nothing to compare with");
    return;
  }
  test::TempDirectory directory;
  const std::filesystem::path root = directory.path();
  const std::string command = "cd " + root.string() + " && diff --minimal -u --label old " +
                              "--label new a b > out";
  Random random(22);
  for (int round = 0; round < 60; ++round) {
    const unsigned words = 2 + static_cast<unsigned>(random() % 200);
    const std::string before = random_text(random, random() % 300, words);
    const std::string after = edited(random, before, random() % 60, words);
    std::ofstream(root / "a") << before;
    std::ofstream(root / "b") << after;
    static_cast<void>(std::system(command.c_str()));
    const std::string theirs = slurp(root / "out"), ours = diff(before, after);
    INFO("theirs:\n" << theirs << "ours:\n" << ours);
    REQUIRE(ours.empty() == theirs.empty());
    if (!ours.empty()) REQUIRE(edits_of(ours) == edits_of(theirs));
  }
}

TEST_CASE("bytes with a NUL near the start are no text") {
  CHECK_FALSE(looks_binary("plain\ttext \xff\n"));
  CHECK(looks_binary(std::string_view("\x7f"
                                      "ELF\0\1",
                                      6)));
  CHECK_FALSE(looks_binary(std::string(9000, 'x') + std::string(1, '\0')));
}

}  // namespace
}  // namespace rowan::tools
