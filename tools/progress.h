// How far long work is, on standard error: on a terminal one line that changes and is gone at the
// end; elsewhere (a log, a pipe) a plain line now and then; nothing beside JSON.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/admin_http.h"
#include "proxy/json.h"
#include "rpc/base/result.h"
#include "tools/admin_session.h"
#include "tools/command_line.h"

namespace rowan::tools {

enum class ProgressStyle : std::uint8_t { none, one_line, plain_lines };
ProgressStyle progress_style(bool terminal, bool json);

// What replaces the line on a terminal of so many columns (0: not known), without its last one,
// where some break the line. Control characters are shown as '?'.
std::string progress_update(std::string_view text, std::size_t columns);

std::string plain_progress(std::string_view text);

// While it shows something on a terminal, a signal that ends the command takes the line away first.
class ProgressLine {
 public:
  explicit ProgressLine(const CommandLine& line);
  ProgressLine(const ProgressLine&) = delete;
  ~ProgressLine();
  void show(std::string_view text);

 private:
  using Clock = std::chrono::steady_clock;
  ProgressStyle style_;
  Clock::duration pause_;  // between two of them
  Clock::time_point shown_;
  bool used_ = false;
};

// Bytes and their rate.
class Meter {
 public:
  Meter(const CommandLine& line, std::string what);
  void add(std::uint64_t bytes);
  // "12.3M, 95M/s".
  std::string summary() const;

 private:
  ProgressLine line_;
  std::string what_;
  std::uint64_t bytes_ = 0;
  std::chrono::steady_clock::time_point start_, shown_;
};

// Work that the daemon does (admin_states.h) and is asked about until it is done.
struct FinishedWork {
  std::uint64_t id = 0;
  proxy::Json answer;
};
using ProgressText = std::string (*)(const proxy::Json& answer);
// After an error it is forgotten already.
Result<FinishedWork> finish_work(AdminSession& session, const CommandLine& line,
                                 const proxy::HttpRequest& begin, ProgressText text);
// Its memory is wanted back, whether this is heard or not.
void forget_work(AdminSession& session, const FinishedWork& work);


// Of a check or repair under way.
std::string check_progress(const proxy::Json& answer);

}  // namespace rowan::tools
