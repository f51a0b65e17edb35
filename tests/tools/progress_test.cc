#include "tools/progress.h"

#include "tests/support/catch.h"

namespace rowan::tools {
namespace {

TEST_CASE("progress is a line at a terminal, lines elsewhere, and never beside JSON") {
  CHECK(progress_style(true, false) == ProgressStyle::one_line);
  CHECK(progress_style(false, false) == ProgressStyle::plain_lines);
  CHECK(progress_style(true, true) == ProgressStyle::none);
  CHECK(progress_style(false, true) == ProgressStyle::none);
}

TEST_CASE("a line of progress replaces the last one and never wraps") {
  CHECK(progress_update("checking vm1", 0) == "\r\033[Kchecking vm1");
  CHECK(progress_update("checking", 9) == "\r\033[Kchecking");
  CHECK(progress_update("checking", 8) == "\r\033[Kcheckin");
  CHECK(progress_update("checking", 1) == "\r\033[K");
  CHECK(progress_update("\xc3\xa4\xc3\xb6\xc3\xbc", 3) == "\r\033[K\xc3\xa4\xc3\xb6");
  CHECK(progress_update("a\033[2Jb\x7f", 80) == "\r\033[Ka?[2Jb?");
  CHECK(plain_progress("a\033[2Jb\x7f") == "a?[2Jb?\n");
}

TEST_CASE("a check says how far it is, in pages and then in bytes") {
  auto shown = [](const char* json) { return check_progress(proxy::parse_json(json).value()); };
  CHECK(shown(R"({"name":"vm1","unit":"pages","looked_at":1234,"to_look_at":0})") ==
        "checking vm1: 1,234 pages of its records");
  CHECK(shown(R"({"name":"vm1","unit":"bytes","looked_at":40960,"to_look_at":163840})") ==
        "checking vm1: 25 % of 160.0 KiB of data");
  CHECK(shown(R"({"name":"vm1","unit":"bytes","looked_at":0,"to_look_at":0,"repair":true})") ==
        "repairing vm1: 100 % of 0 B of data");
}

}  // namespace
}  // namespace rowan::tools
