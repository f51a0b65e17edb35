#include "tools/admin_session.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "proxy/state_dir.h"
#include "tools/commands.h"

namespace rowan::tools {
namespace {

constexpr Duration answer_patience = std::chrono::minutes(2);
// A daemon that holds the lock opens its socket within this time, or will not.
constexpr Duration start_patience = std::chrono::seconds(10);
constexpr std::int64_t plain_interval = 10;  // seconds between lines

std::int64_t now_seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

}  // namespace

Result<proxy::HttpReply> AdminSession::ask_first(const proxy::HttpRequest& request) {
  TRY(std::string state, state_of(line_));
  const auto give_up = std::chrono::steady_clock::now() + start_patience;
  while (true) {
    auto reply = proxy::call_admin(proxy::socket_path(state), request, answer_patience);
    if (!reply.failed_with(Errc::disconnected)) return reply;
    auto opened = proxy::OfflineSession::open(state, "rowan " + line_.name, appliances_);
    if (opened) {
      offline_ = std::move(*opened);
      return offline_->ask(request);
    }
    const bool held = opened.failed_with(Errc::busy);
    if (!held || std::chrono::steady_clock::now() > give_up) return std::move(opened).error();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

Result<proxy::HttpReply> AdminSession::ask(const proxy::HttpRequest& request) {
  if (!asked_) {
    asked_ = true;
    return ask_first(request);
  }
  if (offline_) return offline_->ask(request);
  TRY(std::string state, state_of(line_));
  auto reply = proxy::call_admin(proxy::socket_path(state), request, answer_patience);
  if (reply.failed_with(Errc::disconnected))
    return Error(Errc::disconnected, "the daemon has ended meanwhile; run the command again");
  return reply;
}

Result<proxy::Json> AdminSession::ask_json(const proxy::HttpRequest& request) {
  TRY(proxy::HttpReply reply, ask(request));
  if (reply.status != 200) return error_of(reply);
  return proxy::parse_json(reply.body);
}

ProgressLine::ProgressLine()
    : terminal_(::isatty(STDERR_FILENO) == 1), next_(now_seconds() + plain_interval) {}

void ProgressLine::show(const std::string& text) {
  if (terminal_) {
    std::string line = "\r" + text;
    if (text.size() < shown_) line.append(shown_ - text.size(), ' ');
    shown_ = text.size();
    std::fwrite(line.data(), 1, line.size(), stderr);
    std::fflush(stderr);
  } else if (now_seconds() >= next_) {
    next_ = now_seconds() + plain_interval;
    std::fprintf(stderr, "%s\n", text.c_str());
  }
}

ProgressLine::~ProgressLine() {
  if (shown_ == 0) return;
  const std::string blank = "\r" + std::string(shown_, ' ') + "\r";
  std::fwrite(blank.data(), 1, blank.size(), stderr);
}

}  // namespace rowan::tools
