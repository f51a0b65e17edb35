// Random histories of several states, power cuts at every step of the disk, against a plain model:
// a map for each state. What was acknowledged is there in every state; the states are those after
// some first part of the batches; and whatever was dropped, the checker finds every page and every
// data block referred to exactly as often as it is counted. Pinned states stay as they were, and
// what differs between two of them is named exactly.
#include <memory>
#include <random>
#include <string>

#include "cache/table_page.h"
#include "cache/table_versions.h"
#include "tests/support/catch.h"
#include "tests/support/crash_world.h"
#include "tests/support/run_jobs.h"
#include "tests/support/seeds.h"
#include "tests/support/small_options.h"
#include "tests/support/versions_model.h"

using namespace rowan;
using namespace rowan::cache;
using test::name_of;
using test::TableContent;

namespace {

constexpr std::size_t most_states = 9;

struct ModelState {
  bool head = true;
  StateId parent = no_state;   // not dropped, or none: whoever is nearest
  std::string label;
  std::shared_ptr<const TableContent> content;
};
using Model = std::map<StateId, ModelState>;   // without dropped states

TableOptions tiny_options(std::mt19937_64& random) {
  TableOptions options = test::tiny_table(2048 << (random() % 5));
  options.find_data = test::find_model_data;
  return options;
}

// The nearest ancestor that is not dropped, as the model knows parents.
StateId visible_parent(const std::map<StateId, StateInfo>& all, StateId id) {
  StateId parent = all.at(id).parent;
  while (parent != no_state && all.at(parent).dropped) parent = all.at(parent).parent;
  return parent;
}

std::string difference(VersionedTable& table, const Model& model) {
  std::map<StateId, StateInfo> all;
  std::size_t visible = 0;
  for (const StateInfo& info : table.states()) {
    all[info.id] = info;
    visible += info.dropped ? 0 : 1;
  }
  if (visible != model.size()) return std::to_string(visible) + " states";
  for (const auto& [id, state] : model) {
    const auto found = all.find(id);
    if (found == all.end() || found->second.dropped) return name_of(id) + " is gone";
    if (found->second.head != state.head || found->second.label != state.label)
      return name_of(id) + " is described otherwise";
    if (visible_parent(all, id) != state.parent) return name_of(id) + " has another parent";
    auto view = table.view(id);
    auto content = test::content_of(*view);
    if (!content) return name_of(id) + ": " + to_string(content.error());
    if (*content == *state.content) continue;
    for (const auto& [key, value] : *state.content) {
      if (!content->contains(key)) return name_of(id) + " lost " + key;
      if (content->at(key) != value)
        return name_of(id) + " has " + key + " = " + content->at(key) + " instead of " + value;
    }
    return name_of(id) + " has too much";
  }
  return "";
}

using Records = std::map<std::string, std::string>;

Result<Records> records_of(Table& view) {
  Records records;
  std::string from = "\1";
  while (true) {
    TRY(const auto entries, test::loading(view, [&] { return view.scan(from, "\xff", 50); }));
    for (const TableEntry& entry : entries) records.emplace(entry.key, entry.value);
    if (entries.size() < 50) return records;
    from = entries.back().key + '\0';
  }
}

// A checkpoint that is pinned, and what it held then. It may have been dropped since.
struct Pinned {
  std::unique_ptr<StatePin> pin;
  Records records;
};

// The changes that a diff names must lead from one to the other, and name nothing that is the same.
std::string diff_problem(VersionedTable& table, const Pinned* before, const Pinned& after) {
  Records records = before != nullptr ? before->records : Records{};
  const std::string names = (before != nullptr ? name_of(before->pin->state()) : "nothing") +
                            " to " + name_of(after.pin->state()) + ": ";
  auto diff = table.diff(before != nullptr ? before->pin.get() : nullptr, *after.pin);
  std::vector<TableDifference> found;
  while (true) {
    auto more = diff->step(3, 7, found);
    if (!more) return names + to_string(more.error());
    if (!*more) break;
  }
  for (const TableDifference& difference : found) {
    const auto now = records.find(difference.key);
    const bool there = now != records.end();
    if (there != difference.before.has_value() || (there && now->second != *difference.before))
      return names + difference.key + " is said to have been otherwise";
    if (difference.before == difference.after) return names + difference.key + " is the same";
    if (there) records.erase(now);
    if (difference.after) records.emplace(difference.key, *difference.after);
  }
  return records == after.records ? "" : names + "something is missing";
}

std::uint64_t bytes_in_use(const VersionedTable& table) {
  return table.usage().tree_pages * page_size + table.usage().live_data_blocks * data_block_size;
}

// Nothing is left to be merged afterwards.
void merge_all(VersionedTable& table) {
  for (const StateInfo& info : table.states()) {
    if (info.head && !info.dropped) (void)table.checkpoint(info.id, "for a merge");
  }
  for (const StateInfo& info : table.states()) {
    if (!info.head && !info.dropped && !table.pin(info.id)) test::run_jobs(table);
  }
}

// What a checkpoint is said to need alone must come back when it is dropped.
std::string measure_problem(VersionedTable& table, std::uint64_t seed) {
  merge_all(table);
  if (table.usage().tree_pages < 6) return "";   // the drop would write the first own records
  std::map<StateId, StateInfo> all;
  std::map<StateId, int> children;
  for (const StateInfo& info : table.states()) all[info.id] = info, ++children[info.parent];
  std::vector<StateId> candidates;
  for (const auto& [id, info] : all) {
    // A dropped parent may come back together with it.
    const bool hidden = info.parent != no_state && all.at(info.parent).dropped;
    if (!info.head && !info.dropped && !hidden && children[id] < 2) candidates.push_back(id);
  }
  if (candidates.empty() || all.size() == 1) return "";
  const StateId id = candidates[seed / 5 % candidates.size()];
  auto alone = table.unique_bytes(id);
  if (alone.failed_with(Errc::try_later)) {
    test::run_jobs(table);
    alone = table.unique_bytes(id);
  }
  if (!alone) return "measuring " + name_of(id) + ": " + to_string(alone.error());
  const std::uint64_t before = bytes_in_use(table);
  auto dropped = table.drop(id);
  if (!dropped) return "dropping " + name_of(id) + ": " + to_string(dropped.error());
  test::make_durable(table, table.applied());
  if (before == bytes_in_use(table) + *alone) return "";
  return name_of(id) + " was said to need " + std::to_string(*alone) + " bytes alone, but gave " +
         std::to_string(before) + " - " + std::to_string(bytes_in_use(table));
}

class World final : public test::CrashWorld<VersionedTable, Model> {
 public:
  explicit World(std::uint64_t seed)
      : CrashWorld(seed, {.slow_reads = 0.1, .recovery_steps = 12}),
        options_(tiny_options(random_)) {}

