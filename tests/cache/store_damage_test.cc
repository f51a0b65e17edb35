// Every file of a store cut, flipped, removed, swapped and taken from an older backup: opening
// refuses in words that name the file, or what is damaged is named and the rest is served. Wrong
// data, missing names and crashes are not among the outcomes.
#include <random>
#include <set>
#include <string>

#include "cache/checker.h"
#include "tests/support/golden_story.h"
#include "tests/support/run_jobs.h"
#include "tests/support/seeds.h"
#include "tests/support/sim_disk.h"
#include "tests/support/store_survey.h"

#include "tests/support/catch.h"

using namespace rowan;
using namespace rowan::cache;
using test::SimDisk;
using test::StoreModel;
using test::Survey;

namespace {

// A store of two lives, the second of which was closed or killed; what it holds; and a backup from
// between the two.
struct Example {
  SimDisk disk{7}, backup{8};
  StoreModel model;
  std::unique_ptr<Directory> root = disk.root();

  explicit Example(bool closed) {
    auto store = *Store::create(*root, test::golden_options());
    test::tell_first_life(*store, model);
    test::close_cleanly(*store);
    store.reset();
    backup = disk.killed();
    store = *Store::open(*root, test::golden_options());
    test::tell_second_life(*store, model);
    if (closed) test::close_cleanly(*store);
  }
};

struct Tally {
  int refused = 0, damaged = 0, whole = 0;
  std::set<std::string> reasons;
};

// Opens and reads everything.
void look(SimDisk& disk, const StoreModel& model, const std::string& file, Tally& tally) {
  auto root = disk.root();
  auto store = Store::open(*root, test::golden_options());
  if (!store) {
    ++tally.refused;
    tally.reasons.insert(store.error().detail);
    INFO(to_string(store.error()));
    REQUIRE((store.failed_with(Errc::corrupt) || store.failed_with(Errc::not_found)));
    const bool missing = store.error().detail.find("later segment") != std::string::npos;
    REQUIRE((missing || store.error().detail.find(file) != std::string::npos));
    return;
  }
  const Survey found = test::survey(**store, model, test::golden_file_size);
  REQUIRE(found.wrong == "");
  ++(found.damaged > 0 ? tally.damaged : tally.whole);
  store->reset();
  if (found.damaged > 0) REQUIRE_FALSE(check_store(*root, {.data = true})->healthy());
}

void copy_file(Directory& from, const std::string& name, Directory& to, const std::string& as) {
  auto file = *from.open(name, OpenMode::read);
  std::vector<std::byte> bytes(*file->size());
  REQUIRE(*file->read_at(0, bytes) == bytes.size());
  auto copy = *to.open(as, OpenMode::create);
  REQUIRE(copy->truncate(0));
  REQUIRE(copy->write_at(0, bytes));
}

// Nightly runs look at more places.
std::uint64_t stride(std::uint64_t normal) { return 1 + normal * 6 / test::seeds(6).size(); }

bool holds_nothing(const std::string& file) { return file == "lock" || file == "reserve"; }

std::string newest_segment(const SimDisk& disk) {
  std::string newest;
  for (const std::string& file : disk.files()) {
    if (file.starts_with("segment")) newest = std::max(newest, file);
  }
  return newest;
}

}  // namespace

TEST_CASE("a file of a store cut at any length is refused or served without a wrong byte") {
  const Example example(true);
  for (const std::string& file : example.disk.files()) {
    const std::uint64_t size = example.disk.file_size(file);
    Tally tally;
    const std::uint64_t step = stride(file.starts_with("segment") ? 2477 : 211);
    for (std::uint64_t length = 0; length < size; length += step) {
      INFO(file << " cut to " << length << " of " << size);
      SimDisk disk = example.disk.killed();
      disk.cut(file, length);
      look(disk, example.model, file, tally);
    }
    INFO(file << ": " << tally.refused << " refused, " << tally.damaged << " damaged, "
              << tally.whole << " whole");
    if (holds_nothing(file)) {
      CHECK(tally.refused + tally.damaged == 0);
    } else {
      CHECK(tally.refused + tally.damaged > 0);
    }
  }
}

