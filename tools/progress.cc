#include "tools/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "proxy/size_text.h"
#include "tools/commands.h"

namespace rowan::tools {
namespace {

using proxy::HttpRequest;
using proxy::Json;

constexpr std::chrono::milliseconds show_interval(200);
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

}  // namespace

bool shows_progress(bool terminal, bool json) { return terminal && !json; }

std::string progress_update(std::string_view text, std::size_t columns) {
  std::string line(anew);
  std::size_t used = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    // Bytes that continue a character take no column of their own.
    if ((byte & 0xc0) != 0x80 && ++used == columns) break;
    line += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  return line;
}

ProgressLine::ProgressLine(const CommandLine& line)
    : shows_(shows_progress(::isatty(STDERR_FILENO) == 1, line.json)) {}

void ProgressLine::show(std::string_view text) {
  if (!shows_) return;
  used_ = true;
  write_now(progress_update(text, terminal_columns()));
}

ProgressLine::~ProgressLine() {
  if (used_) write_now(anew);
}

Meter::Meter(const CommandLine& line, std::string what)
    : line_(line),
      what_(std::move(what)),
      start_(std::chrono::steady_clock::now()),
      shown_(start_) {}

void Meter::add(std::uint64_t bytes) {
  bytes_ += bytes;
  const auto now = std::chrono::steady_clock::now();
  if (!line_.shows() || now - shown_ < show_interval) return;
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
