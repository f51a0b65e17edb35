// The whole NFS logic against a model of a POSIX tree, from one seed: random operations of several
// users, one at a time and several at once, with a slow and failing image, a store that must load
// and sometimes puts off, disk jobs in any order, and power cuts between and in the middle of
// operations.
#include <algorithm>
#include <numeric>

#include "tests/sim/proxy_world.h"
#include "tests/support/seeds.h"

#include "tests/support/catch.h"

using namespace rowan;
using namespace rowan::sim;
using nfs3::Status;
using test::ModelFs;
using test::ModelId;

namespace {

using Lines = std::map<std::string, std::string>;
using HandlesByPath = std::map<std::string, nfs3::Handle>;

class Simulation {
 public:
  Simulation(std::uint64_t seed, std::unique_ptr<StoreMaker> stores,
             proxy::Durability durability = proxy::Durability::sync)
      : world_(seed, std::move(stores), durability),
        async_(durability == proxy::Durability::async) {
    keep_only(world_.model);
  }

  void run(int steps) {
    compare();
    for (int i = 0; i < steps; ++i) {
      std::uint64_t pick = world_.random() % 100;
      if (pick < 75) {
        one();
      } else if (pick < 88) {
        several(false);
      } else if (pick < 92) {
        crash();
      } else if (pick < 96) {
        several(true);
      } else {
        compare();
      }
    }
    compare();
  }

  // Stable replies come before the disk has anything: what was acknowledged may be lost, but only
  // the last of it.
  void run_async(int steps) {
    for (int i = 0; i < steps; ++i) {
      const std::uint64_t pick = world_.random() % 100;
      if (pick < 80) {
        one();
        for (std::uint64_t turns = world_.random() % 6; turns > 0; --turns) world_.turn();
      } else if (pick < 92) {
        crash();
      } else {
        compare();
      }
    }
    compare();
  }
  int crashes_that_lost = 0;

