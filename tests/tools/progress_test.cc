#include "tools/progress.h"

#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "tests/support/catch.h"

namespace rowan::tools {
namespace {

// What a line that a signal interrupts leaves on its terminal, and the signal that ended all.
struct Leftover {
  std::string text;
  int signal = 0;
};
Leftover at_terminal(void (*before)(int), int signal) {
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(signal, before);
    {
      ProgressLine progress{CommandLine()};
      progress.show("checking");
      ::raise(signal);
    }
    ::raise(SIGKILL);
  }
  Leftover left;
  std::array<char, 256> piece;
  // The end is an error: nobody has the other side open any more.
  for (ssize_t count; (count = ::read(terminal, piece.data(), piece.size())) > 0;) {
    left.text.append(piece.data(), static_cast<std::size_t>(count));
  }
  ::close(terminal);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  left.signal = WTERMSIG(status);
  return left;
}

TEST_CASE("a signal takes the line away and then ends the command, unless it is ignored") {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const Leftover ended = at_terminal(SIG_DFL, signal);
    CHECK(ended.text == "\r\033[Kchecking\r\033[K");
    CHECK(ended.signal == signal);
    const Leftover ignored = at_terminal(SIG_IGN, signal);
    CHECK(ignored.text == ended.text);
    CHECK(ignored.signal == SIGKILL);
  }
}

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
