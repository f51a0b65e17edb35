// One host as the daemon is, without its sockets: state directory, live appliances and admin
// interface, all on a simulated disk whose power can be cut at any step.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/admin_api.h"
#include "proxy/live_host.h"
#include "tests/sim/tree_dump.h"
#include "tests/support/image_tree.h"
#include "tests/support/manual_loop.h"
#include "tests/support/sim_disk.h"

namespace rowan::sim {

// What clients see of a state, and whose objects they see.
struct SeenState {
  std::map<std::string, std::string> lines;
  std::map<std::string, cache::ObjectId> objects;  // by path
};

struct SeenAppliance {
  SeenState running;
  std::map<std::string, SeenState> checkpoints;
  std::map<std::string, std::uint64_t> guids;  // of the checkpoints
};

class Machine {
 public:
  Machine(std::uint64_t seed, const std::vector<test::TreeEntry>& image);
  ~Machine();
  Machine(const Machine&) = delete;

  void boot();
  void halt();                       // in good order
  // The power goes at a step of the disk not far from now, unless disarm() comes first.
  void arm(std::uint64_t seed);
  void disarm();
  bool power_is_cut() const { return cut_.has_value(); }
  // What is left is started again; nobody has heard of what was done since the cut.
  void restart_after_cut();
  void cut_power(std::uint64_t seed);   // now, and starts again

  void later(std::int64_t seconds);     // by the clock

  // What can go on without anybody asking: one step of it, or all.
  bool step();
  void settle();
  // Ends with the answer; what it leaves to do in the background is not done then.
  template <class T>
  T run(Task<T> task);
  proxy::HttpReply ask(std::string method, std::string target, std::string body = "");
  // At the same time; the second is begun after some steps.
  template <class T, class U>
  void run_both(Task<T> first, Task<U> second, std::uint64_t steps, std::optional<T>& one,
                std::optional<U>& two);
  Task<proxy::HttpReply> asking(proxy::HttpRequest request);

  proxy::Registry& registry() { return *registry_; }
  proxy::LiveHost& host() { return *host_; }
  test::SimDisk& disk() { return disk_; }
  nfs3::Handle handle(const proxy::ApplianceRecord& record, cache::ObjectId object) const;

  SeenAppliance look_at(const proxy::ApplianceRecord& record);
  std::uint64_t guid_of(const std::string& appliance, const std::string& checkpoint);
  SeenState look_at_running(const proxy::ApplianceRecord& record);
  SeenState look_at_checkpoint(const proxy::ApplianceRecord& record, const std::string& name);

  // States that nobody owns, in pools that are open; empty: none.
  std::string orphans();
  // The first finding of the checker in what a machine that is killed now leaves; empty: none.
  std::string check();
  // Files of stores, appliances and receives, and bytes that belong to no file. After halt().
  std::string remains();

 private:
  void open();

  std::vector<test::TreeEntry> image_;
  test::SimDisk disk_;
  std::optional<test::SimDisk> cut_;
  test::ManualLoop loop_;
  test::ManualDiskPool pool_;
  std::unique_ptr<proxy::StateDir> state_;
  std::unique_ptr<proxy::Registry> registry_;
  std::unique_ptr<cache::Directory> cache_directory_;
  std::unique_ptr<cache::BlockCache> blocks_;
  std::optional<proxy::LiveHost> host_;
  std::optional<proxy::AdminApi> api_;
};

namespace detail {

template <class T>
Task<void> store_value(Task<T> task, std::optional<T>& into) {
  T value = co_await task;
  into.emplace(std::move(value));
}

}  // namespace detail

template <class T>
T Machine::run(Task<T> task) {
  std::optional<T> value;
  TaskGroup group;
  group.start(detail::store_value(std::move(task), value));
  while (group.running() > 0) CHECK(step());
  return std::move(*value);
}

template <class T, class U>
void Machine::run_both(Task<T> first, Task<U> second, std::uint64_t steps, std::optional<T>& one,
                       std::optional<U>& two) {
  TaskGroup group;
  group.start(detail::store_value(std::move(first), one));
  while (steps-- > 0) step();
  group.start(detail::store_value(std::move(second), two));
  while (group.running() > 0) CHECK(step());
}

}  // namespace rowan::sim
