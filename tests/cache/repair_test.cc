// Stores of several states with every page and every stretch of the journal and the data damaged in
// turn, then repaired: what is shown afterwards is right, or an error, or was named as lost; and
// nothing is left that could not be removed.
#include "cache/repair.h"

#include <algorithm>
#include <random>
#include <set>
#include <string>

#include "cache/checker.h"
#include "cache/store_family.h"
#include "cache/table_group.h"
#include "cache/table_page.h"
#include "tests/support/catch.h"
#include "tests/support/family_example.h"
#include "tests/support/run_jobs.h"
#include "tests/support/seeds.h"
#include "tests/support/sim_disk.h"

using namespace rowan;
using namespace rowan::cache;
using test::loading;
using test::SimDisk;
using test::StoreModel;
using Example = test::FamilyExample;

namespace {

using Kind = LostPart::Kind;

class Verifier {
 public:
  Verifier(const RepairReport& report, StateId state, Store& store, const StoreModel& model)
      : report_(report), state_(state), store_(store), model_(model) {}

  // Empty, or what is wrong and was not named as lost.
  std::string run() {
    for (const auto& [id, file] : model_.files) check_file(id, file);
    std::set<std::uint64_t> directories;
    for (const auto& [key, record] : model_.names) directories.insert(key.first);
    for (const auto& [key, record] : model_.names) check_name(key.first, key.second, record);
    for (const std::uint64_t id : directories) check_listing(id);
    return wrong_;
  }

 private:
  void wrong(const std::string& what) {
    if (wrong_.empty()) wrong_ = "state " + std::to_string(to_number(state_)) + ": " + what;
  }

  bool is_told(std::set<Kind> kinds, std::uint64_t id) const {
    return std::any_of(report_.lost.begin(), report_.lost.end(), [&](const LostPart& part) {
      const bool here = part.state == no_state || part.state == state_;
      return here && kinds.contains(part.kind) && to_number(part.object) <= id &&
             id <= to_number(part.last_object);
    });
  }
  bool is_lost(std::uint64_t id) const {
    return is_told({Kind::object, Kind::objects, Kind::changes}, id);
  }
  bool bytes_lost(std::uint64_t id, std::uint64_t at) const {
    return std::any_of(report_.lost.begin(), report_.lost.end(), [&](const LostPart& part) {
      return part.kind == Kind::bytes && to_number(part.object) == id && part.from <= at &&
             at < part.to;
    });
  }

  void check_file(std::uint64_t id, const test::ModelFile& file) {
    const std::string name = "object " + std::to_string(id);
    auto record = loading(store_, [&] { return store_.object(ObjectId{id}); });
    if (!record || record->size != file.record.size || record->target != file.record.target ||
        record->mtime != file.record.mtime) {
      if (!record && !record.failed_with(Errc::not_found)) wrong(name + to_string(record.error()));
      if (!is_lost(id)) wrong(name + " is another");
      return;
    }
    auto runs = loading(store_, [&] {
      return store_.extents(ObjectId{id}, *record, 0, test::golden_file_size);
    });
    if (!runs) return wrong(name + ": " + to_string(runs.error()));
    for (const Extent& run : *runs) check_run(id, file, run);
  }

  void check_run(std::uint64_t id, const test::ModelFile& file, const Extent& run) {
    const std::string name = "object " + std::to_string(id) + " at ";
    std::string bytes(run.length, '?');
    const bool local = run.kind == Extent::Kind::local;
    Result<void> read;
    if (local) read = loading(store_, [&] {
      return store_.read(run, {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()});
    });
    if (!read && !read.failed_with(Errc::corrupt)) wrong(name + to_string(read.error()));
    bool told = false;
    for (std::uint64_t at = run.offset; at < run.offset + run.length; ++at) {
      if (!read) {
        // A run is read as a whole or not; some of it must have been named.
        told = told || bytes_lost(id, at);
        continue;
      }
      const std::optional<char> expected = at < file.bytes.size() ? file.bytes[at] : std::nullopt;
      const std::optional<char> found =
          local ? std::optional<char>(bytes[at - run.offset]) : std::nullopt;
      if (expected == found || is_told({Kind::changes}, id)) continue;
      if (local && !expected && is_told({Kind::truncations}, id)) continue;
      return wrong(name + std::to_string(at) + (local ? ": another byte" : ": not local any more"));
    }
    if (!read && !told) wrong(name + std::to_string(run.offset) + ": unreadable and not named");
  }

  bool name_told(std::uint64_t directory, std::uint64_t child) const {
    return is_told({Kind::names, Kind::changes}, directory) || is_lost(child);
  }

