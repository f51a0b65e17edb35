#include "tools/progress.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "proxy/size_text.h"
#include "tools/commands.h"

namespace rowan::tools {
namespace {

using proxy::HttpRequest;
using proxy::Json;

constexpr std::chrono::milliseconds redraw_pause(200);
constexpr std::chrono::seconds line_pause(10);
// To the beginning of the line, and clear it.
constexpr std::string_view anew = "\r\033[K";

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

void write_now(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

constexpr std::array ending_signals{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

// The handler is gone by now: on return the process dies of the signal, as the shell expects.
extern "C" void take_line_away(int signal) {
  [[maybe_unused]] const ssize_t count = ::write(STDERR_FILENO, anew.data(), anew.size());
  ::raise(signal);
}

// What is ignored (by nohup, in a background job) stays so.
void exchange_handlers(void (*from)(int), void (*to)(int)) {
  for (const int signal : ending_signals) {
    struct sigaction now{};
    if (::sigaction(signal, nullptr, &now) != 0 || now.sa_handler != from) continue;
    struct sigaction next{};
    next.sa_handler = to;
    next.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(signal, &next, nullptr);
  }
}

char shown(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f ? '?' : c;
}

}  // namespace

ProgressStyle progress_style(bool terminal, bool json) {
  if (json) return ProgressStyle::none;
  return terminal ? ProgressStyle::one_line : ProgressStyle::plain_lines;
}

std::string progress_update(std::string_view text, std::size_t columns) {
  std::string line(anew);
  std::size_t used = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    // Bytes that continue a character take no column of their own.
    if ((byte & 0xc0) != 0x80 && ++used == columns) break;
    line += shown(c);
  }
  return line;
}

std::string plain_progress(std::string_view text) {
  std::string line;
  for (const char c : text) line += shown(c);
  return line + "\n";
}

ProgressLine::ProgressLine(const CommandLine& line)
    : style_(progress_style(::isatty(STDERR_FILENO) == 1, line.json)),
      pause_(style_ == ProgressStyle::one_line ? Clock::duration::zero() : line_pause),
      shown_(Clock::now()) {}

void ProgressLine::show(std::string_view text) {
  const auto now = Clock::now();
  if (style_ == ProgressStyle::none || now - shown_ < pause_) return;
  shown_ = now;
  const bool plain = style_ == ProgressStyle::plain_lines;
  if (!used_ && !plain) exchange_handlers(SIG_DFL, take_line_away);
  used_ = true;
  write_now(plain ? plain_progress(text) : progress_update(text, terminal_columns()));
}

ProgressLine::~ProgressLine() {
  if (!used_ || style_ != ProgressStyle::one_line) return;
  write_now(anew);
  exchange_handlers(take_line_away, SIG_DFL);
}

Meter::Meter(const CommandLine& line, std::string what)
    : line_(line),
      what_(std::move(what)),
      start_(std::chrono::steady_clock::now()),
      shown_(start_) {}

void Meter::add(std::uint64_t bytes) {
  bytes_ += bytes;
  const auto now = std::chrono::steady_clock::now();
  if (now - shown_ < redraw_pause) return;
  shown_ = now;
  line_.show(what_ + ": " + summary());
}

std::string Meter::summary() const {
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start_;
  const auto rate = static_cast<std::uint64_t>(
      time.count() > 0 ? static_cast<double>(bytes_) / time.count() : 0);
  return proxy::size_text(bytes_) + ", " + proxy::size_text(rate) + "/s";
}

std::string check_progress(const Json& answer) {
  const bool repair = answer.contains("repair") && answer["repair"] == true;
  const std::string what = (repair ? "repairing " : "checking ") + member(answer, "name");
  const std::uint64_t done = number(answer, "looked_at"), all = number(answer, "to_look_at");
  const bool bytes = member(answer, "unit") == "bytes";
  if (!bytes) return what + ": " + proxy::count_text(done) + " pages of its records";
  const std::uint64_t percent = all == 0 ? 100 : std::min(done, all) * 100 / all;
  return what + ": " + std::to_string(percent) + " % of " + proxy::size_text(all) + " of data";
}

Result<FinishedWork> finish_work(AdminSession& session, const CommandLine& line,
                                 const HttpRequest& begin, ProgressText text) {
  TRY(const Json begun, session.ask_json(begin));
  FinishedWork work{number(begun, "work"), {}};
  const HttpRequest ask{"GET", "/v1/work/" + std::to_string(work.id) + "?wait=true", ""};
  ProgressLine progress(line);
  while (true) {
    Result<Json> answer = session.ask_json(ask);
    if (!answer) {
      forget_work(session, work);
      return std::move(answer).error();
    }
    work.answer = std::move(*answer);
    TRY(const bool done, proxy::flag_member(work.answer, "done"));
    if (done) return work;
    progress.show(text(work.answer));
  }
}

void forget_work(AdminSession& session, const FinishedWork& work) {
  (void)session.ask({"DELETE", "/v1/work/" + std::to_string(work.id), ""});
}

}  // namespace rowan::tools