TEST_CASE("a bit flipped in any file of a store costs what lay there and no more") {
  for (const bool closed : {true, false}) {
    const Example example(closed);
    std::mt19937_64 random(closed);
    for (const std::string& file : example.disk.files()) {
      if (holds_nothing(file)) continue;
      Tally tally;
      const std::uint64_t size = example.disk.file_size(file);
      for (std::uint64_t at = 0; at < size; at += 1 + random() % stride(900)) {
        if (!example.disk.has_block(file, at)) continue;
        INFO(file << " flipped at " << at);
        SimDisk disk = example.disk.killed();
        disk.flip(file, at, static_cast<int>(random() % 8));
        look(disk, example.model, file, tally);
      }
      INFO(file << ": " << tally.refused << " refused, " << tally.damaged << " damaged, "
                << tally.whole << " whole");
      // Only the leaf in which the purge marks begin is needed to open the store: without them
      // nobody knows what of the files is still there.
      CHECK(tally.reasons.size() <= (file == "tree" ? 1 : 0));
    }
  }
}

TEST_CASE("both copies of the superblock damaged is refused, and so is an empty one") {
  const Example example(true);
  SimDisk disk = example.disk.killed();
  disk.flip("superblock", 20, 1);
  disk.flip("superblock", 65536 + 20, 1);
  Tally tally;
  look(disk, example.model, "superblock", tally);
  CHECK(tally.refused == 1);
}

TEST_CASE("a store without one of its files is refused or says what is missing") {
  for (const bool closed : {true, false}) {
    const Example example(closed);
    for (const std::string& file : example.disk.files()) {
      INFO("without " << file);
      // Nothing outside the newest segment speaks of it before a merge or a clean end (FORMAT.md,
      // "weaknesses").
      if (!closed && file == newest_segment(example.disk)) continue;
      SimDisk disk = example.disk.killed();
      REQUIRE(disk.root()->remove(file));
      Tally tally;
      look(disk, example.model, file, tally);
      if (holds_nothing(file)) {
        CHECK(tally.whole == 1);
      } else {
        CHECK(tally.whole == 0);
      }
    }
  }
}

TEST_CASE("files of another store and files that changed places are never taken for right") {
  const Example example(true), other(true);
  for (const std::string& file : example.disk.files()) {
    if (holds_nothing(file)) continue;
    INFO("another store's " << file);
    SimDisk disk = example.disk.killed();
    copy_file(*other.root, file, *disk.root(), file);
    Tally tally;
    // A foreign superblock makes everything else foreign: any of the files may be named.
    look(disk, example.model, file == "superblock" ? "" : file, tally);
    // The other's data may happen to be the same bytes at the same place.
    if (!file.starts_with("segment")) CHECK(tally.whole == 0);
  }
  std::vector<std::string> segments;
  for (const std::string& file : example.disk.files()) {
    if (file.starts_with("segment")) segments.push_back(file);
  }
  for (const std::string& one : segments) {
    for (const std::string& two : segments) {
      if (one >= two) continue;
      INFO(one << " and " << two << " changed places");
      SimDisk disk = example.disk.killed();
      copy_file(*example.root, one, *disk.root(), two);
      copy_file(*example.root, two, *disk.root(), one);
      Tally tally;
      look(disk, example.model, "segment", tally);
      CHECK(tally.whole == 0);
    }
  }
  CHECK(segments.size() > 1);
}

TEST_CASE("one file from an older backup is noticed") {
  for (const bool closed : {true, false}) {
    const Example example(closed);
    SimDisk older = example.backup.killed();
    auto old_root = older.root();
    for (const std::string& file : older.files()) {
      if (holds_nothing(file)) continue;
      INFO(file << " from the backup, " << (closed ? "closed" : "killed"));
      SimDisk disk = example.disk.killed();
      copy_file(*old_root, file, *disk.root(), file);
      Tally tally;
      look(disk, example.model, "", tally);
    }
  }
}
