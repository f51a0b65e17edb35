// The child that examines and the parent that watches. Lines of JSON go through a pipe: {"step":
// "..."} before each step, a finding after it.
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "rpc/base/unique_fd.h"
#include "tools/doctor.h"
#include "tools/doctor_text.h"

namespace rowan::tools {
namespace {

using SteadyClock = std::chrono::steady_clock;

// A child that went mad may write without end.
constexpr std::size_t max_line_bytes = 64u << 10;
constexpr std::size_t max_findings = 1000;

class PipeNotebook final : public Notebook {
 public:
  explicit PipeNotebook(int fd) : fd_(fd) {}
  void step(std::string_view what) override {
    proxy::Json line;
    line["step"] = what;
    send(line);
  }
  void write(const Finding& finding) override { send(finding_json(finding)); }

 private:
  void send(const proxy::Json& line) {
    std::string text = proxy::json_line(line) + "\n";
    std::string_view rest = text;
    while (!rest.empty()) {
      ssize_t sent = ::write(fd_, rest.data(), rest.size());
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) _exit(1);  // the parent has gone
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  int fd_;
};

// Lines of the child, taken apart.
class Listener {
 public:
  explicit Listener(const std::function<void(const Finding&)>& seen) : seen_(seen) {}
  // False: the child talks nonsense.
  bool take(std::string_view bytes) {
    pending_ += bytes;
    std::size_t end;
    while ((end = pending_.find('\n')) != std::string::npos) {
      if (!take_line(std::string_view(pending_).substr(0, end))) return false;
      pending_.erase(0, end + 1);
    }
    return pending_.size() <= max_line_bytes && count_ <= max_findings;
  }
  const std::string& step() const { return step_; }

 private:
  bool take_line(std::string_view line) {
    Result<proxy::Json> object = proxy::parse_json(line);
    if (!object) return false;
    if (Result<std::string> step = proxy::text_member(*object, "step")) {
      step_ = *step;
      return true;
    }
    Result<Finding> finding = read_finding(*object);
    if (!finding) return false;
    ++count_;
    seen_(*finding);
    return true;
  }

  const std::function<void(const Finding&)>& seen_;
  std::string pending_, step_ = "starting";
  std::size_t count_ = 0;
};

enum class Ending { closed, late, nonsense };

Ending listen(int fd, SteadyClock::time_point until, Listener& listener) {
  std::array<char, 4096> chunk;
  while (true) {
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - SteadyClock::now()).count();
    if (left <= 0) return Ending::late;
    pollfd entry{fd, POLLIN, 0};
    int ready = ::poll(&entry, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return Ending::late;
    ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Ending::closed;
    if (!listener.take({chunk.data(), static_cast<std::size_t>(got)})) return Ending::nonsense;
  }
}

Finding crash_finding(const std::string& step, int status) {
  Finding finding;
  finding.level = Finding::Level::fail;
  finding.topic = "examination";
  std::string how = WIFSIGNALED(status) ? std::string("signal ") + ::strsignal(WTERMSIG(status))
                                        : "exit status " + std::to_string(WEXITSTATUS(status));
  finding.text = "the client library crashed while " + step + " (" + how +
                 "): the server's answer makes no sense";
  finding.remedy =
      "check that an NFSv3 server listens there; if it does, its answer is malformed: record the "
      "traffic";
  return finding;
}

Finding late_finding(const std::string& step, std::uint32_t patience_seconds) {
  Finding finding;
  finding.level = Finding::Level::fail;
  finding.topic = "examination";
  finding.text = "not done after " + std::to_string(patience_seconds) + " s; it was " + step;
  finding.remedy =
      "the server accepts calls and does not answer them: see its log, or give more time with "
      "--timeout";
  return finding;
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

void run_watched(const std::function<void(Notebook&)>& body, std::uint32_t patience_seconds,
                 const std::function<void(const Finding&)>& seen) {
  int ends[2];
  pid_t child = -1;
  if (::pipe(ends) == 0) child = ::fork();
  if (child < 0) {
    seen({Finding::Level::fail, "examination",
          std::string("no child process: ") + std::strerror(errno), ""});
    return;
  }
  UniqueFd reading(ends[0]), writing(ends[1]);
  if (child == 0) {
    reading.reset();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // nothing may examine for nobody
    PipeNotebook notebook(writing.get());
    body(notebook);
    _exit(0);
  }
  writing.reset();
  Listener listener(seen);
  Ending ending =
      listen(reading.get(), SteadyClock::now() + std::chrono::seconds(patience_seconds), listener);
  if (ending != Ending::closed) ::kill(child, SIGKILL);
  int status = wait_for(child);
  if (ending == Ending::late) {
    seen(late_finding(listener.step(), patience_seconds));
  } else if (ending == Ending::nonsense || status != 0) {
    seen(crash_finding(listener.step(), status));
  }
}

std::string finding_text(const Finding& finding) {
  std::string level(to_string(finding.level)), topic = finding.topic;
  level.resize(6, ' ');
  if (topic.size() < 12) topic.resize(12, ' ');
  std::string text = level + topic + " " + finding.text;
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = '?';
  }
  text += "\n";
  if (!finding.remedy.empty()) text += std::string(19, ' ') + "-> " + finding.remedy + "\n";
  return text;
}

proxy::Json finding_json(const Finding& finding) {
  proxy::Json object;
  object["level"] = to_string(finding.level);
  object["topic"] = finding.topic;
  object["text"] = finding.text;
  object["remedy"] = finding.remedy;
  return object;
}

Result<Finding> read_finding(const proxy::Json& object) {
  Finding finding;
  TRY(std::string level, proxy::text_member(object, "level"));
  if (level != "ok" && level != "warn" && level != "fail")
    return Error(Errc::malformed, "unknown level");
  finding.level = level == "ok"     ? Finding::Level::ok
                  : level == "warn" ? Finding::Level::warn
                                    : Finding::Level::fail;
  TRY(finding.topic, proxy::text_member(object, "topic"));
  TRY(finding.text, proxy::text_member(object, "text"));
  TRY(finding.remedy, proxy::text_member(object, "remedy"));
  return finding;
}

}  // namespace rowan::tools
