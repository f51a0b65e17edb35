#include "cache/block_cache.h"

#include <map>
#include <random>
#include <set>
#include <vector>

#include "tests/support/cache_bench.h"
#include "tests/support/catch.h"

namespace rowan::cache {
namespace {

using test::CacheBench;
using test::unit_bytes;

constexpr VersionId version{77};
constexpr VersionId other_version{78};

BlockKey key_of(std::uint64_t object, std::uint32_t index = 0) {
  return {version, ObjectId{object}, index};
}

}  // namespace

TEST_CASE("an offered unit is read at once, after it was written, and after a restart") {
  CacheBench bench;
  BlockKey key = key_of(5, 3);
  REQUIRE(bench.read(key).failed_with(Errc::not_found));
  bench.offer(key, unit_bytes(1));
  REQUIRE(*bench.read(key) == unit_bytes(1));
  bench.finish_jobs();
  REQUIRE_FALSE(bench.cache().busy());
  REQUIRE(*bench.read(key) == unit_bytes(1));
  bench.reopen();
  REQUIRE(bench.cache().contains(key));
  REQUIRE(*bench.read(key) == unit_bytes(1));
  REQUIRE(bench.read(key_of(5, 4)).failed_with(Errc::not_found));
  REQUIRE(bench.cache().usage().units == 1);
  REQUIRE(bench.cache().usage().hits == 1);
  REQUIRE(bench.cache().usage().misses == 1);
}

TEST_CASE("any part of a unit can be read, from memory and from disk") {
  CacheBench bench;
  for (std::uint32_t length : {1u, 4095u, 4096u, 4097u, 12288u, 16383u, 16384u}) {
    BlockKey key = key_of(length);
    auto bytes = unit_bytes(length, length);
    bench.offer(key, bytes);
    for (bool written : {false, true}) {
      if (written) bench.finish_jobs();
      for (std::uint32_t skip : {0u, 1u, 4095u, 4096u, 8191u, 12288u, 16383u}) {
        for (std::uint32_t count : {1u, 100u, 4096u, 8192u, 16384u}) {
          if (skip + count > length) continue;
          std::vector<std::byte> into(count);
          REQUIRE(bench.cache().read(key, skip, into));
          REQUIRE(std::equal(into.begin(), into.end(), bytes.begin() + skip));
        }
      }
      std::vector<std::byte> one(1);
      REQUIRE(bench.cache().read(key, length, one).failed_with(Errc::invalid));
    }
  }
}

namespace {

// The file's bytes from `offset` on as read_run() gives them, piece by piece; counts the calls.
std::vector<std::byte> read_file(CacheBench& bench, std::uint64_t offset, std::size_t size,
                                 int& calls) {
  std::vector<std::byte> into(size);
  for (std::size_t at = 0; at < size; ++calls) {
    BlockKey key = key_of(4, static_cast<std::uint32_t>((offset + at) / unit_size));
    auto skip = static_cast<std::uint32_t>((offset + at) % unit_size);
    auto got = bench.cache().read_run(key, skip, ByteSpan(into).subspan(at));
    REQUIRE(got);
    REQUIRE(*got >= std::min<std::size_t>(unit_size - skip, size - at));
    at += *got;
  }
  return into;
}

// 20 units and a bit of object 4, and neighbours that must never be taken for its units.
std::vector<std::byte> offer_file(CacheBench& bench) {
  auto file = unit_bytes(1, 20 * unit_size + 5000);
  for (std::uint32_t index = 0; index <= 20; ++index) {
    std::size_t at = std::size_t{index} * unit_size;
    bench.offer(key_of(4, index),
                ByteView(file).subspan(at, std::min<std::size_t>(unit_size, file.size() - at)));
  }
  bench.offer(key_of(5, 21), unit_bytes(2));
  return file;
}

}  // namespace

TEST_CASE("a run of units is read at one go, from any byte to any byte") {
  CacheBench bench;
  auto file = offer_file(bench);
  for (bool written : {false, true}) {
    if (written) bench.finish_jobs();
    for (std::size_t from : {0u, 1u, 4096u, 16383u, 16384u, 12288u, 300'000u}) {
      for (std::size_t size : {1u, 4096u, 16384u, 20'000u, 32768u, 65'536u, 262'144u, 332'680u}) {
        if (from + size > file.size()) continue;
        int calls = 0;
        auto got = read_file(bench, from, size, calls);
        REQUIRE(std::equal(got.begin(), got.end(), file.begin() + from));
        if (written && from == 0 && size == 262'144) CHECK(calls == 2);
      }
    }
  }
  std::uint64_t hits = bench.cache().usage().hits;
  int calls = 0;
  read_file(bench, 0, 4 * unit_size, calls);
  CHECK(bench.cache().usage().hits == hits + 4);
}

TEST_CASE("a damaged unit within a run is the only one that is lost") {
  CacheBench bench;
  auto file = offer_file(bench);
  bench.finish_jobs();
  bench.flip_bit_of_block(3 * 4 + 1);
  std::vector<std::byte> into(8 * unit_size);
  std::vector<std::uint32_t> lost;
  for (std::uint32_t index = 0; index < 8;) {
    auto got = bench.cache().read_run(key_of(4, index), 0,
                                      ByteSpan(into).subspan(std::size_t{index} * unit_size));
    if (got) {
      index += static_cast<std::uint32_t>(*got / unit_size);
    } else {
      REQUIRE(got.failed_with(Errc::not_found));
      lost.push_back(index++);
    }
  }
  REQUIRE(lost.size() == 1);
  std::size_t begin = lost[0] * std::size_t{unit_size};
  CHECK(std::equal(into.begin(), into.begin() + begin, file.begin()));
  CHECK(std::equal(into.begin() + begin + unit_size, into.end(), file.begin() + begin + unit_size));
  CHECK(bench.cache().usage().damaged == 1);
}

TEST_CASE("a run that is not in the page cache asks for the load of its first unit") {
  CacheBench bench;
  auto file = offer_file(bench);
  bench.finish_jobs();
  bench.faults().cold = true;
  std::vector<std::byte> into(4 * unit_size);
  REQUIRE(bench.cache().read_run(key_of(4), 0, into).failed_with(Errc::needs_load));
  auto job = bench.cache().take_load();
  REQUIRE(job != nullptr);
  REQUIRE(bench.cache().take_load() == nullptr);
  REQUIRE(bench.cache().read_run(key_of(6), 0, into).failed_with(Errc::not_found));
  job->run();
  bench.cache().complete(std::move(job));
  auto got = bench.cache().read_run(key_of(4), 0, into);
  REQUIRE(got);
  CHECK(*got == unit_size);
  CHECK(std::equal(into.begin(), into.begin() + unit_size, file.begin()));
}

TEST_CASE(
    "a flipped bit is found by whoever reads that block, counted, and the unit is fetched again") {
  CacheBench bench;
  BlockKey key = key_of(9);
  bench.offer(key, unit_bytes(3));
  bench.finish_jobs();
  bench.flip_bit_of_block(2);
  // The other blocks verify; only what is read is verified.
  std::vector<std::byte> block(4096);
  REQUIRE(bench.cache().read(key, 4096, block));
  REQUIRE(bench.cache().read(key, 8192, block).failed_with(Errc::not_found));
  REQUIRE(bench.cache().usage().damaged == 1);
  REQUIRE_FALSE(bench.cache().contains(key));
  bench.offer(key, unit_bytes(3));
  bench.finish_jobs();
  REQUIRE(*bench.read(key) == unit_bytes(3));
  bench.reopen();
  REQUIRE(*bench.read(key) == unit_bytes(3));
}

TEST_CASE("a fill that comes after a drop is not kept") {
  CacheBench bench;
  BlockKey key = key_of(9);
  auto seen = bench.cache().generation(key);
  bench.cache().drop(version);
  bench.cache().offer(key, unit_bytes(1), seen);
  REQUIRE_FALSE(bench.cache().contains(key));
  REQUIRE(bench.cache().usage().refused_offers == 1);
  seen = bench.cache().generation(key);
  bench.cache().drop(version, ObjectId{9});
  bench.cache().offer(key, unit_bytes(1), seen);
  REQUIRE_FALSE(bench.cache().contains(key));
  seen = bench.cache().generation(key);
  bench.cache().offer(key, unit_bytes(1), seen);
  // The second of two fills of one miss finds the first.
  bench.cache().offer(key, unit_bytes(2), seen);
  REQUIRE(*bench.read(key) == unit_bytes(1));
  bench.finish_jobs();
}

TEST_CASE("dropping a version leaves the others, before and after it was written") {
  for (int stage = 0; stage < 3; ++stage) {
    INFO("stage " << stage);
    CacheBench bench;
    for (std::uint64_t object = 1; object <= 20; ++object) {
      bench.offer(key_of(object), unit_bytes(object));
      bench.offer({other_version, ObjectId{object}, 0}, unit_bytes(100 + object));
    }
    std::unique_ptr<Job> job;
    if (stage == 1) job = bench.cache().next_job();
    if (stage == 2) bench.finish_jobs();
    bench.cache().drop(version);
    bench.cache().drop(other_version, ObjectId{3});
    REQUIRE(bench.cache().usage().units == 19);
    if (job) {
      job->run();
      bench.cache().complete(std::move(job));
    }
    bench.finish_jobs();
    bench.reopen();
    for (std::uint64_t object = 1; object <= 20; ++object) {
      REQUIRE_FALSE(bench.cache().contains(key_of(object)));
      auto read = bench.read({other_version, ObjectId{object}, 0});
      REQUIRE(read.has_value() == (object != 3));
      if (read) REQUIRE(*read == unit_bytes(100 + object));
    }
    REQUIRE(bench.allocated_bytes() <= 19 * unit_size + 64 * 1024);
  }
}

TEST_CASE("the byte limit holds at every moment, whatever the sizes") {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    INFO("seed " << seed);
    BlockCacheOptions options;
    options.limit_bytes = 1 << 20;
    CacheBench bench(options);
    bench.faults().no_punch = seed == 4;   // a file system that cannot give space back
    if (seed == 4) bench.reopen(options);
    std::mt19937_64 random(seed);
    for (int step = 0; step < 1500; ++step) {
      auto length = static_cast<std::uint32_t>(random() % 2 == 0 ? 16384 : 1 + random() % 16384);
      bench.offer(key_of(random() % 5000), unit_bytes(step, length));
      std::vector<std::byte> byte(1);
      (void)bench.cache().read(key_of(random() % 5000), 0, byte);
      if (random() % 4 != 0) continue;
      if (auto job = bench.cache().next_job()) {
        job->run();
        REQUIRE(bench.allocated_bytes() <= options.limit_bytes);
        bench.cache().complete(std::move(job));
      }
      REQUIRE(bench.cache().usage().bytes <= options.limit_bytes);
    }
    bench.finish_jobs();
    REQUIRE(bench.allocated_bytes() <= options.limit_bytes);
    REQUIRE(bench.cache().usage().evictions > 100);
    // It is also used: most of what the limit allows, without the reserve for the index.
    REQUIRE(bench.cache().usage().bytes > options.limit_bytes / 2);
  }
}

TEST_CASE("a smaller limit at the next start is met at once") {
  CacheBench bench;
  for (std::uint64_t object = 1; object <= 200; ++object)
    bench.offer(key_of(object), unit_bytes(object));
  bench.finish_jobs();
  BlockCacheOptions smaller;
  smaller.limit_bytes = 1 << 20;
  bench.reopen(smaller);
  REQUIRE(bench.allocated_bytes() <= smaller.limit_bytes);
  REQUIRE(bench.cache().usage().units > 20);
  for (std::uint64_t object = 1; object <= 200; ++object) {
    auto read = bench.read(key_of(object));
    if (read) REQUIRE(*read == unit_bytes(object));
  }
}

TEST_CASE("a cache without room keeps nothing and harms nobody") {
  BlockCacheOptions options;
  options.limit_bytes = 0;
  CacheBench bench(options);
  bench.offer(key_of(1), unit_bytes(1));
  REQUIRE_FALSE(bench.cache().contains(key_of(1)));
  REQUIRE(bench.cache().usage().refused_offers == 1);
  REQUIRE_FALSE(bench.cache().busy());
}

TEST_CASE("offers beyond what may wait for the disk are refused") {
  BlockCacheOptions options;
  options.pending_bytes = 10 * unit_size;
  CacheBench bench(options);
  for (std::uint64_t object = 0; object < 15; ++object)
    bench.offer(key_of(object), unit_bytes(object));
  REQUIRE(bench.cache().usage().units == 10);
  REQUIRE(bench.cache().usage().refused_offers == 5);
  auto job = bench.cache().next_job();
  bench.offer(key_of(99), unit_bytes(99));   // those of a job that is out count as well
  REQUIRE(bench.cache().usage().units == 10);
  job->run();
  bench.cache().complete(std::move(job));
  bench.offer(key_of(99), unit_bytes(99));
  REQUIRE(bench.cache().usage().units == 11);
  bench.finish_jobs();
}

TEST_CASE("a full disk costs the offer, not the reader, and the cache works again afterwards") {
  CacheBench bench;
  bench.offer(key_of(1), unit_bytes(1));
  bench.finish_jobs();
  bench.faults().disk_full = true;
  bench.offer(key_of(2), unit_bytes(2));
  REQUIRE(*bench.read(key_of(2)) == unit_bytes(2));
  bench.finish_jobs();
  REQUIRE(bench.read(key_of(2)).failed_with(Errc::not_found));
  REQUIRE(*bench.read(key_of(1)) == unit_bytes(1));
  REQUIRE(bench.cache().usage().write_failures == 1);
  bench.faults().disk_full = false;
  bench.offer(key_of(2), unit_bytes(2));
  bench.finish_jobs();
  bench.reopen();
  REQUIRE(*bench.read(key_of(1)) == unit_bytes(1));
  REQUIRE(*bench.read(key_of(2)) == unit_bytes(2));
}

TEST_CASE("a unit that is not in the page cache is loaded by a job, once for all who ask") {
  CacheBench bench;
  bench.offer(key_of(1), unit_bytes(1));
  bench.finish_jobs();
  bench.faults().cold = true;
  std::vector<std::byte> block(4096);
  REQUIRE(bench.cache().read(key_of(1), 0, block).failed_with(Errc::needs_load));
  REQUIRE(bench.cache().read(key_of(1), 4096, block).failed_with(Errc::needs_load));
  auto job = bench.cache().take_load();
  REQUIRE(job != nullptr);
  REQUIRE(bench.cache().take_load() == nullptr);
  job->run();
  bench.cache().complete(std::move(job));
  REQUIRE(bench.cache().read(key_of(1), 4096, block));
  auto expected = unit_bytes(1);
  REQUIRE(std::equal(block.begin(), block.end(), expected.begin() + 4096));
}

TEST_CASE("a unit that is dropped while it is loaded stays dropped") {
  CacheBench bench;
  bench.offer(key_of(1), unit_bytes(1));
  bench.finish_jobs();
  bench.faults().cold = true;
  std::vector<std::byte> block(4096);
  REQUIRE(bench.cache().read(key_of(1), 0, block).failed_with(Errc::needs_load));
  auto job = bench.cache().take_load();
  bench.cache().drop(version);
  bench.finish_jobs();
  bench.offer(key_of(2), unit_bytes(2));   // takes the slot
  bench.finish_jobs();
  job->run();
  bench.cache().complete(std::move(job));
  REQUIRE(bench.cache().read(key_of(1), 0, block).failed_with(Errc::not_found));
  bench.faults().cold = false;
  REQUIRE(*bench.read(key_of(2)) == unit_bytes(2));
}

TEST_CASE("what is being loaded is not evicted") {
  BlockCacheOptions options;
  options.limit_bytes = 1 << 20;
  CacheBench bench(options);
  for (std::uint64_t object = 0; object < 20; ++object)
    bench.offer(key_of(object), unit_bytes(object));
  bench.finish_jobs();
  bench.faults().cold = true;
  std::vector<std::byte> block(4096);
  REQUIRE(bench.cache().read(key_of(7), 0, block).failed_with(Errc::needs_load));
  for (std::uint64_t object = 1000; object < 2000; ++object) {
    bench.offer(key_of(object), unit_bytes(object));
    bench.finish_jobs();
  }
  REQUIRE_FALSE(bench.cache().contains(key_of(8)));
  REQUIRE(bench.cache().contains(key_of(7)));
  auto job = bench.cache().take_load();
  job->run();
  bench.cache().complete(std::move(job));
  REQUIRE(bench.cache().read(key_of(7), 0, block));
}

TEST_CASE("a scan of ten times the cache leaves the hot set") {
  BlockCacheOptions options;
  options.limit_bytes = 4 << 20;
  CacheBench bench(options);
  std::vector<std::byte> block(4096);
  auto use = [&](std::uint64_t object) {
    for (std::uint32_t skip = 0; skip < unit_size; skip += 4096) {
      if (bench.cache().read(key_of(object), skip, block)) continue;
      bench.offer(key_of(object), unit_bytes(object));
      bench.finish_jobs();
    }
  };
  for (int round = 0; round < 5; ++round) {
    for (std::uint64_t object = 0; object < 150; ++object) use(object);
  }
  for (std::uint64_t object = 10'000; object < 12'500; ++object) use(object);
  std::size_t kept = 0;
  for (std::uint64_t object = 0; object < 150; ++object) {
    kept += bench.cache().contains(key_of(object)) ? 1 : 0;
  }
  REQUIRE(kept >= 145);
}

TEST_CASE("the index file stays short while units come and go, and is complete at every start") {
  BlockCacheOptions options;
  options.limit_bytes = 2 << 20;
  CacheBench bench(options);
  std::uint64_t longest = 0;
  for (std::uint64_t object = 0; object < 12'000; ++object) {
    bench.offer(key_of(object), unit_bytes(object, 4096));
    if (object % 16 == 0) bench.finish_jobs();
    longest = std::max(longest, bench.index_bytes());
    if (object % 1500 == 1499) {
      bench.finish_jobs();
      std::uint64_t units = bench.cache().usage().units;
      bench.reopen(options);
      REQUIRE(bench.cache().usage().units == units);
      REQUIRE(*bench.read(key_of(object)) == unit_bytes(object, 4096));
    }
  }
  REQUIRE(longest < 3 * 64 * (512 + 512));
}

TEST_CASE("an index that cannot be compacted stops growing, and recovers") {
  BlockCacheOptions options;
  options.limit_bytes = 1 << 20;
  CacheBench bench(options);
  bench.faults().no_rename = true;
  for (std::uint64_t object = 0; object < 12'000; ++object) {
    bench.offer(key_of(object), unit_bytes(object, 4096));
    if (object % 16 == 0) bench.finish_jobs();
    if (object % 16 == 0) REQUIRE(bench.allocated_bytes() <= options.limit_bytes);
  }
  bench.finish_jobs();
  REQUIRE(bench.cache().usage().refused_offers > 100);
  bench.faults().no_rename = false;
  std::uint64_t refused = bench.cache().usage().refused_offers;
  for (std::uint64_t object = 20'000; object < 21'000; ++object) {
    bench.offer(key_of(object), unit_bytes(object, 4096));
    if (object % 16 == 0) bench.finish_jobs();
  }
  bench.finish_jobs();
  REQUIRE(bench.cache().usage().refused_offers <= refused + 100);
  REQUIRE(bench.cache().contains(key_of(20'999)));
}

TEST_CASE("a second cache on the same directory is refused") {
  CacheBench bench;
  auto second = BlockCache::open(bench.directory(), {});
  REQUIRE(second.failed_with(Errc::busy));
}

TEST_CASE("whatever happened to its files, a cache opens and gives right bytes or none") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    CacheBench bench;
    for (std::uint64_t object = 0; object < 40; ++object) {
      bench.offer(key_of(object), unit_bytes(object));
      if (random() % 8 == 0) bench.finish_jobs();
      if (random() % 4 == 0) bench.faults().lose_writes = random() % 2 == 0;
    }
    bench.finish_jobs();
    bench.faults().lose_writes = false;
    bench.damage_files(random);
    bench.reopen();
    for (std::uint64_t object = 0; object < 40; ++object) {
      auto read = bench.read(key_of(object));
      if (read) REQUIRE(*read == unit_bytes(object));
      else REQUIRE(read.failed_with(Errc::not_found));
      if (!read) bench.offer(key_of(object), unit_bytes(object));
    }
    bench.finish_jobs();
    for (std::uint64_t object = 0; object < 40; ++object) {
      REQUIRE(*bench.read(key_of(object)) == unit_bytes(object));
    }
  }
}

TEST_CASE("a random life compared with a plain map") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    BlockCacheOptions options;
    options.limit_bytes = (512 << 10) + random() % (1 << 20);
    CacheBench bench(options);
    std::map<std::uint64_t, std::vector<std::byte>> truth;   // bytes of an object never change
    std::vector<std::unique_ptr<Job>> out;
    for (int step = 0; step < 2000; ++step) {
      std::uint64_t object = random() % 120;
      VersionId of = object % 2 == 0 ? version : other_version;
      BlockKey key{of, ObjectId{object}, static_cast<std::uint32_t>(object % 3)};
      auto length = static_cast<std::uint32_t>(1 + object * 797 % 16384);
      switch (random() % 8) {
        case 0: case 1: case 2:
          bench.offer(key, unit_bytes(object, length));
          break;
        case 3: case 4: {
          std::vector<std::byte> into(length);
          Result<void> done = bench.cache().read(key, 0, into);
          if (done) REQUIRE(into == unit_bytes(object, length));
          else REQUIRE((done.failed_with(Errc::not_found) || done.failed_with(Errc::needs_load)));
          break;
        }
        case 5:
          bench.faults().cold = random() % 2 == 0;
          if (auto job = bench.cache().take_load()) out.push_back(std::move(job));
          if (auto job = bench.cache().next_job()) out.push_back(std::move(job));
          break;
        case 6:
          if (out.empty()) break;
          std::swap(out.back(), out[random() % out.size()]);
          out.back()->run();
          bench.cache().complete(std::move(out.back()));
          out.pop_back();
          break;
        default:
          if (random() % 100 == 0) bench.cache().drop(of);
          else if (random() % 20 == 0) bench.cache().drop(of, key.object);
          REQUIRE(bench.cache().usage().bytes <= options.limit_bytes);
      }
    }
    for (auto& job : out) {
      job->run();
      bench.cache().complete(std::move(job));
    }
    bench.finish_jobs();
    std::uint64_t units = bench.cache().usage().units;
    bench.reopen(options);
    REQUIRE(bench.cache().usage().units == units);
    REQUIRE(bench.cache().usage().damaged == 0);
  }
}

}  // namespace rowan::cache
