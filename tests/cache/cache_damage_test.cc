// The image's catalogue and block cache with every file cut and flipped, and with the power cut at
// every step: the catalogue refuses, says what is damaged, or is right; the block cache always
// opens, and gives right bytes or none.
#include <random>
#include <string>

#include "tests/support/golden_story.h"
#include "tests/support/run_jobs.h"
#include "tests/support/seeds.h"
#include "tests/support/sim_disk.h"

#include "rpc/base/log.h"
#include "tests/support/catch.h"

using namespace rowan;
using namespace rowan::cache;
using test::loading;
using test::Loss;
using test::SimDisk;

namespace {

SimDisk catalog_disk(bool closed) {
  SimDisk disk(3);
  auto root = disk.root();
  auto catalog = *Catalog::open(*root);
  test::fill_catalog(*catalog);
  if (closed) test::close_cleanly(*catalog);
  return disk;
}

void look_at_catalog(SimDisk& disk, const std::string& file, int& noticed) {
  auto root = disk.root();
  auto catalog = Catalog::open(*root);
  if (!catalog) {
    INFO(to_string(catalog.error()));
    REQUIRE(catalog.failed_with(Errc::corrupt));
    const bool later = catalog.error().detail.find("later segment") != std::string::npos;
    REQUIRE((later || catalog.error().detail.find(file) != std::string::npos));
    ++noticed;
    return;
  }
  const std::string difference = test::catalog_difference(**catalog);
  INFO(difference);
  const bool said = difference.find(to_string(Error(Errc::corrupt))) != std::string::npos;
  REQUIRE((difference.empty() || said));
  noticed += said ? 1 : 0;
}

// Steps from place to place; nightly runs take smaller ones.
std::uint64_t step(std::mt19937_64& random, std::uint64_t normal) {
  return 1 + random() % (1 + normal * 6 / test::seeds(6).size());
}

bool holds_nothing(const std::string& file) { return file == "lock" || file == "reserve"; }

BlockKey key_of(std::uint64_t object) {
  return {test::golden_version, ObjectId{object}, static_cast<std::uint32_t>(object % 3)};
}

SimDisk cache_disk() {
  SimDisk disk(4);
  auto root = disk.root();
  auto cache = *BlockCache::open(*root, {});
  test::fill_block_cache(*cache);
  return disk;
}

// How many units it still has; all of them right, and the lost ones can be put back.
int units_of(SimDisk& disk) {
  set_log_level(Level::error);   // damage is what these tests make
  auto root = disk.root();
  auto cache = *BlockCache::open(*root, {});
  int found = 0;
  for (std::uint64_t object = 1; object <= 6; ++object) {
    const auto expected = test::golden_unit(object);
    std::vector<std::byte> bytes(expected.size());
    auto read = loading(*cache, [&] { return cache->read(key_of(object), 0, bytes); });
    if (read) REQUIRE(bytes == expected);
    else REQUIRE(read.failed_with(Errc::not_found));
    found += read ? 1 : 0;
  }
  test::fill_block_cache(*cache);
  for (std::uint64_t object = 1; object <= 6; ++object) REQUIRE(cache->contains(key_of(object)));
  return found;
}

}  // namespace

TEST_CASE("a catalogue whose files are cut or flipped refuses, says so, or is right") {
  for (const bool closed : {true, false}) {
    const SimDisk healthy = catalog_disk(closed);
    std::mt19937_64 random(closed);
    int cut_noticed = 0, flip_noticed = 0;
    for (const std::string& file : healthy.files()) {
      if (holds_nothing(file)) continue;
      for (std::uint64_t at = 0; at < healthy.file_size(file); at += step(random, 700)) {
        INFO((closed ? "closed, " : "killed, ") << file << " at " << at);
        SimDisk flipped = healthy.killed();
        flipped.flip(file, at, static_cast<int>(random() % 8));
        look_at_catalog(flipped, file, flip_noticed);
        if (!closed && file.starts_with("segment")) continue;   // a cut journal is a power cut's
        SimDisk cut = healthy.killed();
        cut.cut(file, at);
        look_at_catalog(cut, file, cut_noticed);
      }
    }
    CHECK(cut_noticed > 0);
    CHECK(flip_noticed == 0);   // the journal keeps its edits twice, and this is not merged yet
  }
}

TEST_CASE("a catalogue that loses power at any step knows what was acknowledged") {
  for (const std::uint64_t seed : test::seeds(10)) {
    INFO("again with ROWAN_SIM_SEED=" << seed);
    SimDisk disk(seed);
    auto root = disk.root();
    bool complete = false;
    int cuts = 0;
    auto cut = [&] {
      SimDisk after = disk.crashed(seed + disk.steps());
      auto again = after.root();
      auto catalog = Catalog::open(*again);
      if (!catalog) FAIL("step " << disk.steps() << ": " << to_string(catalog.error()));
      const std::string difference = test::catalog_difference(**catalog);
      INFO("step " << disk.steps() << ": " << difference);
      REQUIRE((!complete || difference.empty()));
      // What was lost is unknown, not absent, and can be learned again.
      REQUIRE(difference.find("absent") == std::string::npos);
      test::fill_catalog(**catalog);
      REQUIRE(test::catalog_difference(**catalog).empty());
      ++cuts;
    };
    disk.on_step(cut);
    auto catalog = *Catalog::open(*root);
    test::fill_catalog(*catalog);
    complete = true;
    test::close_cleanly(*catalog);
    catalog.reset();
    catalog = *Catalog::open(*root);
    disk.on_step({});
    cut();
    CHECK(cuts > 15);
  }
}

TEST_CASE("a block cache whose files are cut or flipped has right units or none") {
  const SimDisk healthy = cache_disk();
  std::mt19937_64 random(5);
  int lost = 0;
  for (const std::string& file : healthy.files()) {
    for (std::uint64_t at = 0; at < healthy.file_size(file); at += step(random, 300)) {
      INFO(file << " at " << at);
      SimDisk flipped = healthy.killed();
      flipped.flip(file, at, static_cast<int>(random() % 8));
      const int left = units_of(flipped);
      // The index' header vouches for all of it.
      REQUIRE((left >= 5 || (file == "index" && at < 64)));
      SimDisk cut = healthy.killed();
      cut.cut(file, at);
      lost += 6 - units_of(cut);
    }
  }
  CHECK(lost > 100);
}

TEST_CASE("a block cache that loses power at any step has right units or none") {
  for (const std::uint64_t seed : test::seeds(10)) {
    INFO("again with ROWAN_SIM_SEED=" << seed);
    SimDisk disk(seed);
    int cuts = 0;
    disk.on_step([&] {
      SimDisk after = disk.crashed(seed + disk.steps());
      units_of(after);
      ++cuts;
    });
    auto root = disk.root();
    auto cache = *BlockCache::open(*root, {});
    test::fill_block_cache(*cache);
    cache->drop(test::golden_version, ObjectId{3});
    test::run_jobs(*cache);
    cache.reset();
    cache = *BlockCache::open(*root, {});
    disk.on_step({});
    CHECK(cuts > 5);
  }
}
