// rowan receive: reads a stream, compares every frame with its sum, and hands it on. What an
// earlier attempt has brought to disk is skipped.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cache/frame_stream.h"
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

Error misplaced(const cache::FrameReader& reader) {
  return Error(Errc::corrupt, "the stream is damaged at byte " + std::to_string(reader.offset()) +
                                  ": its frames are not in order");
}

// With which the same stream comes again.
std::string send_command_of(const proxy::StreamHeader& header) {
  std::string command =
      "rowan send " + header.appliance.name + "@" + header.checkpoint.name;
  if (header.base != 0) command += " --since " + header.base_name;
  return command;
}

class ReceiveStream {
 public:
  ReceiveStream(const CommandLine& line, AdminSession& session)
      : line_(line),
        session_(session),
        target_("/v1/receives/" + line.subject),
        meter_(line, "receiving " + line.subject) {}

  // The daemon's last answer.
  Result<Json> run() {
    while (!reader_.ended()) {
      TRY(const auto frame, next());
      TRY_VOID(take(*frame));
    }
    if (!totals_) return misplaced(reader_);
    TRY_VOID(expect_end());
    FrameAnswer end{StreamFrame::totals, {}, cache::encode(*totals_)};
    TRY(const std::string answer,
        session_.ask_text(HttpRequest{"POST", target_ + "/end", proxy::encode_frame_answer(end)}));
    return proxy::parse_json(answer);
  }
  std::string summary() const { return meter_.summary(); }

  // After run() has failed.
  std::string remedy() const {
    std::string text;
    if (cut_ && !begun_) {
      return "; the sender failed or was not started: see what it said (in a script, "
             "'set -o pipefail' makes its failure the pipe's)";
    }
    if (cut_) text += "; see what the sender said";
    if (begun_) {
      text += "; what arrived is kept: give the same stream again (" + again_ +
              "), and it goes on there, or drop it with 'rowan receive " + line_.subject +
              " --abort'";
    }
    return text;
  }

 private:
  // False: the input has ended.
  Result<bool> read_more() {
    while (true) {
      const ssize_t count = ::read(STDIN_FILENO, chunk_.data(), chunk_.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return Error(Errc::io, std::string("standard input: ") + std::strerror(errno));
      reader_.feed({chunk_.data(), static_cast<std::size_t>(count)});
      return count > 0;
    }
  }

  Result<std::optional<cache::Frame>> next() {
    while (true) {
      TRY(auto frame, reader_.next());
      if (frame) return frame;
      TRY(const bool more, read_more());
      if (more) continue;
      cut_ = true;
      return reader_.cut_short();
    }
  }

  Result<void> expect_end() {
    while (true) {
      TRY(const auto frame, reader_.next());
      TRY(const bool more, read_more());
      if (!more) return {};
    }
  }

  Result<void> take(const cache::Frame& frame) {
    meter_.add(frame.content.size());
    const auto type = static_cast<StreamFrame>(frame.type);
    const bool in_order = frame.type <= static_cast<std::uint8_t>(StreamFrame::totals) &&
                          (type == StreamFrame::header) == !begun_ &&
                          (type == StreamFrame::end) == totals_.has_value();
    if (!in_order) return misplaced(reader_);
    switch (type) {
      case StreamFrame::header:
        return begin(frame.content);
      case StreamFrame::names:
        return hand_on(type, frame.content);
      case StreamFrame::changes:
        return take_changes(frame.content);
      case StreamFrame::totals:
        return take_totals(frame.content);
      case StreamFrame::end:
        break;
    }
    return {};
  }

  Result<void> begin(const std::string& header) {
    TRY(const proxy::StreamHeader decoded, proxy::decode_header(header));
    again_ = "'" + send_command_of(decoded) + "'";
    Json body;
    body["header"] = header;
    if (!line_.image.empty()) body["image"] = line_.image;
    body["new_identity"] = line_.new_identity;
    body["force"] = line_.force;
    TRY(const std::string answer,
        session_.ask_text(HttpRequest{"POST", target_, proxy::json_line(body)}));
    TRY(const Json begun, proxy::parse_json(answer));
    TRY(const std::string digits, proxy::text_member(begun, "reached"));
    TRY(reached_, proxy::parse_hex_text(digits));
    if (!reached_.empty())
      std::fprintf(stderr, "rowan: receive: going on where an earlier attempt ended\n");
    begun_ = true;
    return {};
  }

  Result<void> take_changes(const std::string& content) {
    TRY(const cache::ChangesFrame frame, cache::decode_changes(content));
    sum_.add(frame.totals);
    if (frame.reached <= reached_) return {};
    return hand_on(StreamFrame::changes, content);
  }

  Result<void> take_totals(const std::string& content) {
    TRY(totals_, cache::decode_totals(content));
    if (*totals_ == sum_) return {};
    return misplaced(reader_);
  }

  Result<void> hand_on(StreamFrame type, const std::string& content) {
    const FrameAnswer frame{type, {}, content};
    auto taken = session_.ask_text(
        HttpRequest{"POST", target_ + "/frame", proxy::encode_frame_answer(frame)});
    if (!taken) return std::move(taken).error();
    return {};
  }

  const CommandLine& line_;
  AdminSession& session_;
  std::string target_;
  Meter meter_;
  cache::FrameReader reader_;
  std::array<char, 256u << 10> chunk_;
  bool begun_ = false, cut_ = false;
  std::string again_;     // how
  std::string reached_;   // on disk there
  cache::ChangeTotals sum_;
  std::optional<cache::ChangeTotals> totals_;
};

Result<void> abort_receive(const CommandLine& line) {
  AdminSession session(line);
  auto aborted = session.ask_text(HttpRequest{"DELETE", "/v1/receives/" + line.subject, ""});
  if (!aborted) return std::move(aborted).error();
  if (line.json) print(*aborted);
  else
    print("what was received of " + line.subject + " is dropped\n");
  return {};
}

std::string text_of(const Json& answer, const char* key) {
  Result<std::string> text = proxy::text_member(answer, key);
  return text ? *text : std::string();
}

Result<void> receive(const CommandLine& line) {
  TRY_VOID(check_whole_appliance(line));
  if (line.abort) return abort_receive(line);
  if (::isatty(STDIN_FILENO) == 1) {
    return Error(Errc::usage,
                 "a stream is expected on standard input: rowan send APPLIANCE | rowan receive " +
                     line.subject);
  }
  AdminSession session(line);
  auto stream = std::make_unique<ReceiveStream>(line, session);
  Result<Json> answer = stream->run();
  if (!answer) return Error(answer.error().code, answer.error().detail + stream->remedy());
  if (line.json) print(proxy::json_pretty(*answer) + "\n");
  else
    print("appliance " + line.subject + " is as " + text_of(*answer, "checkpoint") +
          "; mount it as HOST:/" + line.subject + "\n");
  const std::string aside = text_of(*answer, "put_aside");
  if (!aside.empty() && !line.json)
    print("what it held until now is kept as " + line.subject + "@" + aside + "\n");
  std::fprintf(stderr, "rowan: receive: %s\n", stream->summary().c_str());
  return {};
}

}  // namespace

int run_receive(const CommandLine& line) {
  Result<void> received = receive(line);
  return received ? 0 : report(line, received.error());
}

}  // namespace rowan::tools
