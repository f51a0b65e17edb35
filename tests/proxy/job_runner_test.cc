#include "proxy/job_runner.h"

#include <catch2/catch.hpp>
#include <deque>
#include <optional>
#include <set>

#include "tests/support/manual_loop.h"

namespace rowan::proxy {
namespace {

using test::ManualDiskPool;
using test::ManualLoop;
using test::run_task;
using test::settle;

// An engine whose jobs do nothing but carry what they were for.
class FakeEngine {
 public:
  struct FakeJob final : Job {
    void run() noexcept override { ran = true; }
    bool ran = false;
    std::uint64_t ticket = 0;
    std::optional<int> page;
  };

  Result<int> ask(int page) {
    if (loaded.contains(page)) return page * 10;
    wanted_page_ = page;
    return Errc::needs_load;
  }
  std::unique_ptr<Job> take_load() {
    if (!wanted_page_ || loading_.contains(*wanted_page_)) return nullptr;
    auto job = std::make_unique<FakeJob>();
    job->page = wanted_page_;
    loading_.insert(*wanted_page_);
    ++loads;
    return job;
  }
  std::uint64_t change() { return ++applied_; }
  void want_durable(std::uint64_t ticket) { wanted_ = std::max(wanted_, ticket); }
  std::uint64_t durable() const { return durable_; }
  const std::optional<Error>& failure() const { return failure_; }
  std::unique_ptr<Job> next_job() {
    if (syncing_ || failure_ || wanted_ <= durable_) return nullptr;
    auto job = std::make_unique<FakeJob>();
    job->ticket = applied_;
    syncing_ = true;
    ++syncs;
    return job;
  }
  void complete(std::unique_ptr<Job> job) {
    auto& fake = static_cast<FakeJob&>(*job);
    CHECK(fake.ran);
    if (fake.page) {
      loading_.erase(*fake.page);
      if (!forget_loads) loaded.insert(*fake.page);
      return;
    }
    syncing_ = false;
    if (fail_next_sync) failure_ = Error(Errc::io, "the disk is gone");
    else durable_ = fake.ticket;
  }

  std::set<int> loaded;
  bool forget_loads = false;
  bool fail_next_sync = false;
  int loads = 0, syncs = 0;

 private:
  std::optional<int> wanted_page_;
  std::set<int> loading_;
  std::uint64_t applied_ = 0, wanted_ = 0, durable_ = 0;
  bool syncing_ = false;
  std::optional<Error> failure_;
};

struct Bench {
  ManualLoop loop;
  ManualDiskPool disk;
  FakeEngine engine;
  JobRunner<FakeEngine> runner{loop, disk, engine};
};

Task<void> await_durable(JobRunner<FakeEngine>& runner, std::uint64_t ticket,
                         std::vector<Result<void>>& out) {
  out.push_back(co_await runner.durable(ticket));
}

Task<Result<int>> ask(Bench& bench, int page) {
  auto question = [&bench, page] { return bench.engine.ask(page); };
  co_return co_await bench.runner.with_loads(question);
}

Task<void> collect(Bench& bench, int page, std::vector<int>& out) {
  Result<int> answer = co_await ask(bench, page);
  out.push_back(*answer);
}

}  // namespace

TEST_CASE("changes of one turn of the loop share one sync") {
  Bench bench;
  std::vector<Result<void>> done;
  TaskGroup group;
  for (int i = 0; i < 16; ++i) {
    group.start(await_durable(bench.runner, bench.engine.change(), done));
  }
  settle(bench.loop, bench.disk);
  REQUIRE(done.size() == 16);
  for (const auto& result : done) REQUIRE(result.has_value());
  REQUIRE(bench.engine.syncs == 1);
}

TEST_CASE("a ticket that came during a sync waits for the next one") {
  Bench bench;
  std::vector<Result<void>> done;
  TaskGroup group;
  group.start(await_durable(bench.runner, bench.engine.change(), done));
  bench.loop.run();
  group.start(await_durable(bench.runner, bench.engine.change(), done));
  bench.loop.run();
  REQUIRE(bench.disk.run_one());
  bench.loop.run();
  REQUIRE(done.size() == 1);
  settle(bench.loop, bench.disk);
  REQUIRE(done.size() == 2);
  REQUIRE(bench.engine.syncs == 2);
}

TEST_CASE("a failed sync reaches everyone who waits, and later comers") {
  Bench bench;
  bench.engine.fail_next_sync = true;
  std::vector<Result<void>> done;
  TaskGroup group;
  group.start(await_durable(bench.runner, bench.engine.change(), done));
  group.start(await_durable(bench.runner, bench.engine.change(), done));
  settle(bench.loop, bench.disk);
  group.start(await_durable(bench.runner, bench.engine.change(), done));
  settle(bench.loop, bench.disk);
  REQUIRE(done.size() == 3);
  for (const auto& result : done) REQUIRE(result.failed_with(Errc::io));
}

TEST_CASE("a durable ticket is answered without any job") {
  Bench bench;
  REQUIRE(run_task(bench.loop, bench.disk, bench.runner.durable(0)).has_value());
  REQUIRE(bench.engine.syncs == 0);
}

TEST_CASE("a question is asked again after its load, and two askers share one") {
  Bench bench;
  std::vector<int> answers;
  TaskGroup group;
  group.start(collect(bench, 7, answers));
  group.start(collect(bench, 7, answers));
  group.start(collect(bench, 8, answers));
  settle(bench.loop, bench.disk);
  REQUIRE(answers.size() == 3);
  REQUIRE(bench.engine.loads == 2);
}

TEST_CASE("a question that is never satisfied is put off, not repeated for ever") {
  Bench bench;
  bench.engine.forget_loads = true;
  Result<int> answer = run_task(bench.loop, bench.disk, ask(bench, 7));
  REQUIRE(answer.failed_with(Errc::try_later));
  REQUIRE(bench.engine.loads == static_cast<int>(max_loads_per_answer));
}

TEST_CASE("drain waits for the jobs that are out and those they lead to") {
  Bench bench;
  std::vector<Result<void>> done;
  TaskGroup group;
  group.start(await_durable(bench.runner, bench.engine.change(), done));
  bool drained = false;
  auto body = [](JobRunner<FakeEngine>& runner, bool& flag) -> Task<void> {
    co_await runner.drain();
    flag = true;
  };
  group.start(body(bench.runner, drained));
  bench.loop.run();
  REQUIRE_FALSE(drained);
  REQUIRE(bench.runner.jobs_in_flight() == 1);
  settle(bench.loop, bench.disk);
  REQUIRE(drained);
  REQUIRE(bench.runner.jobs_in_flight() == 0);
}

}  // namespace rowan::proxy
