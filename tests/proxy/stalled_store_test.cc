// A store whose disk is full, or whose process has no descriptors left: who waits for it waits on,
// and is answered once that has passed, although nobody else comes by.
#include "cache/store.h"
#include "proxy/job_runner.h"
#include "tests/support/catch.h"
#include "tests/support/manual_loop.h"
#include "tests/support/sim_disk.h"

namespace rowan::proxy {
namespace {

using test::ManualDiskPool;
using test::ManualLoop;
using test::settle;
using test::SimDisk;

Result<cache::Ticket> add_object(cache::Store& store, std::uint64_t number) {
  cache::ObjectRecord record;
  record.mode = 0644;
  cache::Transaction change;
  change.put_object(cache::ObjectId{cache::local_object_bit | number}, record);
  return store.apply(change);
}

Task<void> await_durable(JobRunner<cache::Store>& runner, cache::Ticket ticket,
                         std::optional<Result<void>>& done) {
  done = co_await runner.durable(ticket);
}

// A store whose disk takes nothing since an object was added, and somebody who waits for that.
struct StalledStore {
  explicit StalledStore(Errc code) {
    auto ticket = add_object(*store, 1);
    REQUIRE(ticket.has_value());
    disk.fail_from(disk.steps(), code);
    group.start(await_durable(runner, *ticket, done));
    settle(loop, pool);
    REQUIRE(store->stalled().has_value());
  }
  ~StalledStore() {
    group.start(runner.drain());
    settle(loop, pool);
  }
  void pass_retries(int count) {
    for (int i = 0; i < count; ++i) {
      REQUIRE_FALSE(done.has_value());
      loop.advance(stall_retry);
      settle(loop, pool);
    }
  }
  static cache::StoreOptions options() {
    cache::StoreOptions options;
    options.table.reserve_bytes = 0;
    return options;
  }

  SimDisk disk{7};
  std::unique_ptr<cache::Directory> root = disk.root();
  std::unique_ptr<cache::Store> store = *cache::Store::create(*root, options());
  ManualLoop loop;
  ManualDiskPool pool;
  JobRunner<cache::Store> runner{loop, pool, *store};
  std::optional<Result<void>> done;
  TaskGroup group;
};

}  // namespace

TEST_CASE("who waits for a stalled store is answered once the disk takes it, without a push") {
  Errc code = GENERATE(Errc::limit, Errc::no_space);
  StalledStore f(code);
  f.pass_retries(5);
  REQUIRE_FALSE(f.done.has_value());
  REQUIRE_FALSE(f.store->failure().has_value());
  REQUIRE(add_object(*f.store, 2).failed_with(code));

  f.disk.no_more_failures();
  f.pass_retries(1);
  REQUIRE(f.done.has_value());
  REQUIRE(f.done->has_value());
  REQUIRE_FALSE(f.store->stalled().has_value());
  REQUIRE_FALSE(f.loop.next_timer().has_value());
  REQUIRE(add_object(*f.store, 2).has_value());
}

TEST_CASE("nobody waits for a stalled store past the time that was given") {
  Errc code = GENERATE(Errc::limit, Errc::no_space);
  StalledStore f(code);
  f.runner.stop_waiting(f.loop.clock().now() + 3 * stall_retry);
  f.pass_retries(3);
  REQUIRE(f.done.has_value());
  REQUIRE(f.done->failed_with(Errc::try_later));
  REQUIRE(f.done->error().detail == f.store->stalled()->detail);
  REQUIRE_FALSE(f.loop.next_timer().has_value());

  const std::uint64_t steps = f.disk.steps();
  f.done.reset();
  f.group.start(await_durable(f.runner, f.store->applied(), f.done));
  settle(f.loop, f.pool);
  REQUIRE(f.done.has_value());
  REQUIRE(f.done->failed_with(Errc::try_later));
  REQUIRE(f.disk.steps() > steps);

  f.disk.no_more_failures();
  f.done.reset();
  f.group.start(await_durable(f.runner, f.store->applied(), f.done));
  settle(f.loop, f.pool);
  REQUIRE(f.done.has_value());
  REQUIRE(f.done->has_value());
}

TEST_CASE("what the disk takes before that time is answered as ever") {
  StalledStore f(Errc::no_space);
  f.runner.stop_waiting(f.loop.clock().now() + 3 * stall_retry);
  f.pass_retries(1);
  f.disk.no_more_failures();
  f.pass_retries(1);
  REQUIRE(f.done.has_value());
  REQUIRE(f.done->has_value());
}

}  // namespace rowan::proxy
