// Stores, catalogues and block caches that released formats wrote, healthy and damaged
// (tests/golden). A format that this program reads must show what was stored; one that it no longer
// reads must be refused in words, with nothing touched.
//
// `golden_tests "[.make]"` writes the files of the present format into the directory that
// ROWAN_GOLDEN_OUT names; files that are in the repository are never made again.
#include <cstdlib>
#include <fstream>

#include "cache/checker.h"
#include "cache/store_family.h"
#include "tests/support/golden_directory.h"
#include "tests/support/golden_story.h"
#include "tests/support/run_jobs.h"
#include "tests/support/sim_disk.h"

#include "tests/support/catch.h"

using namespace rowan;
using namespace rowan::cache;
using test::loading;
using test::Loss;
using test::SimDisk;

namespace {

test::StoreModel model_after(bool second_life) {
  SimDisk disk;
  auto root = disk.root();
  auto store = *Store::create(*root, test::golden_options());
  test::StoreModel model;
  test::tell_first_life(*store, model);
  if (second_life) test::tell_second_life(*store, model);
  return model;
}

SimDisk disk_of(const std::string& name) {
  SimDisk disk;
  auto root = disk.root();
  auto loaded = test::from_golden(test::read_golden(name), *root);
  INFO(name);
  if (!loaded) FAIL(to_string(loaded.error()));
  return disk;
}

// True if the format is refused as it should be: in words, and with nothing changed.
template <class Opened>
bool refused_in_words(const Opened& opened, SimDisk& disk, const std::string& name) {
  if (!opened.failed_with(Errc::not_supported)) return false;
  INFO(to_string(opened.error()));
  CHECK(opened.error().detail.find("older Rowan") != std::string::npos);
  auto root = disk.root();
  SimDisk untouched = disk_of(name);
  auto expected = untouched.root();
  // Of the lock, which is empty, the stored ones are without; every opening makes it.
  (void)expected->lock("lock");
  CHECK(*test::to_golden(*root) == *test::to_golden(*expected));
  return true;
}

std::string difference(Store& store, const test::StoreModel& model) {
  for (std::uint64_t id = test::first_golden_link; id < test::end_golden_link; ++id) {
    auto link = loading(store, [&] { return store.object(ObjectId{id}); });
    if (!link || link->target != test::golden_target(id))
      return "link " + std::to_string(id) + " has another target";
  }
  return test::difference(store, model, test::golden_objects(), test::golden_file_size);
}

void check_golden_store(const std::string& name, bool second_life) {
  SimDisk disk = disk_of(name);
  auto root = disk.root();
  auto opened = Store::open(*root, test::golden_options());
  if (refused_in_words(opened, disk, name)) return;
  if (!opened) FAIL(name << ": " << to_string(opened.error()));
  auto store = std::move(*opened);
  const test::StoreModel model = model_after(second_life);
  test::run_jobs(*store);   // what the second life left to be purged
  CHECK(difference(*store, model) == "");
  // Written to, closed and opened by today's program, it is whole.
  Transaction transaction;
  transaction.put_name(ObjectId{2}, "of today", {no_object, 0});
  REQUIRE(loading(*store, [&] { return store->apply(transaction); }));
  test::close_cleanly(*store);
  store.reset();
  auto report = check_store(*root, {.data = true});
  REQUIRE(report);
  for (const std::string& finding : report->findings) FAIL_CHECK(finding);
  store = *Store::open(*root, test::golden_options());
  CHECK(difference(*store, model).find("of today") == std::string::npos);
}

// Each object whole, or an error that names it. How many are whole.
int count_whole(Store& store, const test::StoreModel& model) {
  int whole = 0;
  for (const std::uint64_t id : test::golden_objects()) {
    if (id == test::golden_long_file || !model.files.contains(id)) continue;
    const ObjectRecord& expected = model.files.at(id).record;
    auto record = loading(store, [&] { return store.object(ObjectId{id}); });
    if (!record) {
      INFO(to_string(record.error()));
      CHECK(record.failed_with(Errc::corrupt));
      CHECK(record.error().detail.find("object " + std::to_string(id)) != std::string::npos);
      continue;
    }
    CHECK(record->target == expected.target);
    std::string problem;
    auto bytes = test::local_bytes(store, ObjectId{id}, test::golden_file_size, problem);
    if (!problem.empty()) {
      INFO(problem);
      CHECK(problem.find("object " + std::to_string(id)) != std::string::npos);
      continue;
    }
    bytes.resize(model.files.at(id).bytes.size());
    CHECK(bytes == model.files.at(id).bytes);
    ++whole;
  }
  return whole;
}

void check_damaged_store(const std::string& name) {
  SimDisk disk = disk_of(name);
  auto root = disk.root();
  auto opened = Store::open(*root, test::golden_options());
  if (refused_in_words(opened, disk, name)) return;
  if (!opened) FAIL(name << ": " << to_string(opened.error()));
  const test::StoreModel model = model_after(false);
  const int whole = count_whole(**opened, model);
  CHECK(whole >= 12);
  CHECK(whole < static_cast<int>(model.files.size()) - 1);
  opened->reset();
  auto report = check_store(*root, {.data = true});
  REQUIRE(report);
  CHECK_FALSE(report->healthy());
}

// A family: a checkpoint after the first life, a clone of it with a life of its own, and the head,
// which the second life changed until the machine died.
struct GoldenFamily {
  std::unique_ptr<StoreFamily> family;
  StateId checkpoint = no_state, clone = no_state;

