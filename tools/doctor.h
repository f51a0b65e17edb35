// `rowan doctor`: a look at a proxy or an image server from outside, with a client that is not
// ours.
//
// libnfs can crash or spin on answers that make no sense, so the examination runs in a child
// process with a deadline: a crash and a hang are findings like any other.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/base/result.h"
#include "tools/command_line.h"

namespace rowan::tools {

struct Finding {
  enum class Level : std::uint8_t { ok, warn, fail };
  Level level = Level::ok;
  std::string topic;  // "portmap", "MOUNT", "read"
  std::string text;
  std::string remedy;  // empty when there is nothing to do
};
std::string_view to_string(Finding::Level level);

// What is looked at. A port of 0 is asked of the port mapper.
struct DoctorTarget {
  std::string host = "127.0.0.1";
  std::string path;  // of the export; empty: none is mounted
  std::uint16_t nfs_port = 0, mount_port = 0;
  std::uint32_t uid = 0, gid = 0;  // who the calls come from
  bool write = false;
};

// "": this machine at 2049; "HOST", "HOST:PORT", "HOST:/APPLIANCE", "HOST:PORT:/APPLIANCE",
// "[V6]:..."; "nfs://HOST/EXPORT?nfsport=N&mountport=N&uid=N&gid=N". usage: anything else.
Result<DoctorTarget> parse_doctor_target(std::string_view text);

// Where findings go, and the step that is being taken: what a crash or a hang is blamed on.
class Notebook {
 public:
  virtual ~Notebook() = default;
  virtual void step(std::string_view what) = 0;
  virtual void write(const Finding& finding) = 0;
};

// All examinations, one after the other. Only to be called where a crash does no harm.
void examine(const DoctorTarget& target, Notebook& notebook);

// Runs `body` in a child with a notebook of its own, and hands its findings to `seen` as they come.
// A child that dies or is not done after `patience_seconds` becomes a finding.
void run_watched(const std::function<void(Notebook&)>& body, std::uint32_t patience_seconds,
                 const std::function<void(const Finding&)>& seen);

int run_doctor(const CommandLine& line);

}  // namespace rowan::tools
