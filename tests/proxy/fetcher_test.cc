// The data of an image: what is fetched, how often, and what is refused.
#include "proxy/fetcher.h"

#include "rpc/base/log.h"
#include "tests/support/image_bench.h"

#include "tests/support/catch.h"

namespace rowan::proxy {
namespace {

using cache::ObjectId;
using test::ImageBench;
using test::ImageBenchOptions;

constexpr std::uint64_t cc_size = 1'000'003;   // usr/bin/cc, of seed 4

struct Quiet {
  Quiet() { set_log_level(static_cast<Level>(static_cast<int>(Level::error) + 1)); }
} quiet;

ImageBenchOptions without_read_ahead() {
  ImageBenchOptions options;
  options.image.fetch.read_ahead_bytes = 0;
  return options;
}

Task<void> read_into(ImageBench& bench, ObjectId file, std::uint64_t offset, ByteSpan into,
                     std::vector<Result<void>>& out) {
  out.push_back(co_await bench.image().read(file, offset, into));
}

std::uint64_t rounded(std::uint64_t bytes) { return round_up(bytes, cache::unit_size); }

}  // namespace

TEST_CASE("a file is read as it is, in pieces of any size, and fetched once") {
  ImageBench bench;
  ObjectId cc = bench.find("usr/bin/cc");
  for (std::size_t piece : {1'000'003u, 65'536u, 5'001u}) {
    for (std::uint64_t offset = 0; offset < cc_size; offset += piece) {
      std::size_t count = std::min<std::uint64_t>(piece, cc_size - offset);
      REQUIRE(*bench.read(cc, offset, count) == ImageBench::content(4, offset, count));
    }
    REQUIRE(bench.source().counts.bytes == cc_size);
  }
  auto stats = bench.image().stats().data;
  REQUIRE(stats.bytes_served == 3 * cc_size);
  REQUIRE(stats.bytes_fetched == cc_size);
  REQUIRE(bench.source().counts.read == 4);   // of 256 KiB each
  REQUIRE(bench.read(bench.find("etc/empty"), 0, 0)->empty());
}

TEST_CASE("random reads fetch their units and nothing else") {
  ImageBench bench;
  ObjectId cc = bench.find("usr/bin/cc");
  std::vector<std::uint64_t> units{7, 31, 2, 55, 19, 44, 12};
  for (std::uint64_t unit : units) {
    std::uint64_t offset = unit * cache::unit_size + 4096;
    REQUIRE(*bench.read(cc, offset, 4096) == ImageBench::content(4, offset, 4096));
  }
  REQUIRE(bench.source().counts.bytes == units.size() * cache::unit_size);
  REQUIRE(bench.image().stats().data.bytes_read_ahead == 0);
}

TEST_CASE("a unit that many wait for is fetched once") {
  ImageBench bench(without_read_ahead());
  bench.source().script.delay = std::chrono::milliseconds(40);
  ObjectId cc = bench.find("usr/bin/cc");
  std::vector<std::vector<std::byte>> buffers(60, std::vector<std::byte>(40'000));
  std::vector<Result<void>> done;
  TaskGroup group;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    group.start(read_into(bench, cc, i * 1000, buffers[i], done));
  }
  bench.settle_all();
  REQUIRE(done.size() == buffers.size());
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    REQUIRE(done[i]);
    REQUIRE(buffers[i] == ImageBench::content(4, i * 1000, 40'000));
  }
  REQUIRE(bench.source().counts.bytes == rounded(59'000 + 40'000));
  REQUIRE(bench.image().stats().data.joined > 100);
}

TEST_CASE("those who wait get their bytes although the cache takes none") {
  ImageBenchOptions options = without_read_ahead();
  options.blocks.limit_bytes = 0;
  ImageBench bench(std::move(options));
  ObjectId cc = bench.find("usr/bin/cc");
  REQUIRE(*bench.read(cc, 100, 50'000) == ImageBench::content(4, 100, 50'000));
  REQUIRE(*bench.read(cc, 100, 50'000) == ImageBench::content(4, 100, 50'000));
  REQUIRE(bench.source().counts.bytes == 2 * rounded(50'100));
  REQUIRE(bench.blocks().usage().refused_offers > 0);
}

TEST_CASE("sequential reading is read ahead, within its share, and stops at the end") {
  ImageBenchOptions options;
  options.tree = {{"big", cache::FileKind::regular, 40u << 20, 9, ""}};
  ImageBench bench(std::move(options));
  ObjectId big = bench.find("big");
  std::uint64_t most_in_flight = 0;
  for (std::uint64_t offset = 0; offset < 20u << 20; offset += 32768) {
    REQUIRE(*bench.read(big, offset, 32768) == ImageBench::content(9, offset, 32768));
    most_in_flight = std::max(most_in_flight, bench.source().counts.bytes - offset);
  }
  std::uint64_t read = 20u << 20;
  REQUIRE(bench.source().counts.bytes <= read + (2u << 20) + 32768);
  REQUIRE(bench.source().counts.bytes > read);
  REQUIRE(bench.image().stats().data.bytes_read_ahead > read / 2);
  for (std::uint64_t offset = read; offset < 40u << 20; offset += 32768) {
    REQUIRE(bench.read(big, offset, 32768));
  }
  REQUIRE(bench.source().counts.bytes == 40u << 20);   // to the byte: nothing twice, nothing beyond
}

TEST_CASE("read-ahead on its way is bounded, and a hanging source does not pile it up") {
  ImageBenchOptions options;
  options.tree = {{"big", cache::FileKind::regular, 64u << 20, 9, ""}};
  options.image.fetch.read_ahead_bytes = 1u << 20;
  ImageBench bench(std::move(options));
  ObjectId big = bench.find("big");
  for (std::uint64_t offset = 0; offset < 8u << 20; offset += 65536)
    REQUIRE(bench.read(big, offset, 65536));
  bench.source().script.hang = true;
  std::vector<std::vector<std::byte>> buffers(16, std::vector<std::byte>(65536));
  std::vector<Result<void>> done;
  TaskGroup group;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    group.start(read_into(bench, big, (8u << 20) + i * 65536, buffers[i], done));
  }
  settle(bench.loop(), bench.disk(), false);
  REQUIRE(bench.source().in_flight() <= 16 + 8);
  bench.settle_all();
  REQUIRE(done.size() == 16);
}

TEST_CASE("a source that hangs: cached bytes at once, others to be asked again, then all is well") {
  ImageBench bench(without_read_ahead());
  ObjectId cc = bench.find("usr/bin/cc");
  REQUIRE(bench.read(cc, 0, 16384));
  bench.source().script.hang = true;
  std::vector<std::byte> cold(100);
  std::vector<Result<void>> done;
  TaskGroup group;
  group.start(read_into(bench, cc, 500'000, cold, done));
  settle(bench.loop(), bench.disk(), false);
  std::vector<std::byte> warm(4096);
  std::vector<Result<void>> warm_done;
  group.start(read_into(bench, cc, 4096, warm, warm_done));
  REQUIRE(warm_done.size() == 1);   // without a single turn of the loop
  REQUIRE(done.empty());
  bench.settle_all();
  REQUIRE(done.at(0).failed_with(Errc::try_later));
  bench.source().script.hang = false;
  REQUIRE(*bench.read(cc, 500'000, 100) == ImageBench::content(4, 500'000, 100));
}

TEST_CASE("a flipped bit in the cache is fetched again, and the reader sees nothing of it") {
  ImageBench bench(without_read_ahead());
  ObjectId cc = bench.find("usr/bin/cc");
  REQUIRE(bench.read(cc, 0, 16384));
  bench.restart();   // so that the bytes are on disk only
  bench.flip_cached_bits();
  REQUIRE(*bench.read(cc, 0, 16384) == ImageBench::content(4, 0, 16384));
  REQUIRE(bench.blocks().usage().damaged == 1);
  REQUIRE(bench.source().counts.bytes == 16384);
  REQUIRE(*bench.read(cc, 0, 16384) == ImageBench::content(4, 0, 16384));
  REQUIRE(bench.source().counts.bytes == 16384);
}

TEST_CASE("a fill that was under way when the version was dropped is not kept") {
  ImageBench bench(without_read_ahead());
  bench.source().script.delay = std::chrono::milliseconds(40);
  ObjectId cc = bench.find("usr/bin/cc");
  std::vector<std::byte> bytes(16384);
  std::vector<Result<void>> done;
  TaskGroup group;
  group.start(read_into(bench, cc, 0, bytes, done));
  settle(bench.loop(), bench.disk(), false);
  bench.blocks().drop(test::bench_version);
  bench.settle_all();
  REQUIRE(done.at(0));
  REQUIRE(bytes == ImageBench::content(4, 0, 16384));
  REQUIRE(bench.blocks().usage().units == 0);
}

TEST_CASE("a file that changed under its handle: old blocks stay, new ones are refused") {
  ImageBench bench(without_read_ahead());
  ObjectId cc = bench.find("usr/bin/cc");
  REQUIRE(bench.read(cc, 0, 16384));
  bench.source().replace_file("usr/bin/cc", 77, cc_size, true);   // the same handle, another mtime
  REQUIRE(bench.read(cc, 16384, 100).failed_with(Errc::io));
  REQUIRE(bench.read(cc, 0, 32768).failed_with(Errc::io));        // never half of each
  REQUIRE(*bench.read(cc, 0, 16384) == ImageBench::content(4, 0, 16384));
  auto stats = bench.image().stats();
  REQUIRE(stats.drifted_paths == std::vector<std::string>{"/usr/bin/cc"});
  REQUIRE(stats.source_errors == 0);
  std::uint64_t reads = bench.source().counts.read;
  REQUIRE(bench.read(cc, 900'000, 100).failed_with(Errc::io));
  REQUIRE(bench.source().counts.read == reads);                   // it is not asked any more
}

TEST_CASE("a file that became shorter is drift, although reads tell no attributes") {
  ImageBench bench(without_read_ahead());
  bench.source().script.read_attributes = false;
  ObjectId cc = bench.find("usr/bin/cc");
  bench.source().attributes_of("usr/bin/cc").size = 10'000;
  REQUIRE(bench.read(cc, 0, 16384).failed_with(Errc::io));
  REQUIRE(bench.image().stats().drifted == 1);
  REQUIRE(bench.blocks().usage().units == 0);
}

TEST_CASE("fewer bytes than the size promises are refused, and nothing of them is kept") {
  ImageBench bench(without_read_ahead());
  ObjectId cc = bench.find("usr/bin/cc");
  bench.source().script.short_reads = true;
  REQUIRE(bench.read(cc, 0, 16384).failed_with(Errc::io));
  REQUIRE(bench.blocks().usage().units == 0);
  REQUIRE(bench.image().stats().drifted == 0);
  bench.source().script.short_reads = false;
  REQUIRE(*bench.read(cc, 0, 16384) == ImageBench::content(4, 0, 16384));
}

TEST_CASE("reads ahead: one place onwards yes, jumps no") {
  ReadAheadOptions options;
  ReadAhead streams;
  constexpr std::uint64_t size = 1u << 30;
  std::uint64_t ahead = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    ahead += streams.on_read(options, i * 7'654'321 % size, 4096, size).length;
  }
  REQUIRE(ahead == 0);
  // Four readers at once, each in order; and pairs of reads that overtake each other.
  for (std::uint64_t i = 0; i < 256; ++i) {
    for (std::uint64_t reader = 0; reader < 4; ++reader) {
      std::uint64_t at = i % 2 == 0 ? i + 1 : i - 1;
      ahead += streams.on_read(options, (reader << 28) + at * 32768, 32768, size).length;
    }
  }
  REQUIRE(ahead > 4 * 256 * 32768 / 2);
  REQUIRE(ahead < 4 * 256 * 32768 * 3 / 2);
}

}  // namespace rowan::proxy
