// Power cuts at every step of the disk, against a plain model: what was acknowledged is there, and
// the state is that after some first part of the transactions applied.
#include <random>
#include <string>

#include "cache/store.h"
#include "tests/support/catch.h"
#include "tests/support/crash_world.h"
#include "tests/support/run_jobs.h"
#include "tests/support/seeds.h"
#include "tests/support/small_options.h"
#include "tests/support/store_history.h"

using namespace rowan;
using namespace rowan::cache;
using test::StoreModel;

namespace {

StoreOptions tiny_options(std::mt19937_64& random) {
  StoreOptions options;
  options.table = test::tiny_table(4096 << (random() % 3));
  options.eager_drops = random() % 2 == 0 ? 256 : 1;   // 1: truncations leave purge marks
  return options;
}

class World final : public test::CrashWorld<Store, StoreModel> {
 public:
  explicit World(std::uint64_t seed)
      : CrashWorld(seed, {.own_batches = true}), options_(tiny_options(random_)) {}

 private:
  Result<std::unique_ptr<Store>> create(Directory& root) override {
    return Store::create(root, options_);
  }
  Result<std::unique_ptr<Store>> open(Directory& root) override {
    return Store::open(root, options_);
  }
  void opened() override { (void)engine_->next_object(); }   // the one the history uses

  std::string compare(const StoreModel& model) override { return difference(*engine_, model); }
  std::string difference(Store& store, const StoreModel& model) {
    return test::difference(store, model, test::history_objects, test::history_file_size,
                            options_.eager_drops < 256);
  }

  std::string look_at(Directory& root, std::uint64_t) override {
    auto opened = Store::open(root, options_);
    if (!opened) return "opening: " + to_string(opened.error());
    auto store = std::move(*opened);
    std::string found = models_.problem_of_end(store->applied());
    if (found.empty()) found = difference(*store, models_.after(store->applied()));
    store.reset();
    return found.empty() ? test::check_whole(root) : found;
  }

  void change() override {
    transact();
    work_up_to(3);
    if (chance(0.3)) engine_->want_durable(engine_->applied());
  }

  void transact() {
    StoreModel next = models_.newest();
    Transaction transaction;
    history_.add_changes(transaction, next, [&] { return ++sequence_; });
    Result<Ticket> ticket = Errc::try_later;
    while (!ticket && problem.empty()) {
      ticket = test::loading(*engine_, [&] { return engine_->apply(transaction); });
      if (ticket.failed_with(Errc::try_later)) {
        engine_->want_durable(engine_->applied());
        work();
      } else if (!ticket) {
        problem = "apply: " + to_string(ticket.error());
      }
    }
    // A transaction that changes nothing makes no batch.
    if (!ticket || *ticket <= models_.last()) return;
    models_.repeat_through(*ticket - 1);
    models_.add(std::move(next));
  }

  StoreOptions options_;
  test::StoreHistory history_{random_};
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
