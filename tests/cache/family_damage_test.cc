// Every file of a family of stores cut and flipped: opening refuses in words that name the file, or
// what is damaged is named in each state that has it and the rest is served. Wrong data, missing
// names and crashes are not among the outcomes; and what can be opened can also be lived with:
// states are dropped and others go on.
#include <random>
#include <set>
#include <string>

#include "cache/checker.h"
#include "tests/support/catch.h"
#include "tests/support/family_example.h"
#include "tests/support/run_jobs.h"
#include "tests/support/seeds.h"
#include "tests/support/store_survey.h"

using namespace rowan;
using namespace rowan::cache;
using test::FamilyExample;
using test::loading;
using test::SimDisk;

namespace {

struct Tally {
  int refused = 0, refused_states = 0, damaged = 0, whole = 0;
  std::set<StateId> damaged_states;
};

// False if a state could not be opened for its damage.
bool look_at(StoreFamily& family, const FamilyExample& example, StateId state, Tally& tally,
             bool& damaged) {
  auto store = loading(family, [&] { return family.store(state); });
  if (!store) {
    INFO(to_string(store.error()));
    REQUIRE(store.failed_with(Errc::corrupt));
    ++tally.refused_states;
    return false;
  }
  const test::Survey found =
      test::survey(**store, example.models.at(state), test::golden_file_size);
  INFO("state " << to_number(state));
  REQUIRE(found.wrong == "");
  if (found.damaged > 0) tally.damaged_states.insert(state);
  damaged = damaged || found.damaged > 0;
  return true;
}

// A change of the head, and a clone and the checkpoint that go, whatever is damaged.
void go_on(StoreFamily& family, const FamilyExample& example) {
  auto head = loading(family, [&] { return family.store(first_state); });
  if (head) {
    Transaction transaction;
    transaction.put_name(ObjectId{1}, "later", {no_object, 0});
    auto applied = loading(**head, [&] { return (*head)->apply(transaction); });
    REQUIRE((applied || applied.failed_with(Errc::corrupt)));
  }
  REQUIRE(family.drop(example.clone));
  REQUIRE(family.drop(example.checkpoint));
  test::make_durable(family, family.applied());
  REQUIRE_FALSE(family.failure().has_value());
}

void look(SimDisk& disk, const FamilyExample& example, const std::string& file, Tally& tally) {
  auto root = disk.root();
  auto family = StoreFamily::open(*root, test::golden_options());
  if (!family) {
    ++tally.refused;
    INFO(to_string(family.error()));
    REQUIRE(family.failed_with(Errc::corrupt));
    const bool missing = family.error().detail.find("later segment") != std::string::npos;
    REQUIRE((missing || family.error().detail.find(file) != std::string::npos));
    return;
  }
  bool damaged = false;
  for (const auto& [state, model] : example.models)
    damaged = !look_at(**family, example, state, tally, damaged) || damaged;
  ++(damaged ? tally.damaged : tally.whole);
  go_on(**family, example);
  family->reset();
}

// Nightly runs look at more places.
std::uint64_t stride(std::uint64_t normal) { return 1 + normal * 6 / test::seeds(6).size(); }

bool holds_nothing(const std::string& file) { return file == "lock" || file == "reserve"; }

}  // namespace

TEST_CASE("a bit flipped in any file of a family costs what lay there, in the states that had it") {
  Tally all;
  const FamilyExample example(true);
  std::mt19937_64 random(1);
  for (const std::string& file : example.disk.files()) {
    if (holds_nothing(file)) continue;
    Tally tally;
    for (std::uint64_t at = 0; at < example.disk.file_size(file);
         at += 1 + random() % stride(3000)) {
      if (!example.disk.has_block(file, at)) continue;
      INFO(file << " flipped at " << at);
      SimDisk disk = example.disk.killed();
      disk.flip(file, at, static_cast<int>(random() % 8));
      look(disk, example, file, tally);
    }
    INFO(file << ": " << tally.refused << " refused, " << tally.damaged << " damaged, "
              << tally.whole << " whole");
    CHECK(tally.refused == 0);
    all.damaged += tally.damaged;
    all.damaged_states.merge(tally.damaged_states);
  }
  CHECK(all.damaged > 0);
  CHECK(all.damaged_states.size() == example.models.size());
}

TEST_CASE("a file of a family cut at any length is refused or served without a wrong byte") {
  const FamilyExample example(true);
  for (const std::string& file : example.disk.files()) {
    if (holds_nothing(file)) continue;
    const std::uint64_t size = example.disk.file_size(file);
    Tally tally;
    const std::uint64_t step = stride(file.starts_with("segment") ? 9001 : 700);
    for (std::uint64_t length = 0; length < size; length += step) {
      INFO(file << " cut to " << length << " of " << size);
      SimDisk disk = example.disk.killed();
      disk.cut(file, length);
      look(disk, example, file, tally);
    }
    INFO(file << ": " << tally.refused << " refused, " << tally.damaged << " damaged, "
              << tally.whole << " whole");
    CHECK(tally.refused + tally.damaged > 0);
  }
}

TEST_CASE("a segment that only a checkpoint needs is missed when it is not there") {
  const FamilyExample example(true);
  for (const std::string& file : example.disk.files()) {
    if (!file.starts_with("segment")) continue;
    SimDisk disk = example.disk.killed();
    auto root = disk.root();
    {
      // No head refers to anything any more.
      auto family = *StoreFamily::open(*root, test::golden_options());
      REQUIRE(family->drop(example.clone));
      REQUIRE(family->drop(first_state));
      test::make_durable(*family, family->applied());
      test::close_cleanly(*family);
    }
    if (!disk.root()->remove(file)) continue;   // given back
    auto report = check_store(*root, {.data = true});
    INFO("without " << file);
    // Without the last part of the journal it cannot be looked at.
    CHECK((!report || !report->healthy()));
  }
}
