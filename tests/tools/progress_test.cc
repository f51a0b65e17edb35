#include "tools/progress.h"

#include "tests/support/catch.h"

namespace rowan::tools {
namespace {

TEST_CASE("progress is for people at a terminal, and never beside JSON") {
  CHECK(shows_progress(true, false));
  CHECK_FALSE(shows_progress(true, true));
  CHECK_FALSE(shows_progress(false, false));
  CHECK_FALSE(shows_progress(false, true));
}

TEST_CASE("a line of progress replaces the last one and never wraps") {
  CHECK(progress_update("checking vm1", 0) == "\r\033[Kchecking vm1");
  CHECK(progress_update("checking", 9) == "\r\033[Kchecking");
  CHECK(progress_update("checking", 8) == "\r\033[Kcheckin");
  CHECK(progress_update("checking", 1) == "\r\033[K");
  CHECK(progress_update("\xc3\xa4\xc3\xb6\xc3\xbc", 3) == "\r\033[K\xc3\xa4\xc3\xb6");
  CHECK(progress_update("a\033[2Jb\x7f", 80) == "\r\033[Ka?[2Jb?");
}

}  // namespace
}  // namespace rowan::tools
