// Two hosts and the appliances on them, from one seed: clients write, operators make checkpoints,
// roll back, clone, remove, send and receive, streams are cut, and either host loses its power at
// any step of its disk. After each, what is left must be what the model says.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "proxy/json.h"
#include "tests/sim/operations.h"
#include "tests/sim/versions_model.h"

namespace rowan::sim {

class VersionsSimulation {
 public:
  explicit VersionsSimulation(std::uint64_t seed);
  // So many random things; then everything is removed, and nothing may be left. Once only.
  void run(int steps);
  // What was done.
  const std::vector<std::string>& story() const { return story_; }

  struct Counts {
    int cuts = 0, cut_streams = 0, resumed = 0, received = 0, increments = 0, put_aside = 0;
    int refused = 0;
    int unacknowledged = 0;   // changes during which the power was cut
  };
  Counts counts;

 private:
  struct Host {
    Host(std::uint64_t seed, const std::vector<test::TreeEntry>& image) : machine(seed, image) {}
    Machine machine;
    HostModel model;
  };

  bool chance(double probability);
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  Host& any_host() { return *hosts_[below(2)]; }
  Host& other(const Host& host) { return *hosts_[&host == hosts_[0].get() ? 1 : 0]; }
  std::string any_appliance(const Host& host);    // empty: there is none
  std::string any_checkpoint(const Host& host, const std::string& appliance);
  std::string free_name(const Host& host);
  [[noreturn]] void fail(const std::string& what);
  void note(const Host& host, const std::string& what);

  // A change begins, during which the power may go; it is over, or was acknowledged before it went.
  void risk(Host& host, double probability);
  void lag(Host& host);
  // `left`: what there may be if the change was cut; the last if it was made.
  void conclude(Host& host, bool acknowledged, std::vector<HostModel> left);
  void explain(Host& host, std::vector<HostModel> left, bool after_cut = false);
  proxy::Json answer(const proxy::HttpReply& reply);

  // One host has an appliance, the other received it; so both know the image by the same ids.
  void begin();
  void step();
  void end();
  void work(Host& host);
  Handles handles_of(const ApplianceModel& appliance);
  Tree done(const Operation& operation, const Outcome& outcome, const Tree& before,
            const Handles& handles);
  static void keep(ApplianceModel& appliance, const Operation& operation, const Tree& after,
                   bool acknowledged);
  void create(Host& host);
  void checkpoint(Host& host);
  void checkpoint_beside_work(Host& host);
  void roll_back(Host& host);
  void clone(Host& host);
  void drop_checkpoint(Host& host);
  void remove(Host& host);
  void remove(Host& host, const std::string& name);
  void check_served(Host& host);
  void restart(Host& host);
  void cut_power(Host& host);
  void verify(Host& host);
  void forget_receives(Host& host);
  void add_appliance(HostModel& model, Host& host, const std::string& name, Tree tree);

  // versions_sim_transfer.cc
  void send(Host& host);
  std::shared_ptr<const Stream> produce(Host& host, const std::string& name,
                                        const std::string& checkpoint, const std::string& since);
  bool fetch_frames(Host& host, const std::string& name, const proxy::Json& begun,
                    Stream& stream);
  void receive(Host& host);
  struct Delivery {
    std::shared_ptr<const Stream> stream;
    std::string name;
    bool new_identity = false, force = false;
  };
  // The first bytes of the stream, or all; false: the host refused it, or lost its power.
  bool deliver(Host& host, const Delivery& delivery, std::size_t bytes);
  bool begin_receive(Host& host, const Delivery& delivery, std::string& reached);
  bool hand_on(Host& host, const std::string& name, std::uint8_t type, const std::string& content);
  bool end_receive(Host& host, const std::string& name, const std::string& totals);
  enum class Verdict { must, may, must_not };
  Verdict may_begin(const HostModel& model, const Delivery& delivery) const;
  Verdict may_end(const HostModel& model, const std::string& name) const;
  static Verdict unchanged(const ApplianceModel& appliance, std::uint64_t base);
  void judge(const proxy::HttpReply& reply, Verdict verdict);
  HostModel after_end(Host& host, const std::string& name, const proxy::Json& answer);
  std::vector<HostModel> during_end(const HostModel& before, const std::string& name,
                                    const HostModel& after) const;
  static std::vector<HostModel> without_receive(const HostModel& before, const std::string& name);
  void abort(Host& host);
  void abort(Host& host, const std::string& name);

  Random random_;
  std::unique_ptr<Host> hosts_[2];
  ObjectIds ids_;
  test::ModelId next_id_ = 1000;
  int next_name_ = 0;
  Tree image_;
  std::deque<std::shared_ptr<const Stream>> streams_;
  std::vector<std::string> story_;
};

}  // namespace rowan::sim