  explicit GoldenFamily(std::unique_ptr<StoreFamily> opened) : family(std::move(opened)) {
    for (const StateInfo& info : family->states()) {
      if (info.label == "after the first life") checkpoint = info.id;
      if (info.label == "a clone") clone = info.id;
    }
  }
  std::unique_ptr<Store> store(StateId state) {
    auto store = loading(*family, [&] { return family->store(state); });
    if (!store) FAIL(to_string(store.error()));
    return std::move(*store);
  }
};

void rename_clone(Store& store) {
  Transaction transaction;
  transaction.put_name(ObjectId{2}, "of the clone", {ObjectId{3}, store.next_sequence()});
  REQUIRE(loading(store, [&] { return store.apply(transaction); }));
}

void check_golden_family(const std::string& name) {
  SimDisk disk = disk_of(name);
  auto root = disk.root();
  auto opened = StoreFamily::open(*root, test::golden_options());
  if (refused_in_words(opened, disk, name)) return;
  if (!opened) FAIL(name << ": " << to_string(opened.error()));
  GoldenFamily golden(std::move(*opened));
  REQUIRE(golden.family->states().size() == 3);
  auto head = golden.store(first_state);
  test::run_jobs(*golden.family);   // what the second life left to be purged
  CHECK(difference(*head, model_after(true)) == "");
  CHECK(difference(*golden.store(golden.checkpoint), model_after(false)) == "");
  auto clone = golden.store(golden.clone);
  CHECK(difference(*clone, model_after(false)).find("of the clone") != std::string::npos);
  // Today's program can go on with it, and give a part of it back.
  auto made = loading(*golden.family, [&] {
    return golden.family->rollback(first_state, golden.checkpoint, "of today");
  });
  REQUIRE(made);
  CHECK(difference(*head, model_after(false)) == "");
  head.reset();
  clone.reset();
  REQUIRE(golden.family->drop(golden.clone));
  REQUIRE(golden.family->drop(*made));
  test::make_durable(*golden.family, golden.family->applied());
  CHECK(golden.family->states().size() == 2);
  test::close_cleanly(*golden.family);
  golden.family.reset();
  auto report = check_store(*root, {.data = true});
  REQUIRE(report);
  for (const std::string& finding : report->findings) FAIL_CHECK(finding);
}

// ---- making them

void write_out(const std::string& text, const std::string& name) {
  const char* out = std::getenv("ROWAN_GOLDEN_OUT");
  REQUIRE(out != nullptr);
  std::ofstream(std::string(out) + "/" + name) << text;
}

void write_out(Directory& directory, const std::string& name) {
  auto text = test::to_golden(directory);
  REQUIRE(text);
  write_out(*text, name);
}

struct Flip {
  std::string file;
  std::uint64_t offset = 0;
  int bit = 0;
};

// The first data block of 'a's.
Flip flip_of_data(SimDisk& disk) {
  auto root = disk.root();
  for (const std::string& name : disk.files()) {
    if (!name.starts_with("segment")) continue;
    auto file = *root->open(name, OpenMode::read);
    for (std::uint64_t at = 0; at < disk.file_size(name); at += 4096) {
      std::byte byte{};
      REQUIRE(file->read_at(at, {&byte, 1}));
      if (byte == std::byte{'a'}) return {name, at + 1000, 5};
    }
  }
  FAIL("no data block of a's");
  return {};
}

// The first page of the tree whose damage costs some objects and leaves most.
Flip flip_of_page(const SimDisk& healthy, const test::StoreModel& model) {
  for (std::uint64_t page = 1; page < healthy.file_size("tree") / 16384; ++page) {
    if (!healthy.has_block("tree", page * 16384)) continue;
    const Flip flip{"tree", page * 16384 + 300, 3};
    SimDisk disk = healthy.killed();
    disk.flip(flip.file, flip.offset, flip.bit);
    auto root = disk.root();
    auto store = Store::open(*root, test::golden_options());
    if (!store) continue;
    const int whole = count_whole(**store, model);
    if (whole >= 12 && whole < static_cast<int>(model.files.size()) - 3) return flip;
  }
  FAIL("no page will do");
  return {};
}

std::string damage_to(SimDisk& disk, const test::StoreModel& model) {
  std::string lines;
  for (const Flip& flip : {flip_of_data(disk), flip_of_page(disk, model)})
    lines += "flip " + flip.file + ' ' + std::to_string(flip.offset) + ' ' +
             std::to_string(flip.bit) + '\n';
  return lines;
}

}  // namespace

