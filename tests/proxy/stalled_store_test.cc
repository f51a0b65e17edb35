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

}  // namespace

TEST_CASE("who waits for a stalled store is answered once the disk takes it, without a push") {
  Errc code = GENERATE(Errc::limit, Errc::no_space);
  SimDisk disk(7);
  auto root = disk.root();
  cache::StoreOptions options;
  options.table.reserve_bytes = 0;
  auto store = *cache::Store::create(*root, options);
  ManualLoop loop;
  ManualDiskPool pool;
  JobRunner<cache::Store> runner(loop, pool, *store);

  auto ticket = add_object(*store, 1);
  REQUIRE(ticket.has_value());
  disk.fail_from(disk.steps(), code);
  std::optional<Result<void>> done;
  TaskGroup group;
  group.start(await_durable(runner, *ticket, done));
  settle(loop, pool);
  REQUIRE(store->stalled().has_value());
  for (int i = 0; i < 5; ++i) {
    loop.advance(stall_retry);
    settle(loop, pool);
    REQUIRE_FALSE(done.has_value());
  }
  REQUIRE_FALSE(store->failure().has_value());
  REQUIRE(add_object(*store, 2).failed_with(code));

  disk.no_more_failures();
  loop.advance(stall_retry);
  settle(loop, pool);
  REQUIRE(done.has_value());
  REQUIRE(done->has_value());
  REQUIRE_FALSE(store->stalled().has_value());
  REQUIRE_FALSE(loop.next_timer().has_value());
  REQUIRE(add_object(*store, 2).has_value());
  group.start(runner.drain());
  settle(loop, pool);
}

}  // namespace rowan::proxy
