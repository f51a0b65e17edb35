// One daemon with one appliance, and what an operator asks of it, timed where the daemon is asked:
// on its admin socket, so that no program's start counts.
#pragma once

#include <cstdint>
#include <string>

#include "proxy/json.h"
#include "rpc/base/result.h"
#include "tools/bench/comparison.h"

namespace rowan::bench {

struct TimedReply {
  proxy::Json body;
  double milliseconds = 0;  // from the connection to the reply's last byte
};

class Appliance {
 public:
  // `lab` outlives it. The image is the lab's directory "image".
  static Result<Appliance> make(Lab& lab, const std::string& name, std::uint16_t port);

  const std::string& name() const { return name_; }
  Target target() const { return Lab::rowan(name_, port_); }
  Side side() const { return {target(), daemon_.pid()}; }
  std::string stores() const;  // the directory of the daemon's redirect stores

  // Ends the daemon in good order, starts it, and gives the milliseconds until it has answered a
  // READ of the file below the export's root.
  Result<double> reopen(const std::string& directory, const std::string& file);

  // Milliseconds; Error with the daemon's words if it refuses.
  Result<double> checkpoint(const std::string& checkpoint);
  Result<double> roll_back(const std::string& checkpoint);
  Result<double> clone(const std::string& checkpoint, const std::string& clone_name);
  // What `checkpoint` has that `before` (empty: the image) has not, and the other way round.
  Result<double> diff(const std::string& before, const std::string& checkpoint);
  Result<void> remove(const std::string& other_appliance);

 private:
  Appliance(Lab& lab, std::string name, std::uint16_t port)
      : lab_(&lab), name_(std::move(name)), port_(port) {}
  Result<TimedReply> ask(const std::string& method, const std::string& target,
                         const proxy::Json& body);

  Lab* lab_;
  std::string name_;
  std::uint16_t port_;
  ChildProcess daemon_;
};

}  // namespace rowan::bench
