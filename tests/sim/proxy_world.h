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
#include "tests/support/appliance_fixture.h"
#include "tests/support/manual_loop.h"
#include "tests/support/memory_image.h"
#include "tests/support/model_fs.h"
#include "tests/support/sim_disk.h"

namespace rowan::sim {

using Random = std::mt19937_64;

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

struct Operation {
  enum class Kind {
    lookup,
    access,
    setattr,
    read,
    write,
    create,
    mkdir,
    symlink,
    mknod,
    remove,
    rmdir,
    rename,
    link,
    readlink,
    commit
  };
  Kind kind = Kind::lookup;
  test::ModelUser user;
  test::ModelId object = 0, other = 0;  // directory, or file; second directory
  std::string name, new_name, bytes;
  test::ModelSet set;
  nfs3::CreateMode how = nfs3::CreateMode::unchecked;
  nfs3::Verifier verifier{};
  nfs3::StableHow stable = nfs3::StableHow::file_sync;
  std::uint64_t offset = 0;
  std::uint32_t count = 0;
  test::ModelId made = 0;
};
std::string describe(const Operation& operation);

struct Outcome {
  nfs3::Status status = nfs3::Status::ok;
  std::string bytes;  // read, target
  bool eof = false;
  std::uint32_t access = 0;
  test::ModelId found = 0;  // of the model's lookup
  std::optional<nfs3::Handle> handle;
  nfs3::Verifier verifier{};  // write, commit
  bool replied = false;
};
// Same answer, as far as both say it.
bool agree(const Operation& operation, const Outcome& model, const Outcome& service,
           const std::map<test::ModelId, nfs3::Handle>& handles);

Outcome do_to_model(test::ModelFs& model, const Operation& operation);

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
  std::map<test::ModelId, nfs3::Handle> handles;
  test::ModelId next_id = 1000;

 private:
  void build_image();
  void start(std::unique_ptr<cache::Store> store);
  void reboot();
  Task<void> perform(Operation operation, Outcome& outcome);
  Task<void> perform_names(const CallContext& context, const Operation& operation,
                           Outcome& outcome);
  Task<void> perform_data(const CallContext& context, const Operation& operation, Outcome& outcome);
  Task<void> perform_new(const CallContext& context, const Operation& operation, Outcome& outcome);
  void dump_directory(const std::string& path, const nfs3::Handle& directory,
                      std::map<std::string, std::string>& lines,
                      std::map<std::string, nfs3::Handle>& by_path);
  std::string describe_object(const nfs3::DirEntry& entry);
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

// The same description of the model.
std::map<std::string, std::string> dump_model(const test::ModelFs& model,
                                              std::map<std::string, test::ModelId>& by_path);

// A random operation on what the model has now.
Operation random_operation(World& world);

}  // namespace rowan::sim
