// Where the daemon's log lines go: standard error, for a terminal or file with the time in front,
// for the journal with a priority instead (it has its own clock).
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "rpc/base/clock.h"
#include "rpc/base/log.h"

namespace rowan::proxy {

// True if standard error is the journal's stream (systemd sets JOURNAL_STREAM to its device and
// inode).
bool stderr_is_journal();

// Safe from every thread; each line is one write(2), so lines of several threads do not mix. A
// reader that is too slow for a burst loses lines, which are counted and reported: the daemon never
// waits for its log.
class LineSink final : public LogSink {
 public:
  enum class Style : std::uint8_t { time, journal };
  // `fd` and `clock` outlive the sink.
  LineSink(int fd, Style style, Clock& clock) : fd_(fd), style_(style), clock_(clock) {}
  void write(Level level, std::string_view line) override;

 private:
  std::string prefix(Level level) const;
  bool put(const std::string& line);

  int fd_;
  Style style_;
  Clock& clock_;
  std::mutex mutex_;  // guards lost_ and keeps lines whole
  std::uint64_t lost_ = 0;
};

}  // namespace rowan::proxy
