// rowan send: asks for frame after frame and writes the stream. The next frame is read by the
// daemon while the last one is compressed and written.
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <future>

#include "cache/frame_stream.h"
#include "proxy/checkpoint_label.h"
#include "proxy/frame_answer.h"
#include "proxy/json.h"
#include "proxy/stream_header.h"
#include "tools/commands.h"
#include "tools/progress.h"

namespace rowan::tools {
namespace {

using cache::StreamFrame;
using proxy::FrameAnswer;
using proxy::HttpRequest;
using proxy::Json;

Result<void> write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EPIPE)
      return Error(Errc::io, "whoever reads the stream went away; see what it said");
    if (count < 0) return Error(Errc::io, std::string("standard output: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

class SendStream {
 public:
  SendStream(const CommandLine& line, AdminSession& session)
      : session_(session), meter_(line, "sending " + line.subject) {}

  Result<void> run(const std::string& name, const Json& begun) {
    name_ = name;
    for (const char* key : {"state", "base", "image", "version"}) {
      TRY(request_[key], proxy::text_member(begun, key));
    }
    TRY(const std::string header, proxy::text_member(begun, "header"));
    TRY_VOID(write_all(writer_.head()));
    TRY_VOID(write(StreamFrame::header, header));
    TRY_VOID(write_frames());
    TRY_VOID(write(StreamFrame::totals, cache::encode(totals_)));
    return write_all(writer_.end());
  }
  std::string summary() const { return meter_.summary(); }

 private:
  Result<FrameAnswer> fetch(const std::string& cursor) {
    Json body = request_;
    body["cursor"] = proxy::hex_text(cursor);
    TRY(const std::string answer,
        session_.ask_text(
            HttpRequest{"POST", "/v1/appliances/" + name_ + "/frames", proxy::json_line(body)}));
    return proxy::decode_frame_answer(answer);
  }

  Result<void> write_frames() {
    TRY(FrameAnswer frame, fetch({}));
    while (true) {
      const bool last = frame.cursor.empty();
      auto ask = [this, cursor = frame.cursor] { return fetch(cursor); };
      std::future<Result<FrameAnswer>> next;
      if (!last) {
        // Without a daemon it is this thread that reads.
        const auto when = session_.offline() ? std::launch::deferred : std::launch::async;
        next = std::async(when, ask);
      }
      Result<void> written = add(frame);
      if (last || !written) return written;
      TRY(frame, next.get());
    }
  }

  Result<void> add(const FrameAnswer& frame) {
    if (frame.type == StreamFrame::changes) {
      TRY(const cache::ChangesFrame changes, cache::decode_changes(frame.content));
      totals_.add(changes.totals);
    }
    return write(frame.type, frame.content);
  }

  Result<void> write(StreamFrame type, const std::string& content) {
    meter_.add(content.size());
    return write_all(writer_.frame(static_cast<std::uint8_t>(type), content));
  }

  AdminSession& session_;
  Meter meter_;
  std::string name_;
  Json request_;
  cache::FrameWriter writer_;
  cache::ChangeTotals totals_;
};

Result<void> send(const CommandLine& line) {
  TRY(const proxy::StateName state, proxy::parse_state_name(line.subject));
  if (::isatty(STDOUT_FILENO) == 1) {
    return Error(Errc::usage, "a stream is not for a terminal; pipe it: rowan send " +
                                  line.subject + " | ssh HOST rowan receive NEW");
  }
  // A failed write is an error, whatever the signal's default is.
  std::signal(SIGPIPE, SIG_IGN);
  AdminSession session(line);
  Json body = Json::object();
  if (!line.since.empty()) body["since"] = line.since.substr(line.since.find('@') + 1);
  TRY(const std::string answer,
      session.ask_text(HttpRequest{"POST", "/v1/appliances/" + line.subject + "/send",
                                  proxy::json_line(body)}));
  TRY(const Json begun, proxy::parse_json(answer));
  TRY(const std::string checkpoint, proxy::text_member(begun, "checkpoint"));
  TRY(const bool made, proxy::flag_member(begun, "made"));
  if (made) {
    std::fprintf(stderr,
                 "rowan: send: checkpoint %s@%s made; '--since %s' sends what comes later\n",
                 state.appliance.c_str(), checkpoint.c_str(), checkpoint.c_str());
  }
  SendStream stream(line, session);
  TRY_VOID(stream.run(state.appliance, begun));
  std::fprintf(stderr, "rowan: send: %s@%s sent: %s\n", state.appliance.c_str(),
               checkpoint.c_str(), stream.summary().c_str());
  return {};
}

}  // namespace

int run_send(const CommandLine& line) {
  Result<void> sent = send(line);
  return sent ? 0 : report(line, sent.error());
}

}  // namespace rowan::tools
