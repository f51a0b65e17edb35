#include "proxy/log_sinks.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace rowan::proxy {
namespace {

// Longer than a terminal or the journal needs to take a line, short enough for a loop that serves
// clients.
constexpr int patience_ms = 20;

// syslog(3) priorities, which the journal reads from "<N>".
int priority_of(Level level) {
  switch (level) {
    case Level::debug:
      return 7;
    case Level::info:
      return 6;
    case Level::warn:
      return 4;
    case Level::error:
      return 3;
  }
  return 3;
}

}  // namespace

bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat about;
  if (stream == nullptr || ::fstat(STDERR_FILENO, &about) != 0) return false;
  return std::to_string(about.st_dev) + ":" + std::to_string(about.st_ino) == stream;
}

std::string LineSink::prefix(Level level) const {
  if (style_ == Style::journal) return "<" + std::to_string(priority_of(level)) + ">";
  WallTime now = clock_.wall();
  std::time_t seconds = now.seconds;
  std::tm parts{};
  if (::gmtime_r(&seconds, &parts) == nullptr) return "";
  char text[48];
  std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + length, sizeof text - length, ".%03uZ ", now.nanoseconds / 1'000'000);
  return text;
}

bool LineSink::put(const std::string& line) {
  // A pipe with a reader that stopped would block for ever; a terminal and a file are always ready.
  pollfd entry{fd_, POLLOUT, 0};
  int ready = ::poll(&entry, 1, lost_ == 0 ? patience_ms : 0);
  if (ready <= 0 || (entry.revents & POLLOUT) == 0) return false;
  return ::write(fd_, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

void LineSink::write(Level level, std::string_view line) {
  std::string text = prefix(level);
  text += line;
  text += '\n';
  std::lock_guard lock(mutex_);
  if (lost_ > 0) {
    std::string note =
        prefix(Level::warn) + "level=warn event=log.lost lines=" + std::to_string(lost_) + "\n";
    if (!put(note)) {
      ++lost_;
      return;
    }
    lost_ = 0;
  }
  if (!put(text)) ++lost_;
}

}  // namespace rowan::proxy
