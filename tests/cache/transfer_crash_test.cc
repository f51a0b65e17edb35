// Random histories sent whole and in increments to a second store that loses power at any step and
// goes on where its disk is: at the end it shows what a plain model says.
#include <deque>
#include <optional>
#include <random>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/family_fixture.h"
#include "tests/support/seeds.h"
#include "tests/support/store_model.h"

using namespace rowan;
using namespace rowan::cache;
using test::FamilyFixture;
using test::Loss;
using test::SimDisk;
using test::StoreModel;

namespace {

constexpr std::uint64_t file_size = 300 << 10;   // three windows
const std::vector<std::uint64_t> object_ids{5, 6, local_object_bit | 1};

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed), from_(seed), to_(seed + 1000) {
    (void)from_.head->next_object();  // the one the model uses
  }

  void transfer() {
    for (int i = 0; i < 12; ++i) transact();
    // Sometimes while removed data is worked off, sometimes after it.
    if (chance(0.5)) from_.settle();
    const StateId after = from_.checkpoint();
    const auto sent = test::send(from_, sent_, after, 1 + random_() % (200 << 10));
    receive(sent);
    const StateId made = to_.checkpoint();
    if (test::verify(to_, received_, made).sum != sent.totals.sum) problem = "another sum";
    sent_ = after;
    received_ = made;
    if (problem.empty())
      problem = test::difference(*to_.head, model_, object_ids, file_size);
  }
  void finish() {
    if (problem.empty()) problem = from_.check();
    if (problem.empty()) problem = to_.check();
  }

  std::string problem;
  int crashes = 0;

 private:
  bool chance(double probability) {
    return std::uniform_real_distribution<>(0, 1)(random_) < probability;
  }

  // The key up to which the disk has it is the head's label, as with rowan receive.
  std::string reached() {
    for (const StateInfo& info : to_.family->states()) {
      if (info.id == first_state) return info.label;
    }
    return {};
  }

  void receive(const test::SentChanges& sent) {
    (void)*to_.family->set_label(first_state, {});
    to_.settle();
    for (std::size_t page = 0; page < sent.pages.size();) {
      std::optional<SimDisk> after;
      if (chance(0.3)) watch_for_crash(after);
      test::take(to_, sent.pages[page]);
      REQUIRE(to_.family->set_label(first_state, sent.reached[page]));
      if (chance(0.5)) to_.settle();
      to_.disk.on_step({});
      ++page;
      if (!after) continue;
      crash(std::move(*after));
      const std::string at = reached();
      page = 0;
      while (page < sent.pages.size() && sent.reached[page] <= at) ++page;
    }
  }

  void watch_for_crash(std::optional<SimDisk>& after) {
    const std::uint64_t at = to_.disk.steps() + random_() % 12, seed = random_();
    to_.disk.on_step([this, at, seed, &after] {
      if (to_.disk.steps() == at)
        after = to_.disk.crashed(seed, seed % 5 == 0 ? Loss::all : Loss::random);
    });
  }

  void crash(SimDisk after) {
    to_.close();
    to_.disk = std::move(after);
    to_.open(false);
    ++crashes;
  }

  void transact() {
    Transaction transaction;
    std::deque<std::string> kept;
    const int steps = 1 + static_cast<int>(random_() % 3);
    for (int i = 0; i < steps; ++i) step(transaction, kept);
    from_.apply(transaction);
  }

  void step(Transaction& transaction, std::deque<std::string>& kept) {
    const std::uint64_t number = object_ids[random_() % object_ids.size()];
    const ObjectId id{number};
    const bool known = model_.files.contains(number);
    const std::uint64_t kind = known ? random_() % 10 : 9;
    if (kind < 5) {
      const std::uint64_t offset = random_() % (file_size - 1);
      const std::uint64_t most =
          std::min<std::uint64_t>(file_size - offset, chance(0.5) ? 90'000 : 60);
      kept.emplace_back(1 + random_() % most, static_cast<char>('a' + ++letter_ % 26));
      transaction.write(id, offset, as_bytes(kept.back()));
      model_.write(number, offset, kept.back());
    } else if (kind == 5) {
      const std::uint64_t size = random_() % file_size;
      transaction.truncate(id, size);
      model_.truncate(number, size);
    } else if (kind == 6) {
      if (!is_local(id)) return;   // others leave a tombstone, which the comparison does not know
      transaction.remove_object(id, {});
      model_.files.erase(number);
    } else if (kind < 9) {
      name_step(transaction, id);
    } else {
      ObjectRecord record;
      record.size = file_size;
      record.mtime.seconds = ++stamp_;
      transaction.put_object(id, record);
      model_.files[number].record = record;
    }
  }

  void name_step(Transaction& transaction, ObjectId id) {
    const std::string name = "name" + std::to_string(random_() % 5);
    if (chance(0.3)) {
      transaction.erase_name(id, name);
      model_.names.erase({to_number(id), name});
      return;
    }
    const NameRecord record{chance(0.2) ? no_object : ObjectId{77}, ++sequence_};
    transaction.put_name(id, name, record);
    model_.names[{to_number(id), name}] = record;
  }

  std::mt19937_64 random_;
  FamilyFixture from_, to_;
  StoreModel model_;
  StateId sent_ = no_state, received_ = no_state;
  std::uint64_t sequence_ = 1000;
  std::int64_t stamp_ = 0;
  int letter_ = 0;
};

}  // namespace

TEST_CASE("what is sent in increments arrives whole, through power cuts of the receiver") {
  int crashes = 0;
  for (const std::uint64_t seed : test::seeds(30)) {
    World world(seed);
    for (int i = 0; i < 4 && world.problem.empty(); ++i) world.transfer();
    world.finish();
    if (!world.problem.empty()) FAIL("seed " << seed << ": " << world.problem);
    crashes += world.crashes;
  }
  CHECK(crashes > 0);
}
