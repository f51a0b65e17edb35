#include "tools/transfer.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <thread>

#include "proxy/size_text.h"
#include "proxy/state_dir.h"
#include "tools/commands.h"

namespace rowan::tools {
namespace {

using proxy::HttpReply;
using proxy::HttpRequest;

constexpr Duration answer_patience = std::chrono::minutes(10);
// A daemon that holds the lock opens its socket within this time, or will not.
constexpr std::chrono::seconds start_patience(10);
constexpr std::chrono::milliseconds show_interval(200);

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const CommandLine& line, bool create) {
  TRY(const std::string state, state_of(line));
  auto connection = std::make_unique<Connection>();
  connection->socket_ = proxy::socket_path(state);
  const auto give_up = std::chrono::steady_clock::now() + start_patience;
  while (true) {
    const HttpRequest look{"GET", "/v1/receives", ""};
    const auto there = proxy::call_admin(connection->socket_, look, answer_patience);
    if (there) return connection;
    if (!there.failed_with(Errc::disconnected)) return there.error();
    auto session = proxy::OfflineAdmin::open(state, create, "rowan " + line.name);
    if (session) {
      connection->session_ = std::move(*session);
      return connection;
    }
    // Whoever has the lock without a socket is starting, ending, or another command at work.
    if (!session.failed_with(Errc::busy) || std::chrono::steady_clock::now() > give_up)
      return std::move(session).error();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

Result<std::string> Connection::ask(const HttpRequest& request) {
  Result<HttpReply> reply = session_ ? Result<HttpReply>(session_->answer(request))
                                     : proxy::call_admin(socket_, request, answer_patience);
  if (reply.failed_with(Errc::disconnected))
    return Error(Errc::disconnected, "the daemon went away; start it and do the same again");
  if (!reply) return std::move(reply).error();
  if (reply->status != 200) return error_of(*reply);
  return std::move(reply->body);
}

Meter::Meter(std::string what)
    : what_(std::move(what)),
      terminal_(::isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      shown_(start_) {}

Meter::~Meter() {
  if (terminal_) std::fputs("\r\033[K", stderr);
}

void Meter::add(std::uint64_t bytes) {
  bytes_ += bytes;
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ || now - shown_ < show_interval) return;
  shown_ = now;
  show();
}

std::string Meter::summary() const {
  const double seconds = seconds_since(start_);
  const auto rate =
      static_cast<std::uint64_t>(seconds > 0 ? static_cast<double>(bytes_) / seconds : 0);
  return proxy::size_text(bytes_) + ", " + proxy::size_text(rate) + "/s";
}

void Meter::show() const {
  std::fprintf(stderr, "\r\033[K%s: %s", what_.c_str(), summary().c_str());
  std::fflush(stderr);
}

void ignore_broken_pipes() { std::signal(SIGPIPE, SIG_IGN); }

}  // namespace rowan::tools