  void check_name(std::uint64_t directory, const std::string& text, const NameRecord& record) {
    auto name = loading(store_, [&] { return store_.name(ObjectId{directory}, text); });
    if (name && name->child == record.child && name->sequence == record.sequence) return;
    if (!name && !name.failed_with(Errc::not_found)) wrong(text + to_string(name.error()));
    if (!name_told(directory, to_number(record.child))) wrong("name " + text + " is lost");
  }

  void check_listing(std::uint64_t directory) {
    auto listed = loading(store_, [&] { return store_.names_after(ObjectId{directory}, 0, 999); });
    if (!listed) return wrong("listing: " + to_string(listed.error()));
    for (const NamedEntry& entry : *listed) {
      const auto expected = model_.names.find({directory, entry.name});
      const bool right = expected != model_.names.end() &&
                         expected->second.child == entry.record.child &&
                         loading(store_, [&] {
                           return store_.name(ObjectId{directory}, entry.name);
                         })->child == entry.record.child;
      if (!right && !name_told(directory, 0)) wrong("a name too many: " + entry.name);
    }
  }

  const RepairReport& report_;
  StateId state_;
  Store& store_;
  const StoreModel& model_;
  std::string wrong_;
};

// Everything in the head can be removed, and everything else dropped; then no space is used.
std::string cannot_be_emptied(StoreFamily& family, const Example& example) {
  auto store = loading(family, [&] { return family.store(first_state); });
  if (!store) return to_string(store.error());
  auto apply = [&](Transaction& transaction) {
    auto ticket = loading(**store, [&] { return (*store)->apply(transaction); });
    return ticket ? "" : to_string(ticket.error());
  };
  for (const std::uint64_t id : test::golden_objects()) {
    Transaction transaction;
    transaction.remove_object(ObjectId{id}, {});
    const std::string problem = apply(transaction);
    if (!problem.empty()) return "removing object " + std::to_string(id) + ": " + problem;
  }
  Transaction transaction;
  for (const auto& [state, model] : example.models) {
    for (const auto& [key, record] : model.names)
      transaction.erase_name(ObjectId{key.first}, key.second);
  }
  const ObjectId fresh = (*store)->next_object();
  transaction.put_object(fresh, {});
  transaction.put_name(ObjectId{2}, "new", {fresh, (*store)->next_sequence()});
  if (const std::string problem = apply(transaction); !problem.empty()) return problem;
  for (const StateInfo& info : family.states()) {
    if (info.id != first_state && !info.dropped && !family.drop(info.id)) return "dropping";
  }
  test::make_durable(family, family.applied());
  if (family.states().size() != 1) return "a dropped state stays";
  const std::uint64_t blocks = family.usage().live_data_blocks;
  return blocks == 0 ? "" : std::to_string(blocks) + " blocks are left";
}

struct Outcome {
  int refused = 0, untouched = 0, repaired = 0;
};

// The damaged disk, repaired and looked at. `told`: what an earlier attempt may have said.
void repair_and_verify(SimDisk& disk, const Example& example, Outcome& outcome,
                       const RepairReport* told = nullptr) {
  auto root = disk.root();
  auto report = repair_store(*root, {});
  if (!report) {
    ++outcome.refused;
    INFO(to_string(report.error()));
    REQUIRE(report.failed_with(Errc::corrupt));
    REQUIRE(report.error().detail.find("backup") != std::string::npos);
    return;
  }
  ++(report->repaired ? outcome.repaired : outcome.untouched);
  INFO((report->findings.empty() ? "" : report->findings.front()));
  if (report->lost_batches == 0) {
    auto again = repair_store(*root, {});
    REQUIRE(again);
    REQUIRE_FALSE(again->repaired);
  }
  auto family = StoreFamily::open(*root, test::golden_options());
  if (!family) FAIL(to_string(family.error()));
  // The last group of a store that was killed is vouched for by nothing (FORMAT.md, "weaknesses").
  const bool shorter = (*family)->applied() < example.applied + (report->repaired ? 1 : 0);
  if (example.closed) REQUIRE(shorter == false);
  for (const auto& [state, model] : example.models) {
    auto store = loading(**family, [&] { return (*family)->store(state); });
    // The end of the journal may have been the beginning of the state.
    if ((report->lost_batches > 0 || shorter) && store.failed_with(Errc::stale)) continue;
    if (!store) FAIL(to_string(store.error()));
    if (report->lost_batches > 0 || shorter) continue;
    const bool before = told != nullptr && root->open("repair-report", OpenMode::read);
    REQUIRE(Verifier(before ? *told : *report, state, **store, model).run() == "");
  }
  REQUIRE(cannot_be_emptied(**family, example) == "");
  test::close_cleanly(**family);
  family->reset();
  auto checked = check_store(*root, {.data = true});
  REQUIRE(checked);
  for (const std::string& finding : checked->findings) FAIL_CHECK(finding);
}

// The pages that hold the same bytes as this one: itself, and its copy.
std::vector<std::uint64_t> places_of_page(SimDisk& disk, std::uint64_t page) {
  auto root = disk.root();
  auto tree = *root->open("tree", OpenMode::read);
  std::vector<std::byte> bytes(page_size), other(page_size);
  REQUIRE(tree->read_at(page * page_size, bytes));
  std::vector<std::uint64_t> places;
  for (std::uint64_t at = 1; at < *tree->size() / page_size; ++at) {
    REQUIRE(tree->read_at(at * page_size, other));
    if (bytes == other) places.push_back(at);
  }
  return places;
}

struct Group {
  std::string file;
  std::uint64_t head = 0, copy = 0;   // blocks
  std::uint64_t data_blocks = 0;      // behind the head
};

// Of the journal, and of what was journal before the last merge.
std::vector<Group> groups_of(const Example& example) {
  std::vector<Group> groups;
  for (const std::string& name : example.disk.files()) {
    if (!name.starts_with("segment")) continue;
    auto file = *example.root->open(name, OpenMode::read);
    std::byte head[group_header_size];
    for (std::uint64_t block = 0; block * data_block_size < *file->size(); ++block) {
      if (*file->read_at(block * data_block_size, head) < sizeof(head)) continue;
      const auto header = decode_group_header(head);
      if (header && !header->copy)
        groups.push_back({name, block, header->copy_block(), header->data_blocks});
    }
  }
  return groups;
}

}  // namespace