TEST_CASE("stores that older versions wrote show what was stored, or are refused in words") {
  check_golden_store("store-1-closed.txt", false);
  check_golden_store("store-1-crashed.txt", true);
  check_golden_store("store-2-closed.txt", false);
  check_golden_store("store-2-crashed.txt", true);
}

TEST_CASE("this program reads format 2 and not format 1") {
  for (const bool present : {false, true}) {
    for (const std::string end : {"-closed.txt", "-crashed.txt", "-damaged.txt"}) {
      SimDisk disk = disk_of((present ? "store-2" : "store-1") + end);
      auto root = disk.root();
      auto opened = Store::open(*root, test::golden_options());
      CHECK(opened.has_value() == present);
    }
  }
}

TEST_CASE("damage in an old store is named, and the rest of it is served") {
  check_damaged_store("store-1-damaged.txt");
  check_damaged_store("store-2-damaged.txt");
}

TEST_CASE("a family of stores of an older version has all its states") {
  check_golden_family("family-2-crashed.txt");
}

TEST_CASE("damage in an old family is named in every state that has it") {
  SimDisk disk = disk_of("family-2-damaged.txt");
  auto root = disk.root();
  GoldenFamily golden(*StoreFamily::open(*root, test::golden_options()));
  for (const StateId state : {golden.checkpoint, golden.clone}) {
    const int whole = count_whole(*golden.store(state), model_after(false));
    CHECK(whole >= 12);
    CHECK(whole < static_cast<int>(model_after(false).files.size()) - 1);
  }
  golden.family.reset();
  auto report = check_store(*root, {.data = true});
  REQUIRE(report);
  CHECK_FALSE(report->healthy());
}

TEST_CASE("a catalogue of an older version shows what was stored, or is refused in words") {
  for (const std::string name : {"catalog-1.txt", "catalog-2.txt"}) {
    SimDisk disk = disk_of(name);
    auto root = disk.root();
    auto opened = Catalog::open(*root);
    if (refused_in_words(opened, disk, name)) continue;
    if (!opened) FAIL(to_string(opened.error()));
    CHECK(test::catalog_difference(**opened) == "");
  }
}

TEST_CASE("a block cache of an older version still has its units") {
  SimDisk disk = disk_of("block-cache-1.txt");
  auto root = disk.root();
  auto cache = *BlockCache::open(*root, {});
  CHECK(cache->usage().units == 6);
  for (std::uint64_t object = 1; object <= 6; ++object) {
    const BlockKey key{test::golden_version, ObjectId{object},
                       static_cast<std::uint32_t>(object % 3)};
    const auto expected = test::golden_unit(object);
    std::vector<std::byte> bytes(expected.size());
    REQUIRE(loading(*cache, [&] { return cache->read(key, 0, bytes); }));
    CHECK(bytes == expected);
  }
}

TEST_CASE("write the golden stores of the present format", "[.make]") {
  SimDisk disk;
  test::StoreModel model;
  auto root = disk.root();
  {
    auto store = *Store::create(*root, test::golden_options());
    test::tell_first_life(*store, model);
    test::close_cleanly(*store);
  }
  write_out(*root, "store-closed.txt");
  write_out("like store-closed.txt\n" + damage_to(disk, model), "store-damaged.txt");
  {
    SimDisk second = disk.killed();
    auto directory = second.root();
    auto store = *Store::open(*directory, test::golden_options());
    test::tell_second_life(*store, model);
    SimDisk crashed = second.crashed(1, Loss::all);
    write_out(*crashed.root(), "store-crashed.txt");
  }
}

TEST_CASE("write a golden family of the present format", "[.make]") {
  SimDisk disk;
  auto root = disk.root();
  test::StoreModel model;
  GoldenFamily golden(*StoreFamily::create(*root, test::golden_options()));
  auto head = golden.store(first_state);
  test::tell_first_life(*head, model);
  const StateId checkpoint = *golden.family->checkpoint(first_state, "after the first life");
  auto clone = golden.store(*golden.family->branch(checkpoint, "a clone"));
  rename_clone(*clone);
  test::make_durable(*golden.family, golden.family->applied());
  // In what the checkpoint and the clone have; the second life is in other places.
  SimDisk first = disk.killed();
  write_out("like family-2-crashed.txt\n" + damage_to(first, model), "family-damaged.txt");
  test::tell_second_life(*head, model);
  SimDisk crashed = disk.crashed(1, Loss::all);
  write_out(*crashed.root(), "family-crashed.txt");
}

TEST_CASE("write a golden catalogue and a golden block cache of the present format", "[.make]") {
  SimDisk disk;
  auto root = disk.root();
  auto catalog_directory = *root->directory("catalog", true);
  auto catalog = *Catalog::open(*catalog_directory);
  test::fill_catalog(*catalog);
  test::close_cleanly(*catalog);
  catalog.reset();
  write_out(*catalog_directory, "catalog.txt");
  auto cache_directory = *root->directory("blocks", true);
  auto cache = *BlockCache::open(*cache_directory, {});
  test::fill_block_cache(*cache);
  cache.reset();
  write_out(*cache_directory, "block-cache.txt");
}
