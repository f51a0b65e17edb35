// Power cuts at every step of the disk, against a plain model: what was acknowledged is there, and
// the state is that after some first part of the transactions applied.
#include <deque>
#include <random>
#include <string>

#include "cache/checker.h"
#include "cache/store.h"
#include "tests/support/catch.h"
#include "tests/support/run_jobs.h"
#include "tests/support/seeds.h"
#include "tests/support/sim_disk.h"
#include "tests/support/store_history.h"

using namespace rowan;
using namespace rowan::cache;
using test::Loss;
using test::SimDisk;
using test::StoreModel;

namespace {

StoreOptions tiny_options(std::mt19937_64& random) {
  StoreOptions options;
  options.table.memory_table_bytes = 4096 << (random() % 3);
  options.table.pending_bytes = 256 << 10;
  options.table.page_cache_bytes = 64 << 10;
  options.table.segment_bytes = 8 << 20;
  options.table.reserve_bytes = 64 << 10;
  options.eager_drops = random() % 2 == 0 ? 256 : 1;   // 1: truncations leave purge marks
  return options;
}

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed), disk_(seed) {
    options_ = tiny_options(random_);
    disk_.slow_reads(0.2);
    root_ = disk_.root();
  }

  // One life: transactions, jobs in random order, crash checks on the way; ends with a power cut or
  // kill -9.
  void live(int transactions, double check_chance) {
    open();
    disk_.on_step([&] {
      if (chance(check_chance)) check_crash(random_());
    });
    for (int i = 0; i < transactions && problem.empty(); ++i) {
      transact();
      for (int k = static_cast<int>(random_() % 4); k > 0; --k) work();
      if (chance(0.3)) store_->want_durable(store_->applied());
    }
    if (chance(0.3)) close();
    check_crash(random_());
    disk_.on_step({});
    jobs_.clear();
    store_.reset();
    root_.reset();
    if (chance(0.5)) {
      disk_ = disk_.killed();
    } else {
      disk_ = disk_.crashed(random_(), chance(0.2) ? Loss::all : Loss::random);
    }
    disk_.slow_reads(0.2);
    root_ = disk_.root();
  }

  std::string problem;

 private:
  bool chance(double probability) {
    return std::uniform_real_distribution<>(0, 1)(random_) < probability;
  }

  void open() {
    auto store = states_.empty() ? Store::create(*root_, options_) : Store::open(*root_, options_);
    if (!store) {
      problem = "opening: " + to_string(store.error());
      return;
    }
    store_ = std::move(*store);
    (void)store_->next_object();  // the one the model uses
    if (states_.empty()) {
      first_ = store_->applied();
      states_.push_back({});
    } else {
      forget_lost();
    }
  }

  // After a crash the model goes back to the state that was found.
  void forget_lost() {
    const Ticket found = store_->applied();
    problem = compare(*store_, found);
    while (problem.empty() && first_ + states_.size() - 1 > found) states_.pop_back();
    acknowledged_ = found;
  }

  const StoreModel& state(Ticket ticket) const { return states_[ticket - first_]; }

  std::string compare(Store& store, Ticket ticket) {
    if (ticket < acknowledged_)
      return "batch " + std::to_string(acknowledged_) +
             " was acknowledged, but the store ends at " + std::to_string(ticket);
    if (ticket < first_ || ticket - first_ >= states_.size())
      return "a store of " + std::to_string(ticket) + " batches";
    return test::difference(store, state(ticket), test::history_objects, test::history_file_size,
                            options_.eager_drops < 256);
  }

  void check_crash(std::uint64_t seed) {
    if (!problem.empty() || !store_) return;
    acknowledged_ = std::max(acknowledged_, store_->durable());
    SimDisk after = disk_.crashed(seed, seed % 7 == 0 ? Loss::all : Loss::random);
    // Now and then the machine dies again while it recovers.
    if (seed % 3 == 0) {
      auto root = after.root();
      std::optional<SimDisk> again;
      const std::uint64_t at = after.steps() + seed / 3 % 6;
      after.on_step([&] {
        if (after.steps() == at) again = after.crashed(seed + 1);
      });
      (void)Store::open(*root, options_);
      root.reset();
      after.on_step({});
      if (again) after = std::move(*again);
    }
    auto root = after.root();
    auto store = Store::open(*root, options_);
    problem =
        store ? compare(**store, (*store)->applied()) : "opening: " + to_string(store.error());
    if (store) {
      store->reset();
      if (problem.empty()) problem = check(*root);
    }
    if (!problem.empty())
      problem +=
          " (crash " + std::to_string(seed) + " at step " + std::to_string(disk_.steps()) + ")";
  }

  static std::string check(Directory& root) {
    auto report = check_store(root, {.data = true});
    if (!report) return "check: " + to_string(report.error());
    return report->healthy() ? "" : "check: " + report->findings.front();
  }

  // Gives out jobs and ends one of them, in any order.
  void work() {
    while (auto job = store_->next_job()) {
      note_background(store_->applied());
      jobs_.push_back(std::move(job));
      if (chance(0.3)) break;
    }
    if (jobs_.empty()) return;
    const std::size_t chosen = random_() % jobs_.size();
    std::unique_ptr<Job> job = std::move(jobs_[chosen]);
    jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(chosen));
    job->run();
    store_->complete(std::move(job));
    note_background(store_->applied());
    // While other jobs are under way the old files may be needed: keep states from the durable one
    // on.
    acknowledged_ = std::max(acknowledged_, store_->durable());
    while (first_ < acknowledged_) {
      states_.pop_front();
      ++first_;
    }
  }

  // Batches of the store's own, which change nothing that it shows.
  void note_background(Ticket through) {
    while (first_ + states_.size() <= through) states_.push_back(states_.back());
  }

  void close() {
    store_->prepare_close();
    while (store_->busy() && problem.empty()) work();
    if (store_->durable() != store_->applied()) problem = "closed before everything was durable";
  }

  void transact() {
    StoreModel next = states_.back();
    Transaction transaction;
    history_.add_changes(transaction, next, [&] { return ++sequence_; });
    Result<Ticket> ticket = Errc::try_later;
    while (!ticket && problem.empty()) {
      ticket = test::loading(*store_, [&] { return store_->apply(transaction); });
      if (ticket.failed_with(Errc::try_later)) {
        store_->want_durable(store_->applied());
        work();
      } else if (!ticket) {
        problem = "apply: " + to_string(ticket.error());
      }
    }
    // A transaction that changes nothing makes no batch.
    if (!ticket || *ticket < first_ + states_.size()) return;
    note_background(*ticket - 1);
    states_.push_back(std::move(next));
  }

  std::mt19937_64 random_;
  SimDisk disk_;
  std::unique_ptr<Directory> root_;
  test::StoreHistory history_{random_};
  StoreOptions options_;
  std::unique_ptr<Store> store_;
  std::vector<std::unique_ptr<Job>> jobs_;
  std::deque<StoreModel> states_;  // after ticket first_, first_ + 1, ...
  Ticket first_ = 0, acknowledged_ = 0;
  std::uint64_t sequence_ = 1000;
};

}  // namespace

TEST_CASE(
    "a power cut at any step leaves a first part of the transactions, acknowledged ones included") {
  for (const std::uint64_t seed : test::seeds(50)) {
    World world(seed);
    for (int life = 0; life < 3 && world.problem.empty(); ++life) world.live(30, 0.25);
    if (!world.problem.empty()) FAIL("seed " << seed << ": " << world.problem);
  }
  SUCCEED();
}