 private:
  Result<std::unique_ptr<VersionedTable>> create(Directory& root) override {
    return VersionedTable::create(root, options_);
  }
  Result<std::unique_ptr<VersionedTable>> open(Directory& root) override {
    return VersionedTable::open(root, options_);
  }
  Model first_model() override {
    return {{first_state, {true, no_state, "", std::make_shared<const TableContent>()}}};
  }
  std::string compare(const Model& model) override { return difference(*engine_, model); }
  void let_go() override { pins_.clear(); }
  // What was dropped is given back meanwhile.
  void recover(Directory& root) override {
    if (auto table = VersionedTable::open(root, options_)) test::run_jobs(**table);
  }

  std::string look_at(Directory& root, std::uint64_t seed) override {
    auto opened = VersionedTable::open(root, options_);
    if (!opened) return "opening: " + to_string(opened.error());
    auto table = std::move(*opened);
    const Ticket ticket = table->applied();
    std::string found = models_.problem_of_end(ticket);
    if (found.empty()) found = difference(*table, models_.after(ticket));
    if (found.empty() && seed % 2 == 0) {
      test::make_durable(*table, table->applied());
      found = test::leftovers(table->states());
      if (found.empty()) found = difference(*table, models_.after(ticket));
      if (found.empty() && seed % 5 < 2) found = measure_problem(*table, seed);
      if (seed % 4 == 0) test::close_cleanly(*table);
    }
    table.reset();
    return found.empty() ? test::check_versions(root) : found;
  }

  void change() override {
    act();
    look_at_pins();
    work_up_to(3);
    if (chance(0.3)) engine_->want_durable(engine_->applied());
    if (chance(0.05)) run_all();
  }
  void end() override {
    if (!chance(0.3)) return;
    pins_.clear();
    close();
  }

  void run_all() {
    pins_.clear();
    engine_->want_durable(engine_->applied());
    while (engine_->busy() && problem.empty()) work();
    if (problem.empty()) problem = test::leftovers(engine_->states());
  }

  void look_at_pins() {
    if (!problem.empty()) return;
    if (chance(0.1)) pin();
    if (pins_.size() > 3) pins_.erase(pins_.begin());
    if (pins_.empty() || chance(0.7)) return;
    const Pinned* before = chance(0.2) ? nullptr : &pins_[random_() % pins_.size()];
    problem = diff_problem(*engine_, before, pins_[random_() % pins_.size()]);
  }

