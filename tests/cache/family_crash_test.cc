// Random histories of a family of stores (transactions, background purges, checkpoints, branches,
// rollbacks, freezes, drops), power cuts at every step of the disk, against a plain model for each
// state. What was acknowledged is there, every state is that after some first part of the batches;
// once the background work is done, no space is used that no state needs.
#include <memory>
#include <random>
#include <string>

#include "cache/store_family.h"
#include "tests/support/catch.h"
#include "tests/support/crash_world.h"
#include "tests/support/run_jobs.h"
#include "tests/support/seeds.h"
#include "tests/support/small_options.h"
#include "tests/support/store_history.h"
#include "tests/support/versions_model.h"

using namespace rowan;
using namespace rowan::cache;
using test::loading;
using test::name_of;
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
  options.table = test::tiny_table(2048 << (random() % 5));
  options.eager_drops = random() % 2 == 0 ? 256 : 1;   // 1: truncations leave purge marks
  return options;
}

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

class World final : public test::CrashWorld<StoreFamily, Model> {
 public:
  explicit World(std::uint64_t seed)
      : CrashWorld(seed, {.slow_reads = 0.1, .own_batches = true, .recovery_steps = 12}),
        options_(tiny_options(random_)) {}

 private:
  Result<std::unique_ptr<StoreFamily>> create(Directory& root) override {
    return StoreFamily::create(root, options_);
  }
  Result<std::unique_ptr<StoreFamily>> open(Directory& root) override {
    return StoreFamily::open(root, options_);
  }
  Model first_model() override {
    return {{first_state, {true, "", std::make_shared<const StoreModel>()}}};
  }
  void opened() override { heads_ = open_heads(*engine_, problem); }
  void let_go() override { heads_.clear(); }
  std::string compare(const Model& model) override {
    return difference(*engine_, heads_, model, false);
  }
  // What was dropped is given back meanwhile.
  void recover(Directory& root) override {
    if (auto family = StoreFamily::open(root, options_)) test::run_jobs(**family);
  }

  std::string look_at(Directory& root, std::uint64_t seed) override {
    auto opened = StoreFamily::open(root, options_);
    if (!opened) return "opening: " + to_string(opened.error());
    auto family = std::move(*opened);
    std::string found;
    Stores heads = open_heads(*family, found);
    const Ticket ticket = family->applied();
    if (found.empty()) found = models_.problem_of_end(ticket);
    if (found.empty()) found = difference(*family, heads, models_.after(ticket), false);
    if (found.empty() && seed % 2 == 0) {
      test::make_durable(*family, family->applied());
      found = test::leftovers(family->states());
      if (found.empty()) found = difference(*family, heads, models_.after(ticket), true);
      if (seed % 4 == 0) test::close_cleanly(*family);
    }
    heads.clear();
    family.reset();
    return found.empty() ? test::check_whole(root) : found;
  }

  void change() override {
    act();
    work_up_to(3);
    if (chance(0.3)) engine_->want_durable(engine_->applied());
    if (chance(0.03)) run_all();
  }

  void run_all() {
    engine_->want_durable(engine_->applied());
    while (problem.empty()) {
      work();
      if (jobs_.empty() && !engine_->busy()) break;
    }
    if (problem.empty()) problem = test::leftovers(engine_->states());
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
      auto answer = loading(*engine_, call);
      if (!answer.failed_with(Errc::try_later) || !problem.empty()) return answer;
      engine_->want_durable(engine_->applied());
      work();
    }
  }

  void act() {
    const std::uint64_t kind = random_() % 100;
    const Model& now = models_.newest();
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
    Model next = models_.newest();
    change(next);
    models_.add(std::move(next));
  }

  Result<void> transact(StateId head) {
    StoreModel content = *models_.newest().at(head).content;
    Transaction transaction;
    Store& store = *heads_.at(head);
    history_.add_changes(transaction, content, [&] { return store.next_sequence(); });
    TRY(const Ticket ticket, patiently([&] { return store.apply(transaction); }));
    // A transaction that changes nothing makes no batch.
    if (ticket <= models_.last()) return {};
    note([&](Model& next) {
      next[head].content = std::make_shared<const StoreModel>(std::move(content));
    });
    return {};
  }

  Result<void> add_state() {
    const StateId head = pick(models_.newest(), true), other = pick(models_.newest(), false);
    const std::string label = "label " + std::to_string(random_() % 1000);
    const std::uint64_t kind = random_() % 10;
    if (head == no_state ? other == no_state : other == no_state && kind >= 5) return {};
    if (kind < 5 && head != no_state) return checkpoint(head, label);
    if (kind < 7 && head != no_state) return roll_back(head, other, label);
    if (kind < 9 || head == no_state) return branch(other, label);
    return freeze(head, label);
  }

  Result<void> checkpoint(StateId head, const std::string& label) {
    TRY(const StateId made, patiently([&] { return engine_->checkpoint(head, label); }));
    note([&](Model& next) { next[made] = {false, label, next[head].content}; });
    return {};
  }

  Result<void> roll_back(StateId head, StateId to, const std::string& label) {
    TRY(const StateId made, patiently([&] { return engine_->rollback(head, to, label); }));
    note([&](Model& next) {
      next[made] = {false, label, next[head].content};
      next[head].content = next[to].content;
    });
    return {};
  }

  Result<void> branch(StateId from, const std::string& label) {
    TRY(const StateId made, patiently([&] { return engine_->branch(from, label); }));
    note([&](Model& next) { next[made] = {true, label, next[from].content}; });
    TRY(heads_[made], loading(*engine_, [&] { return engine_->store(made); }));
    (void)heads_[made]->next_object();
    return {};
  }

  Result<void> freeze(StateId head, const std::string& label) {
    TRY_VOID(patiently([&] { return engine_->freeze(head, label); }));
    heads_.erase(head);
    note([&](Model& next) {
      next[head].head = false;
      next[head].label = label;
    });
    return {};
  }

  Result<void> drop() {
    if (models_.newest().size() == 1) return {};
    const StateId id = pick(models_.newest(), chance(0.25));
    if (id == no_state) return {};
    TRY_VOID(patiently([&] { return engine_->drop(id); }));
    heads_.erase(id);
    note([&](Model& next) { next.erase(id); });
    return {};
  }

  Result<void> label() {
    const StateId id = pick(models_.newest(), chance(0.5));
    if (id == no_state) return {};
    const std::string text = "new label " + std::to_string(random_() % 1000);
    TRY_VOID(patiently([&] { return engine_->set_label(id, text); }));
    note([&](Model& next) { next[id].label = text; });
    return {};
  }

  StoreOptions options_;
  test::StoreHistory history_{random_};
  Stores heads_;
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