  // Others take the disk's space away and give it back, also in the middle of an operation, and the
  // quota comes and goes.
  void run_scarce(int steps) {
    world_.on_turn = [this](std::uint64_t turn) {
      if (turn % 200 == 199) plenty();   // who waits for room shall get it
      else if (world_.random() % 40 == 0) leave_room();
      else if (world_.random() % 80 == 0) plenty();
    };
    for (int i = 0; i < steps; ++i) {
      world_.set_quota(world_.random() % 3 == 0 ? 1 + world_.random() % 60'000 : 0);
      scarce_ = limited_;
      const std::uint64_t pick = world_.random() % 100;
      if (pick < 80) one();
      else if (pick < 88) several(false);
      else if (pick < 94) crash_full();
      else compare();
    }
    world_.on_turn = nullptr;
    plenty();
    world_.set_quota(0);
    scarce_ = false;
    for (int i = 0; i < 20; ++i) one();   // everything goes on
    compare();
  }
  std::map<Operation::Kind, int> refused;   // for want of space

 private:
  void crash_full() {
    crash();
    limited_ = false;
  }

  void leave_room() {
    world_.leave_room(world_.random() % 100'000);
    limited_ = scarce_ = true;
  }
  void plenty() {
    world_.plenty();
    limited_ = false;
  }

  // The image did not answer in time, or there is no space: nothing has happened.
  static bool refuses(Status status) {
    return status == Status::jukebox || status == Status::nospc || status == Status::dquot;
  }

  void one() {
    Operation operation = random_operation(world_.scene());
    std::vector<Outcome> outcomes;
    world_.run({operation}, outcomes);
    const Outcome& seen = outcomes[0];
    INFO(describe(operation));
    if (seen.status == Status::nospc) REQUIRE(scarce_);
    if (seen.status == Status::nospc || seen.status == Status::dquot) {
      REQUIRE(changes_names_or_data(operation));
      ++refused[operation.kind];
    }
    if (refuses(seen.status)) return;
    if (seen.verifier != nfs3::Verifier()) REQUIRE(seen.verifier == world_.write_verifier());
    ModelFs before = world_.model;
    Outcome expected = do_to_model(world_.model, operation);
    INFO("expected " << nfs3::to_string(expected.status) << ", got "
                     << nfs3::to_string(seen.status));
    REQUIRE(agree(operation, expected, seen, world_.handles));
    bind(operation, seen);
    if (seen.status == Status::ok) note(operation, before);
  }

  // What a power cut may leave: the state after the last stable change, or after any later
  // operation.
  void note(const Operation& operation, const ModelFs& before) {
    if (operation.kind == Operation::Kind::commit && !async_)
      durable_.erase(durable_.begin(), durable_.end() - 1);
    std::map<std::string, ModelId> ids;
    if (dump_model(before, ids) == dump_model(world_.model, ids)) return;
    bool data = operation.kind == Operation::Kind::write;
    bool stable = !data || operation.stable != nfs3::StableHow::unstable;
    if (stable && !async_) durable_.clear();
    durable_.push_back({world_.model, world_.applied()});
  }

  void keep_only(const ModelFs& model) { durable_ = {{model, 0}}; }

  void bind(const Operation& operation, const Outcome& outcome) {
    bool made = outcome.handle && world_.model.find(operation.made) != nullptr;
    if (made) world_.handles.try_emplace(operation.made, *outcome.handle);
  }

  // Operations at the same time: some order of them must explain all answers and the state
  // afterwards.
  void several(bool with_crash) {
    make_durable();
    std::vector<Operation> operations;
    std::size_t count = 2 + world_.random() % 2;
    for (std::size_t i = 0; i < count; ++i) operations.push_back(random_operation(world_.scene()));
    for (Operation& operation : operations) operation.stable = nfs3::StableHow::file_sync;
    std::vector<Outcome> outcomes;
    std::uint64_t turns = world_.random() % 12;
    auto cut = [&turns] { return turns-- == 0; };
    if (with_crash) {
      world_.run(operations, outcomes, cut);
    } else {
      world_.run(operations, outcomes);
    }
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
      text += describe(operations[i]) + (outcomes[i].replied ? " -> " : " -> no reply ");
      text += std::string(nfs3::to_string(outcomes[i].status)) + "\n";
    }
    INFO((with_crash ? "crash\n" : "") << text);
    HandlesByPath by_path;
    Lines lines = world_.dump(by_path);
    std::optional<ModelFs> explained = explain(operations, outcomes, lines);
    REQUIRE(explained.has_value());
    world_.model = *explained;
    adopt(by_path);
    keep_only(world_.model);
  }

  std::optional<ModelFs> explain(const std::vector<Operation>& operations,
                                 const std::vector<Outcome>& outcomes, const Lines& lines) {
    std::vector<std::size_t> order(operations.size());
    std::iota(order.begin(), order.end(), 0u);
    const unsigned all = 1u << operations.size();
    do {
      // Those without a reply may have happened or not; or they had happened, others saw it, and
      // the power cut undid them.
      for (unsigned lost = 0; lost < all; ++lost) {
        for (unsigned shown = 0; shown < all; ++shown) {
          if ((shown & ~lost) != 0) continue;
          auto model = play(operations, outcomes, order, {lost, shown});
          std::map<std::string, ModelId> ids;
          if (model && dump_model(*model, ids) == lines) return model;
        }
      }
    } while (std::next_permutation(order.begin(), order.end()));
    return std::nullopt;
  }

  // Bits by operation: not there in the end, and of these, seen by others before.
  struct Fate {
    unsigned lost = 0, shown = 0;
  };

  std::optional<ModelFs> play(const std::vector<Operation>& operations,
                              const std::vector<Outcome>& outcomes,
                              const std::vector<std::size_t>& order, Fate fate) {
    ModelFs kept = world_.model, seen = world_.model;
    for (std::size_t i : order) {
      const Outcome& outcome = outcomes[i];
      const bool lost = (fate.lost >> i & 1) != 0, shown = (fate.shown >> i & 1) != 0;
      if (lost && outcome.replied) return std::nullopt;
      if (shown) do_to_model(seen, operations[i]);
      if (lost || (outcome.replied && refuses(outcome.status))) continue;
      const ModelFs before = kept;
      const bool explained = explains(kept, operations[i], outcome);
      const bool explained_by_lost = explains(seen, operations[i], outcome);
      if (explained) continue;
      // What changes something is kept, and with it all that it built upon. Only an answer may come
      // from what is lost.
      const bool changed = outcome.status == Status::ok && changes_names_or_data(operations[i]);
      if (!explained_by_lost || changed) return std::nullopt;
      kept = before;
    }
    return kept;
  }

  // Does the operation to the model, and compares.
  bool explains(ModelFs& model, const Operation& operation, const Outcome& outcome) {
    const Outcome expected = do_to_model(model, operation);
    // A READ is not atomic against a WRITE at the same time; its bytes are compared when it is
    // alone.
    Outcome compared = outcome;
    compared.bytes = expected.bytes;
    compared.eof = expected.eof;
    return !outcome.replied || agree(operation, expected, compared, world_.handles);
  }

  static bool changes_names_or_data(const Operation& operation) {
    using Kind = Operation::Kind;
    return operation.kind != Kind::lookup && operation.kind != Kind::access &&
           operation.kind != Kind::read && operation.kind != Kind::readlink &&
           operation.kind != Kind::commit;
  }

  // Learns the handles of objects whose creation nobody was told of.
  void adopt(const HandlesByPath& by_path) {
    std::map<std::string, ModelId> ids;
    dump_model(world_.model, ids);
    for (const auto& [path, id] : ids) {
      auto [known, added] = world_.handles.try_emplace(id, by_path.at(path));
      INFO(path);
      REQUIRE(known->second == by_path.at(path));
    }
  }

  void make_durable() {
    Operation sync;
    sync.kind = Operation::Kind::setattr;
    sync.user = {0, {0}};
    sync.object = test::model_root;
    sync.set.mode = world_.model.find(test::model_root)->mode;
    std::vector<Outcome> outcomes;
    do world_.run({sync}, outcomes);
    while (refuses(outcomes[0].status));
    REQUIRE(outcomes[0].status == Status::ok);
  }

  void crash() {
    nfs3::Verifier before = world_.write_verifier();
    const cache::Ticket on_disk = async_ ? world_.durable() : 0;
    world_.crash();
    REQUIRE(world_.write_verifier() != before);
    HandlesByPath by_path;
    Lines lines = world_.dump(by_path);
    // The oldest that may be left, then the later ones.
    auto kept = durable_.begin();
    while (async_ && kept + 1 != durable_.end() && (kept + 1)->applied <= on_disk) ++kept;
    while (kept != durable_.end() && !is_there(kept->model, lines, by_path)) ++kept;
    REQUIRE(kept != durable_.end());
    crashes_that_lost += kept + 1 != durable_.end() ? 1 : 0;
    world_.model = ModelFs(kept->model);
    keep_only(world_.model);
  }

  // The same tree, of the same objects.
  bool is_there(const ModelFs& model, const Lines& lines, const HandlesByPath& by_path) const {
    std::map<std::string, ModelId> ids;
    if (dump_model(model, ids) != lines) return false;
    return std::all_of(ids.begin(), ids.end(), [&](const auto& entry) {
      const auto known = world_.handles.find(entry.second);
      return known == world_.handles.end() || known->second == by_path.at(entry.first);
    });
  }

  void compare() {
    HandlesByPath by_path;
    Lines seen = world_.dump(by_path);
    std::map<std::string, ModelId> ids;
    Lines expected = dump_model(world_.model, ids);
    for (const auto& [path, text] : expected) {
      INFO(path);
      REQUIRE(seen[path] == text);
    }
    REQUIRE(seen.size() == expected.size());
    adopt(by_path);
  }

  // What a power cut may leave, and the store's batches by then.
  struct Kept {
    ModelFs model;
    cache::Ticket applied = 0;
  };

  World world_;
  bool async_;
  bool limited_ = false, scarce_ = false;   // the disk now, and at some moment of the operation
  std::vector<Kept> durable_;
};

using MakeStores = std::unique_ptr<StoreMaker> (*)(std::uint64_t);

void run_seeds(MakeStores make_stores) {
  for (const std::uint64_t seed : test::seeds(50)) {
    INFO("again with ROWAN_SIM_SEED=" << seed);
    Simulation simulation(seed, make_stores(seed));
    simulation.run(120);
  }
}

}  // namespace

TEST_CASE("an appliance over a store in memory behaves as a POSIX tree") {
  run_seeds(memory_stores);
}

TEST_CASE("an appliance over the real store on a simulated disk behaves as a POSIX tree") {
  run_seeds(disk_stores);
}

TEST_CASE("with async durability a power cut leaves a first part of what was acknowledged") {
  int crashes_that_lost = 0;
  for (const std::uint64_t seed : test::seeds(50)) {
    INFO("again with ROWAN_SIM_SEED=" << seed);
    Simulation simulation(seed, disk_stores(seed), proxy::Durability::async);
    simulation.run_async(120);
    crashes_that_lost += simulation.crashes_that_lost;
  }
  if (test::many_seeds()) CHECK(crashes_that_lost > 0);
}

TEST_CASE("a disk that fills and empties refuses whole operations, and a quota too") {
  std::map<Operation::Kind, int> refused;
  for (const std::uint64_t seed : test::seeds(50)) {
    INFO("again with ROWAN_SIM_SEED=" << seed);
    Simulation simulation(seed, disk_stores(seed));
    simulation.run_scarce(120);
    for (const auto& [kind, times] : simulation.refused) refused[kind] += times;
  }
  using Kind = Operation::Kind;
  for (const Kind kind : {Kind::write, Kind::create, Kind::mkdir, Kind::symlink, Kind::setattr}) {
    INFO(static_cast<int>(kind));
    if (test::many_seeds()) CHECK(refused[kind] > 0);
  }
}