TEST_CASE("whichever page of a tree is lost with its copy, the repair keeps the rest") {
  for (const bool closed : {true, false}) {
    const Example example(closed);
    const std::uint64_t pages = example.disk.file_size("tree") / page_size;
    Outcome outcome;
    for (std::uint64_t page = 1; page < pages; ++page) {
      SimDisk disk = example.disk.killed();
      const auto places = places_of_page(disk, page);
      // Of the two, the first.
      if (places.size() > 2 || places.front() != page) continue;
      INFO("page " << page << " of " << pages << (closed ? ", closed" : ", killed"));
      for (const std::uint64_t place : places) disk.flip("tree", place * page_size + 900, 2);
      repair_and_verify(disk, example, outcome);
    }
    INFO(outcome.refused << " refused, " << outcome.repaired << " repaired, " << outcome.untouched
                         << " untouched");
    CHECK(outcome.repaired > 5);
    CHECK(outcome.refused <= 1);   // the table's own records
  }
}

TEST_CASE("a page of which one place is damaged is whole again, and nothing is lost") {
  const Example example(true);
  const std::uint64_t pages = example.disk.file_size("tree") / page_size;
  int repaired = 0;
  for (std::uint64_t page = 1; page < pages; ++page) {
    SimDisk disk = example.disk.killed();
    if (places_of_page(disk, page).size() != 2) continue;
    INFO("page " << page << " of " << pages);
    disk.flip("tree", page * page_size + 1900, 4);
    auto root = disk.root();
    auto report = repair_store(*root, {});
    REQUIRE(report);
    CHECK(report->lost.empty());
    repaired += report->repaired ? 1 : 0;
    CHECK(check_store(*root, {.data = true})->healthy());
  }
  CHECK(repaired > 5);
}

TEST_CASE("a store that is whole is not touched by a repair") {
  for (const bool closed : {true, false}) {
    const Example example(closed);
    SimDisk disk = example.disk.killed();
    auto root = disk.root();
    auto report = repair_store(*root, {});
    REQUIRE(report);
    CHECK_FALSE(report->repaired);
    CHECK(report->findings.empty());
    CHECK(report->lost.empty());
    for (const std::string& file : {std::string("superblock"), std::string("segment-00000001")})
      CHECK(disk.file_size(file) == example.disk.file_size(file));
    CHECK(check_store(*root, {.data = true})->healthy());
  }
}

TEST_CASE("a journal that breaks off costs what is behind that place, and says how much") {
  for (const bool closed : {true, false}) {
    const Example example(closed);
    int broken = 0;
    for (const Group& group : groups_of(example)) {
      INFO(group.file << ", group at block " << group.head << (closed ? ", closed" : ", killed"));
      SimDisk disk = example.disk.killed();
      for (const std::uint64_t block : {group.head, group.copy})
        disk.flip(group.file, block * data_block_size + 50, 1);
      const bool refused =
          Store::open(*disk.root(), test::golden_options()).failed_with(Errc::corrupt);
      broken += refused ? 1 : 0;
      SimDisk copy = disk.killed();
      const auto report = repair_store(*copy.root(), {});
      REQUIRE(report);
      CHECK((report->lost_batches > 0) == refused);
      Outcome outcome;
      repair_and_verify(disk, example, outcome);
      CHECK(outcome.refused == 0);
    }
    CHECK(broken > 0);
  }
}

