#include "tools/admin_session.h"

#include <chrono>
#include <thread>

#include "proxy/state_dir.h"
#include "tools/commands.h"

namespace rowan::tools {
namespace {

using proxy::HttpReply;
using proxy::HttpRequest;
using proxy::Json;

// Asking a source may take its whole deadline, removing a large store its time as well.
constexpr Duration answer_patience = std::chrono::minutes(10);
// A daemon that holds the lock opens its socket within this time, or will not.
constexpr Duration start_patience = std::chrono::seconds(10);

bool makes_state(const CommandLine& line) {
  if (line.command == Command::receive) return !line.abort;
  return line.command == Command::image_add || line.command == Command::create;
}

}  // namespace

AdminSession::AdminSession(const CommandLine& line, std::vector<std::string> opened)
    : line_(line), needs_{makes_state(line), std::move(opened)} {}

// Whoever holds the lock without a socket is starting, ending, or another command at work.
Result<HttpReply> AdminSession::ask_first(const HttpRequest& request) {
  TRY(const std::string state, state_of(line_));
  socket_ = proxy::socket_path(state);
  const auto give_up = std::chrono::steady_clock::now() + start_patience;
  while (true) {
    auto reply = proxy::call_admin(socket_, request, answer_patience);
    if (!reply.failed_with(Errc::disconnected)) return reply;
    auto opened = proxy::OfflineSession::open(state, "rowan " + line_.name, needs_);
    if (opened) {
      offline_ = std::move(*opened);
      return offline_->ask(request);
    }
    const bool held = opened.failed_with(Errc::busy);
    if (!held || std::chrono::steady_clock::now() > give_up) return std::move(opened).error();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

Result<HttpReply> AdminSession::ask(const HttpRequest& request) {
  if (offline_) return offline_->ask(request);
  if (socket_.empty()) return ask_first(request);
  auto reply = proxy::call_admin(socket_, request, answer_patience);
  if (!reply.failed_with(Errc::disconnected)) return reply;
  return Error(Errc::disconnected,
               "the daemon went away; see its log, start it, and run the command again");
}

Result<std::string> AdminSession::ask_text(const HttpRequest& request) {
  TRY(HttpReply reply, ask(request));
  if (reply.status != 200) return error_of(reply);
  return std::move(reply.body);
}

Result<Json> AdminSession::ask_json(const HttpRequest& request) {
  TRY(const std::string text, ask_text(request));
  return proxy::parse_json(text);
}

Error error_of(const HttpReply& reply) {
  const Errc code = reply.status == 400 ? Errc::usage : Errc::io;
  Result<Json> body = proxy::parse_json(reply.body);
  if (body && body->is_object() && body->contains("error")) {
    if (auto message = proxy::text_member((*body)["error"], "message"))
      return Error(code, *message);
  }
  return Error(code, "the daemon answered with status " + std::to_string(reply.status));
}

}  // namespace rowan::tools
