// The servers of a comparison: nfs-ganesha and rowan on trees of the same content, and a slow link.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "tools/bench/processes.h"
#include "tools/bench/target.h"
#include "tools/bench/tree.h"

namespace rowan::bench {

namespace ports {
inline constexpr std::uint16_t ganesha_nfs = 20049, ganesha_mount = 20048, rowan = 20050,
                               responder = 20051, link = 20052, rowan_behind_link = 20053,
                               first_of_many = 20060;
}

struct Programs {
  std::string rowan, link, responder;  // paths; ganesha.nfsd and rpcbind come from PATH
};

// Directories below one parent: image/ (read by both), rw/ (a second copy, written through
// nfs-ganesha, since the image that rowan redirects from must not change), state/, logs/.
class Lab {
 public:
  Lab(std::filesystem::path parent, Programs programs, TreeShape shape)
      : parent_(std::move(parent)), programs_(std::move(programs)), shape_(std::move(shape)) {}

  Result<void> make_directories();
  Result<void> make_trees();
  Result<void> start_ganesha();
  // An appliance on `source`, its state in state/NAME, served on `port`.
  Result<ChildProcess> start_rowan(const std::string& name, const std::string& source,
                                   std::uint16_t port);
  // The daemon alone, on a state that an earlier one has left; it need not listen yet.
  Result<ChildProcess> serve_rowan(const std::string& name, std::uint16_t port);
  Result<ChildProcess> start_responder();
  // A forwarder to nfs-ganesha with the given round trip and rate, in each direction.
  Result<ChildProcess> start_link(unsigned rtt_milliseconds, unsigned megabits_per_second);

  Target ganesha_image() const { return ganesha("image"); }
  Target ganesha_writable() const { return ganesha("rw"); }
  Target ganesha_through_link() const;
  // `name` may be a checkpoint's: NAME@CHECKPOINT.
  static Target rowan(const std::string& name, std::uint16_t port);
  static Target responder();
  const Programs& programs() const { return programs_; }
  std::string state(const std::string& name) const { return (parent_ / "state" / name).string(); }

  std::filesystem::path directory(const char* name) const { return parent_ / name; }
  std::filesystem::path log(const std::string& name) const {
    return parent_ / "logs" / (name + ".log");
  }
  pid_t ganesha_pid() const { return ganesha_.pid(); }

 private:
  Target ganesha(const char* directory_name) const;

  std::filesystem::path parent_;
  Programs programs_;
  TreeShape shape_;
  ChildProcess rpcbind_;  // before ganesha_: it ends after it
  ChildProcess ganesha_;
};

}  // namespace rowan::bench