TEST_CASE("data that is not what was written stays an error, and is named") {
  const Example example(true);
  Outcome outcome;
  for (const Group& group : groups_of(example)) {
    SimDisk disk = example.disk.killed();
    for (std::uint64_t i = 0; i < group.data_blocks; i += 3)
      disk.flip(group.file, (group.head + 1 + i) * data_block_size + 4000, 6);
    INFO(group.file << ", group at block " << group.head);
    repair_and_verify(disk, example, outcome);
  }
  CHECK(outcome.untouched > 3);
  CHECK(outcome.repaired + outcome.refused == 0);
}

TEST_CASE("a store without one of its segments is repaired, without the tree it is refused") {
  for (const bool closed : {true, false}) {
    const Example example(closed);
    for (const std::string& file : example.disk.files()) {
      if (file == "lock" || file == "reserve") continue;
      INFO("without " << file);
      SimDisk disk = example.disk.killed();
      REQUIRE(disk.root()->remove(file));
      if (file == "superblock") {
        CHECK(repair_store(*disk.root(), {}).failed_with(Errc::not_found));
        continue;
      }
      Outcome outcome;
      repair_and_verify(disk, example, outcome);
      CHECK(outcome.refused == (file == "tree" ? 1 : 0));
    }
  }
}

TEST_CASE("a crash at any step of a repair leaves it to be done again") {
  const Example example(false);
  SimDisk damaged = example.disk.killed();
  // The first page that costs something in several states.
  for (std::uint64_t page = 1;; ++page) {
    SimDisk disk = example.disk.killed();
    for (const std::uint64_t place : places_of_page(disk, page))
      disk.flip("tree", place * page_size + 900, 2);
    SimDisk copy = disk.killed();
    auto report = repair_store(*copy.root(), {});
    if (!report || report->lost.size() < 3) continue;
    damaged = std::move(disk);
    break;
  }
  int crashes = 0;
  // Each runs some 40 repairs.
  for (std::uint64_t seed = 1; seed <= std::min<std::size_t>(10, test::seeds(1).size()); ++seed) {
    std::vector<SimDisk> after;
    SimDisk disk = damaged.killed();
    auto root = disk.root();
    disk.on_step([&] { after.push_back(disk.crashed(seed * 100 + after.size())); });
    const auto told = repair_store(*root, {});
    REQUIRE(told);
    disk.on_step({});
    for (SimDisk& crashed : after) {
      INFO("step " << crashes);
      Outcome outcome;
      repair_and_verify(crashed, example, outcome, &*told);
      CHECK(outcome.refused == 0);
      ++crashes;
    }
  }
  CHECK(crashes > 10);
}

TEST_CASE("a repair that cannot write leaves the store as it was") {
  const Example example(false);
  for (std::uint64_t failing = 1; failing < 45; failing += 4) {
    SimDisk disk = example.disk.killed();
    for (const std::uint64_t place : places_of_page(disk, 14))
      disk.flip("tree", place * page_size + 900, 2);
    SimDisk undisturbed = disk.killed();
    const auto told = repair_store(*undisturbed.root(), {});
    REQUIRE(told);
    {
      auto root = disk.root();
      disk.fail_from(disk.steps() + failing, Errc::no_space);
      (void)repair_store(*root, {});
      disk.no_more_failures();
    }
    INFO("failed from step " << failing);
    Outcome outcome;
    repair_and_verify(disk, example, outcome, &*told);
    CHECK(outcome.refused == 0);
  }
}

TEST_CASE("damage in many places at once is repaired together") {
  const Example examples[] = {Example(true), Example(false)};
  Outcome outcome;
  for (const std::uint64_t seed : test::seeds(25)) {
    const Example& example = examples[seed % 2];
    std::mt19937_64 random(seed);
    SimDisk disk = example.disk.killed();
    const std::uint64_t pages = disk.file_size("tree") / page_size;
    for (std::uint64_t i = 0; i < 1 + seed % 6; ++i)
      disk.flip("tree", page_size + random() % ((pages - 1) * page_size), 3);
    for (const std::string& file : disk.files()) {
      if (file.starts_with("segment"))
        disk.flip(file, random() % disk.file_size(file), static_cast<int>(random() % 8));
    }
    INFO("seed " << seed);
    repair_and_verify(disk, example, outcome);
  }
  CHECK(outcome.repaired > 0);
}