  void pin() {
    const StateId id = pick(false);
    if (id == no_state) return;
    auto pin = engine_->pin(id);
    if (pin.failed_with(Errc::try_later)) return;
    auto view = engine_->view(id);
    auto records = records_of(*view);
    if (!pin || !records) problem = "pinning " + name_of(id);
    else pins_.push_back({std::move(*pin), std::move(*records)});
  }

  // ---- the history

  StateId pick(bool head) {
    std::vector<StateId> found;
    for (const auto& [id, state] : models_.newest()) {
      if (state.head == head) found.push_back(id);
    }
    return found.empty() ? no_state : found[random_() % found.size()];
  }

  void act() {
    Model next = models_.newest();
    const Ticket before = engine_->applied();
    const std::uint64_t kind = random_() % 100;
    const bool many = next.size() >= most_states;
    Result<void> result;
    if (kind < 60 && pick(true) != no_state) result = change_state(next, pick(true));
    else if (kind < 80 && !many) result = add_state(next);
    else if (kind < 96 || many) result = drop(next);
    else result = label(next);
    if (!result.has_value() && result.failed_with(Errc::try_later)) {
      engine_->want_durable(engine_->applied());
      work();
    } else if (!result) {
      problem = "an operation: " + to_string(result.error());
    }
    if (result && engine_->applied() == before + 1) models_.add(std::move(next));
  }

  Result<void> change_state(Model& next, StateId id) {
    TableContent content = *next[id].content;
    auto view = engine_->view(id);
    if (chance(0.5)) {
      const int file = static_cast<int>(random_() % 4);
      const int from = static_cast<int>(random_() % test::model_file_blocks);
      const int to = from + 1 + static_cast<int>(random_() % (test::model_file_blocks - from));
      TRY_VOID(writer_.try_write(*view, file, from, to));
      writer_.model_write(content, file, from, to);
    } else {
      Batch batch;
      for (int i = static_cast<int>(random_() % 4); i >= 0; --i) {
        const std::string key = "k" + std::to_string(random_() % 60);
        if (chance(0.3)) {
          batch.erase(key);
          content.erase(key);
        } else {
          const std::string value(random_() % 700, static_cast<char>('a' + random_() % 26));
          batch.put(key, value);
          content[key] = value;
        }
      }
      TRY_VOID(view->apply(batch));
    }
    next[id].content = std::make_shared<const TableContent>(std::move(content));
    return {};
  }

  Result<void> add_state(Model& next) {
    const StateId head = pick(true), checkpoint = pick(false);
    const std::string label = "label " + std::to_string(random_() % 1000);
    const std::uint64_t kind = random_() % 10;
    if (kind < 5 && head != no_state) {
      TRY(const StateId made, engine_->checkpoint(head, label));
      next[made] = {false, next[head].parent, label, next[head].content};
      next[head].parent = made;
    } else if (kind < 7 && head != no_state && checkpoint != no_state) {
      Batch then;
      then.put("rolled back", label);
      TRY(const StateId made, engine_->rollback(head, checkpoint, label, &then));
      next[made] = {false, next[head].parent, label, next[head].content};
      TableContent content = *next[checkpoint].content;
      content["rolled back"] = label;
      next[head].parent = checkpoint;
      next[head].content = std::make_shared<const TableContent>(std::move(content));
    } else if (kind < 9 && checkpoint != no_state) {
      TRY(const StateId made, engine_->branch(checkpoint, label));
      next[made] = {true, checkpoint, label, next[checkpoint].content};
    } else if (head != no_state && checkpoint != no_state) {
      TRY_VOID(engine_->freeze(head, label));
      next[head].head = false;
      next[head].label = label;
    }
    return {};
  }

  Result<void> drop(Model& next) {
    if (next.size() == 1) return {};
    const StateId id = pick(chance(0.25));
    if (id == no_state) return {};
    TRY_VOID(engine_->drop(id));
    for (auto& [child, state] : next) {
      if (state.parent == id) state.parent = next[id].parent;
    }
    next.erase(id);
    return {};
  }

  Result<void> label(Model& next) {
    const StateId id = pick(chance(0.5));
    if (id == no_state) return {};
    next[id].label = "new label " + std::to_string(random_() % 1000);
    return engine_->set_label(id, next[id].label);
  }

  TableOptions options_;
  std::vector<Pinned> pins_;
  test::ModelWriter writer_;
};

}  // namespace

TEST_CASE("a power cut at any step leaves every state as it was after some first part of the "
          "batches, and nothing leaks") {
  for (const std::uint64_t seed : test::seeds(50)) {
    World world(seed);
    for (int life = 0; life < 3 && world.problem.empty(); ++life) world.live(60, 0.12);
    if (!world.problem.empty()) FAIL("seed " << seed << ": " << world.problem);
  }
  SUCCEED();
}
