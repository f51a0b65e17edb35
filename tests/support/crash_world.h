// Lives of an engine (Table, Store, StoreFamily, Catalog) on a disk whose power may fail at every
// step, each of them ending so, against models of its batches. A test derives its world from this
// and says what an engine is, what is done with it, and how it is compared with a model.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "cache/file.h"
#include "rpc/base/result.h"
#include "tests/support/batch_models.h"
#include "tests/support/job_shuffle.h"
#include "tests/support/sim_disk.h"

namespace rowan::test {

struct CrashHabits {
  double slow_reads = 0.2;
  // It makes batches by itself, which change nothing that is modelled.
  bool own_batches = false;
  // The power fails again within so many steps of every third recovery; 0: never.
  std::uint64_t recovery_steps = 6;
};

template <class Engine, class Model>
class CrashWorld {
 public:
  CrashWorld(std::uint64_t seed, const CrashHabits& habits)
      : random_(seed), disk_(seed), habits_(habits) {
    plug_in();
  }
  CrashWorld(const CrashWorld&) = delete;
  virtual ~CrashWorld() = default;

  // One life: changes, jobs in any order, and at each step of the disk, with that chance, a look at
  // what a power cut then would leave. Ends with a power cut or kill -9.
  void live(int changes, double check_chance) {
    start();
    disk_.on_step([&] {
      if (chance(check_chance)) check_crash(random_());
    });
    for (int i = 0; i < changes && problem.empty(); ++i) change();
    if (problem.empty()) end();
    check_crash(random_());
    disk_.on_step({});
    let_go();
    jobs_.clear();
    engine_.reset();
    root_.reset();
    const bool killed = chance(0.5);
    disk_ = killed ? disk_.killed()
                   : disk_.crashed(random_(), chance(0.2) ? Loss::all : Loss::random);
    plug_in();
  }

  std::string problem;   // what went wrong first

 protected:
  // ---- what a test says

  virtual Result<std::unique_ptr<Engine>> create(cache::Directory& root) = 0;
  virtual Result<std::unique_ptr<Engine>> open(cache::Directory& root) = 0;
  // Of the engine that was made.
  virtual Model first_model() { return {}; }
  // engine_ has just been opened.
  virtual void opened() {}
  // Empty: engine_ is as the model says.
  virtual std::string compare(const Model& model) = 0;
  virtual void change() = 0;
  // Before the power fails for good.
  virtual void end() {
    if (chance(0.3)) close();
  }
  // Of what hangs on engine_, which goes next.
  virtual void let_go() {}
  // What is wrong with what a power cut left; empty: nothing.
  virtual std::string look_at(cache::Directory& root, std::uint64_t seed) = 0;
  // What is done while the power fails again.
  virtual void recover(cache::Directory& root) { (void)open(root); }
  // A job has been done.
  virtual void worked() {}

  // ---- what it says that with

  bool chance(double probability) {
    return std::uniform_real_distribution<>(0, 1)(random_) < probability;
  }

  // Gives out jobs and ends one of them, in any order.
  void work() {
    while (auto job = engine_->next_job()) {
      jobs_.add(std::move(job));
      if (chance(0.3)) break;
    }
    note_own_batches();
    std::unique_ptr<Job> job = jobs_.take();
    if (!job) return;
    job->run();
    engine_->complete(std::move(job));
    note_own_batches();
    models_.acknowledge(engine_->durable());
    if (engine_->failure()) problem = "failed: " + to_string(*engine_->failure());
    worked();
  }
  void work_up_to(std::uint64_t most) {
    for (std::uint64_t k = random_() % (most + 1); k > 0; --k) work();
  }

  void close() {
    engine_->prepare_close();
    while (engine_->busy() && problem.empty()) work();
    if (problem.empty() && engine_->durable() != engine_->applied())
      problem = "closed before everything was durable";
  }

  void note_own_batches() {
    if (habits_.own_batches) models_.repeat_through(engine_->applied());
  }

  std::mt19937_64 random_;
  SimDisk disk_;
  std::unique_ptr<Engine> engine_;
  JobShuffle jobs_{random_};
  BatchModels<Model> models_;

 private:
  void plug_in() {
    disk_.slow_reads(habits_.slow_reads);
    root_ = disk_.root();
  }

  void start() {
    Result<std::unique_ptr<Engine>> engine = models_.empty() ? create(*root_) : open(*root_);
    if (!engine) {
      problem = "opening: " + to_string(engine.error());
      return;
    }
    engine_ = std::move(*engine);
    opened();
    if (models_.empty()) models_.begin(engine_->applied(), first_model());
    const cache::Ticket found = engine_->applied();
    if (problem.empty()) problem = models_.problem_of_end(found);
    if (problem.empty()) problem = compare(models_.after(found));
    if (problem.empty()) models_.go_back_to(found);
  }

  void check_crash(std::uint64_t seed) {
    if (!problem.empty() || !engine_) return;
    models_.acknowledge(engine_->durable());
    SimDisk after = disk_.crashed(seed, seed % 7 == 0 ? Loss::all : Loss::random);
    if (habits_.recovery_steps != 0 && seed % 3 == 0) after = crashed_again(std::move(after), seed);
    auto root = after.root();
    problem = look_at(*root, seed);
    if (!problem.empty())
      problem +=
          " (crash " + std::to_string(seed) + " at step " + std::to_string(disk_.steps()) + ")";
  }

  // The machine dies again while it recovers.
  SimDisk crashed_again(SimDisk after, std::uint64_t seed) {
    auto root = after.root();
    std::optional<SimDisk> again;
    const std::uint64_t at = after.steps() + seed / 3 % habits_.recovery_steps;
    after.on_step([&] {
      if (after.steps() == at) again = after.crashed(seed + 1);
    });
    recover(*root);
    root.reset();
    after.on_step({});
    return again ? std::move(*again) : std::move(after);
  }

  CrashHabits habits_;
  std::unique_ptr<cache::Directory> root_;
};

}  // namespace rowan::test
