#include "tools/dump.h"

#include <algorithm>
#include <string>
#include <vector>

#include "cache/catalog_records.h"
#include "cache/table_versions.h"
#include "tests/support/golden_story.h"
#include "tests/support/run_jobs.h"
#include "tests/support/sim_disk.h"
#include "tools/dump_records.h"

#include "tests/support/catch.h"

namespace rowan::tools {
namespace {

using namespace cache;
using test::SimDisk;

struct Printed {
  std::vector<DumpedItem> items;
  std::uint64_t damaged = 0;

  std::size_t count(const std::string& what) const {
    return static_cast<std::size_t>(
        std::count_if(items.begin(), items.end(), [&](const auto& i) { return i.what == what; }));
  }
  bool has_line(const std::string& words) const {
    return std::any_of(items.begin(), items.end(), [&](const DumpedItem& item) {
      return item_text(item).find(words) != std::string::npos;
    });
  }
};

Printed print(SimDisk& disk, const DumpOptions& options = {}) {
  Printed printed;
  auto root = disk.root();
  auto damaged = dump_directory(*root, options, [&](const DumpedItem& item) {
    printed.items.push_back(item);
  });
  if (!damaged) FAIL(to_string(damaged.error()));
  printed.damaged = *damaged;
  return printed;
}

SimDisk store_disk(bool closed) {
  SimDisk disk(9);
  test::StoreModel model;
  auto root = disk.root();
  auto store = *Store::create(*root, test::golden_options());
  test::tell_first_life(*store, model);
  // The second life is in the journal only.
  if (!closed) test::tell_second_life(*store, model);
  else test::close_cleanly(*store);
  return disk;
}

}  // namespace

TEST_CASE("every kind of file of a store is printed, with its records") {
  SimDisk disk = store_disk(true);
  const Printed printed = print(disk);
  CHECK(printed.damaged == 0);
  CHECK(printed.count("superblock") == 2);
  CHECK(printed.count("bitmap") >= 2);
  CHECK(printed.count("inner") >= 1);
  CHECK(printed.count("leaf") >= 5);
  CHECK(printed.count("object") >= 20);
  CHECK(printed.count("extent") >= 270);
  CHECK(printed.count("counters") >= 2);   // that leaf is there twice
  CHECK(printed.count("live blocks") >= 1);
  CHECK(printed.has_line("name object=2 name=file5 child=5 sequence=2"));
  CHECK(printed.has_line("name object=2 name=hidden child=whiteout sequence=0"));
  CHECK(printed.has_line("file \"file5\" in "));
  CHECK(printed.has_line("generation "));
  for (const DumpedItem& item : printed.items) {
    const proxy::Json json = item_json(item);
    CHECK(proxy::parse_json(proxy::json_line(json)));
    CHECK(proxy::text_member(json, "at"));
  }
}

TEST_CASE("one file can be printed by itself, and without its records") {
  SimDisk disk = store_disk(true);
  DumpOptions options;
  options.files = {"tree"};
  options.records = false;
  REQUIRE(disk.root()->remove("superblock"));   // nothing else is needed
  const Printed printed = print(disk, options);
  CHECK(printed.count("leaf") >= 5);
  CHECK(printed.count("object") == 0);
  options.files = {"no such file"};
  auto root = disk.root();
  CHECK(dump_directory(*root, options, [](const DumpedItem&) {}).failed_with(Errc::not_found));
}

TEST_CASE("a journal is printed with its edits, from the copies where the first place is damaged") {
  SimDisk disk = store_disk(false);
  const Printed before = print(disk);
  CHECK(before.damaged == 0);
  CHECK(before.count("purge") >= 1);
  const auto group =
      std::find_if(before.items.rbegin(), before.items.rend(),
                   [](const DumpedItem& item) { return item.what == "group"; });
  REQUIRE(group != before.items.rend());
  const std::string at = group->at;   // "segment-00000001 block 7"
  const std::string file = at.substr(0, at.find(' '));
  disk.flip(file, std::stoull(at.substr(at.rfind(' ') + 1)) * 4096 + 50, 1);
  const Printed after = print(disk);
  CHECK(after.damaged == 1);
  CHECK(after.has_line(at + ": group"));
  CHECK(after.has_line("DAMAGED: only its copy can be read"));
  CHECK(after.count("extent") == before.count("extent"));
}

TEST_CASE("damage is named at its place, and what lies behind it is printed") {
  SimDisk healthy = store_disk(true);
  const Printed whole = print(healthy);
  for (const DumpedItem& item : whole.items) {
    if (item.what != "leaf") continue;
    const std::uint64_t number = std::stoull(item.at.substr(item.at.rfind(' ') + 1));
    SimDisk disk = healthy.killed();
    disk.flip("tree", number * 16384 + 20, 3);   // in the header: birth
    disk.flip("superblock", 100, 2);
    const Printed printed = print(disk);
    INFO(item.at);
    CHECK(printed.damaged == 2);
    CHECK(printed.has_line("superblock offset 0: superblock DAMAGED"));
    CHECK(printed.has_line("DAMAGED: wrong checksum"));
    CHECK(printed.count("leaf") == whole.count("leaf"));
  }
}

TEST_CASE("no cut and no flip stops the printing") {
  const SimDisk healthy = store_disk(false);
  for (const std::string& file : healthy.files()) {
    for (std::uint64_t at = 0; at < healthy.file_size(file); at += 4567) {
      SimDisk disk = healthy.killed();
      disk.flip(file, at, static_cast<int>(at % 8));
      CHECK(print(disk).items.size() > 10);
      disk.cut(file, at);
      CHECK(print(disk).items.size() > 1);
    }
  }
}

TEST_CASE("a catalogue and the block cache's index are printed") {
  SimDisk disk(2);
  auto root = disk.root();
  auto catalog = *Catalog::open(*root);
  test::fill_catalog(*catalog);
  test::close_cleanly(*catalog);
  catalog.reset();
  const Printed names = print(disk);
  CHECK(names.damaged == 0);
  CHECK(names.has_line("name=file7"));
  CHECK(names.count("attributes") >= 20);
  SimDisk cache_disk(3);
  auto cache_root = cache_disk.root();
  auto cache = *BlockCache::open(*cache_root, {});
  test::fill_block_cache(*cache);
  cache.reset();
  CHECK(print(cache_disk).has_line("record: put slot=0 length=16384"));
  cache_disk.flip("index", 70, 1);
  CHECK(print(cache_disk).damaged == 1);
}

TEST_CASE("states are listed, and one state's tree and batches can be printed alone") {
  SimDisk disk(4);
  auto root = disk.root();
  auto table = *VersionedTable::create(*root, {});
  auto put = [&](StateId state, const std::string& key) {
    Batch batch;
    batch.put(key, "value of " + key);
    REQUIRE(table->view(state)->apply(batch));
    test::make_durable(*table, table->applied());
  };
  put(first_state, "t-before");
  const StateId frozen = *table->checkpoint(first_state, "the label");
  put(first_state, "t-after");
  const StateId clone = *table->branch(frozen, "a clone");
  put(clone, "t-cloned");
  auto number = [](StateId state) { return std::to_string(to_number(state)); };

  DumpOptions of_clone;
  of_clone.state = clone;
  const Printed journal = print(disk, of_clone);   // nothing is merged: all is in the journal
  CHECK(journal.has_line("batch ticket=5 state=" + number(clone)));
  CHECK(journal.has_line("operation: branch other=" + number(frozen) + " label=\"a clone\""));
  CHECK(journal.count("target") == 1);

  CHECK(table->pin(frozen).failed_with(Errc::try_later));   // asks for a merge
  test::run_jobs(*table);
  const Printed all = print(disk);
  CHECK(all.damaged == 0);
  CHECK(all.has_line("state " + number(frozen) + ": checkpoint frozen_at=2 "));
  CHECK(all.has_line("state " + number(clone) + ": head parent=" + number(frozen)));
  const Printed one = print(disk, of_clone);
  CHECK(one.has_line("value of t-cloned"));
  CHECK(one.has_line("value of t-before"));
  CHECK_FALSE(one.has_line("value of t-after"));
  CHECK(all.has_line("value of t-after"));
  CHECK(one.count("leaf") == 1);
  CHECK(one.count("head") == 1);
  CHECK(one.count("checkpoint") == 0);
  DumpOptions of_nothing;
  of_nothing.state = StateId{77};
  CHECK(dump_directory(*root, of_nothing, [](const DumpedItem&) {}).failed_with(Errc::not_found));
}

TEST_CASE("every kind of record has a word for it") {
  for (const char kind : cache::catalog::version_kinds) {
    INFO(kind);
    CHECK(dump_record(std::string(1, kind) + "12345678", std::nullopt).damage.empty());
  }
}

TEST_CASE("a record outside its grammar is printed in hexadecimal and called damaged") {
  const DumpedRecord bad = dump_record("A123", "x");
  CHECK_FALSE(bad.damage.empty());
  CHECK(*proxy::text_member(bad.fields, "key") == "41313233");
  CHECK(*proxy::text_member(bad.fields, "value") == "78");
  CHECK_FALSE(dump_record("", "x").damage.empty());
}

}  // namespace rowan::tools
