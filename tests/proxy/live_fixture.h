// A running daemon's appliances, without its sockets: real files, a real loop, an image that is a
// directory with one file in it.
#pragma once

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "proxy/live_host.h"
#include "proxy/store_maker.h"
#include "rpc/disk_threads.h"
#include "tests/support/catch.h"
#include "tests/support/temp_directory.h"

namespace rowan::test {

struct LiveFixture {
  LiveFixture() {
    std::filesystem::create_directory(image);
    std::ofstream(image + "/file") << "content";
    REQUIRE(registry->add_version(proxy::ImageName{"image", ""}, image));
  }
  ~LiveFixture() {
    if (host) run(host->shut_down());
  }

  proxy::ApplianceRecord create(const std::string& name) {
    proxy::NewAppliance wanted;
    wanted.name = name;
    wanted.image = "image";
    return registry->create_appliance(wanted).value();
  }
  void start() {
    proxy::OpeningLimits limits;
    limits.first_pause = std::chrono::milliseconds(1);
    limits.longest_pause = std::chrono::milliseconds(2);
    host.emplace(loop, *disk, *state, *registry, *blocks, limits);
  }
  void restart() {
    run(host->shut_down());
    host.reset();
    start();
    run(host->start_all());
  }
  template <class T>
  T run(Task<T> task) {
    std::optional<T> result;
    auto body = [](Task<T> inner, std::optional<T>& into) -> Task<void> {
      into.emplace(co_await std::move(inner));
    };
    TaskGroup tasks;
    tasks.start(body(std::move(task), result));
    while (!result) loop.run_some(std::chrono::seconds(1));
    return std::move(*result);
  }
  void run(Task<void> task) {
    TaskGroup tasks;
    tasks.start(std::move(task));
    while (tasks.running() > 0) loop.run_some(std::chrono::seconds(1));
  }
  mount3::Status mount(const std::string& name) {
    return run(host->mount().mnt(context(), "/" + name)).status;
  }
  // What a client with a handle of the appliance's root is told.
  nfs3::Status getattr(const proxy::ApplianceRecord& record) {
    proxy::HandleSealer sealer(record.id, record.key);
    nfs3::GetattrArgs args{sealer.seal(cache::image_root)};
    return run(host->nfs().getattr(context(), args)).status;
  }
  CallContext context() {
    CallContext call;
    call.peer.ip[15] = std::byte{1};  // ::1
    call.received = loop.clock().now();
    return call;
  }
  Result<std::vector<std::string>> check(const proxy::ApplianceRecord& record, bool offline) {
    proxy::StoreWalk walk;
    return run(host->check_store(record, offline, walk));
  }
  void until_serving(std::size_t count) {
    while (host->serving() != count) loop.run_some(std::chrono::seconds(1));
  }
  std::string store_file(const std::string& name, const std::string& file) const {
    const auto pool = static_cast<std::uint64_t>(registry->appliance(name)->pool);
    return directory.path() + "/state/stores/" + proxy::hex_id(pool) + "/" + file;
  }

  test::TempDirectory directory;
  std::string image = directory.path() + "/image";
  std::unique_ptr<proxy::StateDir> state =
      proxy::StateDir::open(directory.open()->directory("state", true).value(), "test").value();
  std::unique_ptr<proxy::Registry> registry =
      proxy::Registry::load(*state, real_clock(), proxy::make_store).value();
  std::unique_ptr<cache::Directory> cache_directory = state->cache().value();
  std::unique_ptr<cache::BlockCache> blocks =
      cache::BlockCache::open(*cache_directory, cache::BlockCacheOptions()).value();
  AsioLoop loop;
  std::unique_ptr<DiskThreads> disk = DiskThreads::start(DiskThreadsLimits()).value();
  std::optional<proxy::LiveHost> host;
};

}  // namespace rowan::test
