// The simulated proxy: one appliance on a loop, a disk pool, an image and a store that all follow
// one seed; and random operations that can be done to it and to the model.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "proxy/exports.h"
#include "proxy/nfs_service.h"
#include "tests/sim/operations.h"
#include "tests/sim/tree_dump.h"
#include "tests/support/appliance_fixture.h"
#include "tests/support/manual_loop.h"
#include "tests/support/memory_image.h"
#include "tests/support/sim_disk.h"

namespace rowan::sim {

// Where stores come from: in memory, or the real one on a simulated disk.
class StoreMaker {
 public:
  virtual ~StoreMaker() = default;
  virtual std::unique_ptr<cache::Store> make() = 0;
  // What a machine that loses power at this moment keeps of `running`, to be opened later.
  virtual void cut_power(cache::Store& running, Random& random) = 0;
  virtual std::unique_ptr<cache::Store> reopen() = 0;
  virtual test::SimDisk& disk() = 0;
};
std::unique_ptr<StoreMaker> memory_stores(std::uint64_t seed);
std::unique_ptr<StoreMaker> disk_stores(std::uint64_t seed);

class World {
 public:
  World(std::uint64_t seed, std::unique_ptr<StoreMaker> stores,
        proxy::Durability durability = proxy::Durability::sync);
  ~World();

  // Operations run at the same time. `stop`, if given, is asked between turns: true cuts the power
  // there. With async durability they end with the last reply, and the disk lags behind.
  void run(const std::vector<Operation>& operations, std::vector<Outcome>& outcomes,
           const std::function<bool()>& stop = nullptr);
  void crash();  // between operations
  void turn();   // one thing that can happen besides

  // Path to description, from READDIRPLUS, READ and READLINK as root; and what id each path has.
  std::map<std::string, std::string> dump(std::map<std::string, nfs3::Handle>& by_path);
  nfs3::Verifier write_verifier() const;
  // What others leave of the disk, beyond what is used now. Until plenty(), or a crash.
  void leave_room(std::uint64_t bytes);
  void plenty();
  void set_quota(std::uint64_t bytes);   // beyond what is redirected now; 0: none
  bool stalled() const;
  cache::Ticket applied() const;
  cache::Ticket durable() const;

  // Called before each turn of run(), with its number.
  std::function<void(std::uint64_t)> on_turn;

  Random random;
  test::ModelFs model;
  Handles handles;
  test::ModelId next_id = 1000;
  Scene scene() { return {random, model, handles, next_id}; }

 private:
  void build_image();
  void start(std::unique_ptr<cache::Store> store);
  void reboot();
  bool step();

  cache::Store& store() const { return exports_.all().front()->store(); }

  std::unique_ptr<StoreMaker> stores_;
  proxy::ApplianceSettings settings_ = test::plain_settings();
  test::ManualLoop loop_;
  test::ManualDiskPool disk_;
  test::MemoryImage image_{loop_};
  proxy::Exports exports_;
  proxy::NfsService service_{exports_};
};

}  // namespace rowan::sim
