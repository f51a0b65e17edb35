// Random histories of a family of stores (transactions, background purges, checkpoints, branches,
// rollbacks, freezes, drops), power cuts at every step of the disk, against a plain model for each
// state. What was acknowledged is there, every state is that after some first part of the batches;
// once the background work is done, no space is used that no state needs.
#include <deque>
#include <memory>
#include <random>
#include <string>

#include "cache/checker.h"
#include "cache/store_family.h"
#include "tests/support/catch.h"
#include "tests/support/job_shuffle.h"
#include "tests/support/run_jobs.h"
#include "tests/support/seeds.h"
#include "tests/support/sim_disk.h"
#include "tests/support/store_history.h"

using namespace rowan;
using namespace rowan::cache;
using test::loading;
using test::Loss;
using test::SimDisk;
using test::StoreModel;

namespace {

constexpr std::size_t most_states = 7;

struct ModelState {
  bool head = true;
  std::string label;
  std::shared_ptr<const StoreModel> content;
};
using Model = std::map<StateId, ModelState>;   // without dropped states
using Stores = std::map<StateId, std::unique_ptr<Store>>;

StoreOptions tiny_options(std::mt19937_64& random) {
  StoreOptions options;
  options.table.memory_table_bytes = 2048 << (random() % 5);
  options.table.pending_bytes = 256 << 10;
  options.table.page_cache_bytes = 64 << 10;
  options.table.segment_bytes = 8 << 20;
  options.table.reserve_bytes = 64 << 10;
  options.eager_drops = random() % 2 == 0 ? 256 : 1;   // 1: truncations leave purge marks
  return options;
}

std::string name_of(StateId id) { return "state " + std::to_string(to_number(id)); }

// The stores of all heads; empty if one of them could not be opened.
Stores open_heads(StoreFamily& family, std::string& problem) {
  Stores stores;
  for (const StateInfo& info : family.states()) {
    if (!info.head || info.dropped) continue;
    auto store = loading(family, [&] { return family.store(info.id); });
    if (!store) {
      problem = name_of(info.id) + ": " + to_string(store.error());
      return {};
    }
    (void)(*store)->next_object();   // the one that the history uses
    stores[info.id] = std::move(*store);
  }
  return stores;
}

std::string described_otherwise(const StoreFamily& family, const Model& model) {
  std::size_t visible = 0;
  for (const StateInfo& info : family.states()) {
    if (info.dropped) continue;
    ++visible;
    const auto state = model.find(info.id);
    if (state == model.end()) return name_of(info.id) + " was dropped";
    if (info.head != state->second.head || info.label != state->second.label)
      return name_of(info.id) + " is described otherwise";
  }
  return visible == model.size() ? "" : std::to_string(visible) + " states";
}

// `settled`: the background work of the heads is done.
std::string difference(StoreFamily& family, const Stores& heads, const Model& model,
                       bool settled) {
  std::string found = described_otherwise(family, model);
  if (!found.empty()) return found;
  for (const auto& [id, state] : model) {
    std::unique_ptr<Store> frozen;
    if (!state.head) {
      auto store = loading(family, [&] { return family.store(id); });
      if (!store) return name_of(id) + ": " + to_string(store.error());
      frozen = std::move(*store);
    }
    Store& store = frozen ? *frozen : *heads.at(id);
    found = test::difference(store, *state.content, test::history_objects,
                             test::history_file_size, frozen || !settled);
    if (!found.empty()) return name_of(id) + ": " + found;
  }
  return "";
}

// Nothing that could be given back is left.
std::string leftovers(const StoreFamily& family) {
  std::map<StateId, int> children;
  for (const StateInfo& info : family.states()) ++children[info.parent];
  for (const StateInfo& info : family.states()) {
    if (info.dropped && children[info.id] < 2) return name_of(info.id) + " was not given back";
  }
  return "";
}

std::string check(Directory& root) {
  auto report = check_store(root, {.data = true});
  if (!report) return "check: " + to_string(report.error());
  return report->healthy() ? "" : "check: " + report->findings.front();
}

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed), disk_(seed) {
    options_ = tiny_options(random_);
    disk_.slow_reads(0.1);
    root_ = disk_.root();
  }

  // One life: changes, jobs in random order, crash checks on the way; ends with a power cut or
  // kill -9.
  void live(int steps, double check_chance) {
    open();
    disk_.on_step([&] {
      if (chance(check_chance)) check_crash(random_());
    });
    for (int i = 0; i < steps && problem.empty(); ++i) {
      act();
      for (int k = static_cast<int>(random_() % 4); k > 0; --k) work();
      if (chance(0.3)) family_->want_durable(family_->applied());
      if (chance(0.03)) run_all();
    }
    if (problem.empty() && chance(0.3)) close();
    check_crash(random_());
    disk_.on_step({});
    end();
    if (chance(0.5)) {
      disk_ = disk_.killed();
    } else {
      disk_ = disk_.crashed(random_(), chance(0.2) ? Loss::all : Loss::random);
    }
    disk_.slow_reads(0.1);
    root_ = disk_.root();
  }

  std::string problem;

 private:
  bool chance(double probability) {
    return std::uniform_real_distribution<>(0, 1)(random_) < probability;
  }

  void end() {
    jobs_.clear();
    heads_.clear();
    family_.reset();
    root_.reset();
  }

  void open() {
    auto family = models_.empty() ? StoreFamily::create(*root_, options_)
                                  : StoreFamily::open(*root_, options_);
    if (!family) {
      problem = "opening: " + to_string(family.error());
      return;
    }
    family_ = std::move(*family);
    heads_ = open_heads(*family_, problem);
    if (models_.empty()) {
      first_ = acknowledged_ = family_->applied();
      models_.push_back({{first_state, {true, "", std::make_shared<const StoreModel>()}}});
      return;
    }
    const Ticket found = family_->applied();
    if (problem.empty()) problem = compare(*family_, heads_, found, false);
    while (problem.empty() && first_ + models_.size() - 1 > found) models_.pop_back();
    acknowledged_ = found;
  }

  std::string compare(StoreFamily& family, const Stores& heads, Ticket ticket, bool settled) {
    if (ticket < acknowledged_)
      return "batch " + std::to_string(acknowledged_) +
             " was acknowledged, but the family ends at " + std::to_string(ticket);
    if (ticket < first_ || ticket - first_ >= models_.size())
      return "a family of " + std::to_string(ticket) + " batches";
    return difference(family, heads, models_[ticket - first_], settled);
  }

  void check_crash(std::uint64_t seed) {
    if (!problem.empty() || !family_) return;
    acknowledged_ = std::max(acknowledged_, family_->durable());
    SimDisk after = disk_.crashed(seed, seed % 7 == 0 ? Loss::all : Loss::random);
    if (seed % 3 == 0) after = crashed_again(std::move(after), seed);
    problem = look_at(after, seed);
    if (!problem.empty())
      problem +=
          " (crash " + std::to_string(seed) + " at step " + std::to_string(disk_.steps()) + ")";
  }

  // The machine dies again while it recovers, or gives back what was dropped.
  SimDisk crashed_again(SimDisk after, std::uint64_t seed) {
    auto root = after.root();
    std::optional<SimDisk> again;
    const std::uint64_t at = after.steps() + seed / 3 % 12;
    after.on_step([&] {
      if (after.steps() == at) again = after.crashed(seed + 1);
    });
    if (auto family = StoreFamily::open(*root, options_)) test::run_jobs(**family);
    root.reset();
    after.on_step({});
    return again ? std::move(*again) : std::move(after);
  }

  std::string look_at(SimDisk& disk, std::uint64_t seed) {
    auto root = disk.root();
    auto opened = StoreFamily::open(*root, options_);
    if (!opened) return "opening: " + to_string(opened.error());
    auto family = std::move(*opened);
    std::string found;
    Stores heads = open_heads(*family, found);
    const Ticket ticket = family->applied();
    if (found.empty()) found = compare(*family, heads, ticket, false);
    if (found.empty() && seed % 2 == 0) {
      test::make_durable(*family, family->applied());
      found = leftovers(*family);
      if (found.empty()) found = compare(*family, heads, ticket, true);
      if (seed % 4 == 0) test::close_cleanly(*family);
    }
    heads.clear();
    family.reset();
    return found.empty() ? check(*root) : found;
  }

  // ---- background work

  // Batches of the stores' own, which change nothing that they show.
  void note_background() {
    while (first_ + models_.size() <= family_->applied()) models_.push_back(models_.back());
  }

  // Gives out jobs and ends one of them, in any order.
  void work() {
    while (auto job = family_->next_job()) {
      note_background();
      jobs_.add(std::move(job));
      if (chance(0.3)) break;
    }
    note_background();
    std::unique_ptr<Job> job = jobs_.take();
    if (!job) return;
    job->run();
    family_->complete(std::move(job));
    acknowledged_ = std::max(acknowledged_, family_->durable());
    while (first_ < acknowledged_) {
      models_.pop_front();
      ++first_;
    }
    if (family_->failure()) problem = "failed: " + to_string(*family_->failure());
  }

  void run_all() {
    family_->want_durable(family_->applied());
    while (problem.empty()) {
      work();
      if (jobs_.empty() && !family_->busy()) break;
    }
    if (problem.empty()) problem = leftovers(*family_);
  }

  void close() {
    family_->prepare_close();
    while (family_->busy() && problem.empty()) work();
    if (family_->durable() != family_->applied())
      problem = "closed before everything was durable";
  }

  // ---- the history

  StateId pick(const Model& model, bool head) {
    std::vector<StateId> found;
    for (const auto& [id, state] : model) {
      if (state.head == head) found.push_back(id);
    }
    return found.empty() ? no_state : found[random_() % found.size()];
  }

  // A call that may need loads, or room for what it adds.
  template <class Call>
  auto patiently(Call call) {
    while (true) {
      auto answer = loading(*family_, call);
      if (!answer.failed_with(Errc::try_later) || !problem.empty()) return answer;
      family_->want_durable(family_->applied());
      work();
    }
  }

  void act() {
    const std::uint64_t kind = random_() % 100;
    const Model& now = models_.back();
    const bool many = now.size() >= most_states;
    const StateId head = pick(now, true);
    Result<void> result;
    if (kind < 65 && head != no_state) result = transact(head);
    else if (kind < 85 && !many) result = add_state();
    else if (kind < 97 || many) result = drop();
    else result = label();
    if (!result) problem = "an operation: " + to_string(result.error());
  }

  // What the last batch, which `change` made, did.
  template <class Change>
  void note(Change change) {
    Model next = models_.back();
    change(next);
    models_.push_back(std::move(next));
  }

  Result<void> transact(StateId head) {
    StoreModel content = *models_.back()[head].content;
    Transaction transaction;
    Store& store = *heads_.at(head);
    history_.add_changes(transaction, content, [&] { return store.next_sequence(); });
    TRY(const Ticket ticket, patiently([&] { return store.apply(transaction); }));
    // A transaction that changes nothing makes no batch.
    if (ticket < first_ + models_.size()) return {};
    note([&](Model& next) {
      next[head].content = std::make_shared<const StoreModel>(std::move(content));
    });
    return {};
  }

  Result<void> add_state() {
    const StateId head = pick(models_.back(), true), other = pick(models_.back(), false);
    const std::string label = "label " + std::to_string(random_() % 1000);
    const std::uint64_t kind = random_() % 10;
    if (head == no_state ? other == no_state : other == no_state && kind >= 5) return {};
    if (kind < 5 && head != no_state) return checkpoint(head, label);
    if (kind < 7 && head != no_state) return roll_back(head, other, label);
    if (kind < 9 || head == no_state) return branch(other, label);
    return freeze(head, label);
  }

  Result<void> checkpoint(StateId head, const std::string& label) {
    TRY(const StateId made, patiently([&] { return family_->checkpoint(head, label); }));
    note([&](Model& next) { next[made] = {false, label, next[head].content}; });
    return {};
  }

  Result<void> roll_back(StateId head, StateId to, const std::string& label) {
    TRY(const StateId made, patiently([&] { return family_->rollback(head, to, label); }));
    note([&](Model& next) {
      next[made] = {false, label, next[head].content};
      next[head].content = next[to].content;
    });
    return {};
  }

  Result<void> branch(StateId from, const std::string& label) {
    TRY(const StateId made, patiently([&] { return family_->branch(from, label); }));
    note([&](Model& next) { next[made] = {true, label, next[from].content}; });
    TRY(heads_[made], loading(*family_, [&] { return family_->store(made); }));
    (void)heads_[made]->next_object();
    return {};
  }

  Result<void> freeze(StateId head, const std::string& label) {
    TRY_VOID(patiently([&] { return family_->freeze(head, label); }));
    heads_.erase(head);
    note([&](Model& next) {
      next[head].head = false;
      next[head].label = label;
    });
    return {};
  }

  Result<void> drop() {
    if (models_.back().size() == 1) return {};
    const StateId id = pick(models_.back(), chance(0.25));
    if (id == no_state) return {};
    TRY_VOID(patiently([&] { return family_->drop(id); }));
    heads_.erase(id);
    note([&](Model& next) { next.erase(id); });
    return {};
  }

  Result<void> label() {
    const StateId id = pick(models_.back(), chance(0.5));
    if (id == no_state) return {};
    const std::string text = "new label " + std::to_string(random_() % 1000);
    TRY_VOID(patiently([&] { return family_->set_label(id, text); }));
    note([&](Model& next) { next[id].label = text; });
    return {};
  }

  std::mt19937_64 random_;
  SimDisk disk_;
  std::unique_ptr<Directory> root_;
  test::StoreHistory history_{random_};
  StoreOptions options_;
  std::unique_ptr<StoreFamily> family_;
  Stores heads_;
  test::JobShuffle jobs_{random_};
  std::deque<Model> models_;   // after ticket first_, first_ + 1, ...
  Ticket first_ = 0, acknowledged_ = 0;
};

}  // namespace

TEST_CASE("a power cut at any step leaves each store of a family as it was after some first part "
          "of the batches, and nothing leaks") {
  for (const std::uint64_t seed : test::seeds(50)) {
    World world(seed);
    for (int life = 0; life < 3 && world.problem.empty(); ++life) world.live(40, 0.12);
    if (!world.problem.empty()) FAIL("seed " << seed << ": " << world.problem);
  }
  SUCCEED();
}
