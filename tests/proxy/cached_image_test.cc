// Names, attributes, listings, drift. Data: fetcher_test.cc.
#include "proxy/cached_image.h"

#include <set>

#include "rpc/base/log.h"
#include "tests/support/image_bench.h"

#include "tests/support/catch.h"

namespace rowan::proxy {
namespace {

using cache::image_root;
using cache::Listing;
using cache::ObjectId;
using test::ImageBench;
using test::ImageBenchOptions;

struct Quiet {
  Quiet() { set_log_level(static_cast<Level>(static_cast<int>(Level::error) + 1)); }
} quiet;

std::vector<std::string> names_of(ImageBench& bench, ObjectId directory, std::size_t limit) {
  std::vector<std::string> names;
  std::uint64_t position = 0;
  for (;;) {
    Listing listing = *bench.run(bench.image().list(directory, position, limit));
    for (const auto& entry : listing.entries) {
      REQUIRE(entry.position > position);
      position = entry.position;
      names.push_back(entry.name);
    }
    if (listing.complete) return names;
    REQUIRE(listing.entries.size() == limit);
  }
}

template <class T>
Task<void> into(Task<Result<T>> task, std::vector<Result<T>>& out) {
  out.push_back(co_await task);
}

}  // namespace

TEST_CASE("an image shows the tree of its source, and asks once") {
  ImageBench bench;
  for (const auto& entry : test::standard_tree()) {
    INFO(entry.path);
    ObjectId id = bench.find(entry.path);
    auto attributes = *bench.run(bench.image().attributes(id));
    REQUIRE(attributes == bench.source().attributes_of(entry.path));
    if (entry.target.empty() || entry.kind == cache::FileKind::symlink) {
      REQUIRE(bench.image().path(id) == "/" + entry.path);
    }
    REQUIRE(*bench.image().cached_attributes(id) == attributes);
    if (entry.kind == cache::FileKind::symlink) {
      REQUIRE(*bench.run(bench.image().readlink(id)) == entry.target);
    }
  }
  REQUIRE(bench.find("usr/bin/cc") == bench.find("usr/bin/gcc"));
  REQUIRE(*bench.run(bench.image().parent(bench.find("usr/bin"))) == bench.find("usr"));
  REQUIRE(*bench.run(bench.image().parent(image_root)) == image_root);
  std::uint64_t calls = bench.source().counts.total();
  // One root, a page for each of six small directories, three pages for the large one, two
  // symlinks; and the look-ups that overtake the second and third page.
  REQUIRE(bench.source().counts.list <= 10);
  REQUIRE(bench.source().counts.lookup <= 8);
  for (const auto& entry : test::standard_tree()) (void)bench.find(entry.path);
  REQUIRE(bench.source().counts.total() == calls);
}

TEST_CASE("one miss in a directory answers for its absent names too") {
  ImageBench bench;
  ObjectId etc = bench.find("etc");
  std::uint64_t calls = bench.source().counts.total();
  for (int i = 0; i < 50; ++i) {
    REQUIRE(bench.run(bench.image().lookup(etc, "no" + std::to_string(i)))
                .failed_with(Errc::not_found));
  }
  REQUIRE(bench.source().counts.total() == calls + 1);   // the listing
  // In the large one each miss brings the next page, then everything is known.
  ObjectId many = bench.find("many");
  for (int i = 0; i < 50; ++i) {
    REQUIRE(bench.run(bench.image().lookup(many, "no" + std::to_string(i)))
                .failed_with(Errc::not_found));
  }
  REQUIRE(bench.source().counts.total() <= calls + 1 + 3 + 2);
}

TEST_CASE("a directory too large to be learned is asked name by name, and each answer is kept") {
  ImageBenchOptions options;
  options.image.learned_entries = 100;
  ImageBench bench(std::move(options));
  ObjectId many = bench.find("many");
  for (int round = 0; round < 2; ++round) {
    for (int i = 200; i < 300; i += 7) {
      (void)bench.find("many/f" + std::to_string(i));
      REQUIRE(bench.run(bench.image().lookup(many, "x" + std::to_string(i)))
                  .failed_with(Errc::not_found));
    }
  }
  REQUIRE(bench.source().counts.lookup == 30);
  REQUIRE(bench.source().counts.list <= 3);
}

TEST_CASE("a listing that the source refuses leaves look-ups possible") {
  ImageBench bench;
  bench.source().script.list_error = Errc::access;
  ObjectId passwd = bench.find("etc/passwd");
  REQUIRE(*bench.run(bench.image().parent(passwd)) == bench.find("etc"));
  REQUIRE(bench.run(bench.image().list(bench.find("etc"), 0, 10)).failed_with(Errc::access));
  REQUIRE(
      bench.run(bench.image().lookup(bench.find("etc"), "nothing")).failed_with(Errc::not_found));
  std::uint64_t calls = bench.source().counts.total();
  (void)bench.find("etc/passwd");
  REQUIRE(bench.source().counts.total() == calls);
}

TEST_CASE("listings are whole, in the source's order, at any page size, and stay the same") {
  for (std::size_t limit : {1u, 7u, 100u, 1000u}) {
    ImageBench bench;
    ObjectId many = bench.find("many");
    auto names = names_of(bench, many, limit);
    REQUIRE(names.size() == 300);
    for (int i = 0; i < 300; ++i) REQUIRE(names[i] == "f" + std::to_string(i));
    ObjectId empty = bench.find("empty-directory");
    REQUIRE(names_of(bench, empty, limit).empty());
    bench.restart();
    bench.source().script.hang = true;
    REQUIRE(names_of(bench, many, limit) == names);
    REQUIRE(names_of(bench, empty, limit).empty());
    REQUIRE(bench.source().counts.total() == 0);
  }
}

TEST_CASE("everything known is served after a restart without the source") {
  ImageBench bench;
  for (const auto& entry : test::standard_tree()) (void)bench.find(entry.path);
  std::vector<std::string> root_names = names_of(bench, image_root, 5);
  ObjectId cc = bench.find("usr/bin/cc");
  (void)*bench.run(bench.image().readlink(bench.find("bin")));
  bench.restart();
  bench.source().script.hang = true;
  for (const auto& entry : test::standard_tree()) {
    ObjectId id = bench.find(entry.path);
    REQUIRE(*bench.run(bench.image().attributes(id)) == bench.source().attributes_of(entry.path));
  }
  REQUIRE(bench.find("usr/bin/cc") == cc);
  REQUIRE(names_of(bench, image_root, 5) == root_names);
  REQUIRE(*bench.run(bench.image().readlink(bench.find("bin"))) == "usr/bin");
  REQUIRE(bench.try_find("etc/nothing").failed_with(Errc::not_found));
  REQUIRE(bench.source().counts.total() == 0);
}

TEST_CASE("a source that hangs costs a try-later after its deadline, and only those who need it") {
  ImageBench bench;
  ObjectId etc = bench.find("etc");
  (void)bench.find("etc/passwd");
  bench.source().script.hang = true;
  std::vector<Result<ObjectId>> answers;
  TaskGroup group;
  group.start(into(bench.image().lookup(bench.find("usr"), "bin"), answers));
  settle(bench.loop(), bench.disk(), false);
  REQUIRE(answers.empty());
  // Meanwhile, without any time passing:
  REQUIRE(*bench.run(bench.image().lookup(etc, "passwd")) == bench.find("etc/passwd"));
  bench.settle_all();
  REQUIRE(answers.size() == 1);
  REQUIRE(answers[0].failed_with(Errc::try_later));
  REQUIRE_FALSE(bench.image().stats().trouble.empty());
  bench.source().script.hang = false;
  (void)bench.find("usr/bin");
  REQUIRE(bench.image().stats().trouble.empty());
}

TEST_CASE("many who ask for the same are one call to the source") {
  ImageBench bench;
  bench.source().script.delay = std::chrono::milliseconds(40);
  std::vector<Result<ObjectId>> answers;
  TaskGroup group;
  for (int i = 0; i < 100; ++i) group.start(into(bench.image().lookup(image_root, "etc"), answers));
  bench.settle_all();
  REQUIRE(answers.size() == 100);
  for (const auto& answer : answers) REQUIRE(*answer == *answers[0]);
  REQUIRE(bench.source().counts.root == 1);
  REQUIRE(bench.source().counts.list == 1);
  REQUIRE(bench.source().counts.lookup == 0);
  std::vector<Result<std::string>> targets;
  for (int i = 0; i < 100; ++i)
    group.start(into(bench.image().readlink(bench.find("bin")), targets));
  bench.settle_all();
  REQUIRE(bench.source().counts.readlink == 1);
}

TEST_CASE("an id is shown only when it is durable") {
  ImageBench bench;
  std::vector<Result<ObjectId>> answers;
  TaskGroup group;
  group.start(into(bench.image().lookup(image_root, "etc"), answers));
  bench.loop().run();
  // Known in memory, but every job of the disk is still out.
  REQUIRE(answers.empty());
  REQUIRE(bench.disk().outstanding() > 0);
  while (answers.empty()) {
    REQUIRE(bench.disk().run_one());
    bench.loop().run();
  }
  REQUIRE(bench.table_disk().ticket > 0);
  ObjectId a = *answers[0];
  bench.crash();
  bench.source().script.hang = true;
  REQUIRE(bench.find("etc") == a);
}

TEST_CASE("a catalogue that cannot be written shows nothing new") {
  ImageBench bench;
  (void)bench.find("etc");
  bench.table_disk().full = true;
  REQUIRE(bench.try_find("etc/passwd").failed_with(Errc::try_later));
  bench.table_disk().full = false;
  (void)bench.find("etc/passwd");
  bench.table_disk().fail_syncs = true;
  REQUIRE(bench.try_find("usr/bin").failed_with(Errc::io));
  (void)bench.find("etc/passwd");
}

TEST_CASE("names that must not reach a source do not") {
  ImageBench bench;
  (void)bench.find("etc");
  std::uint64_t calls = bench.source().counts.total();
  auto lookup = [&bench](std::string name) {
    return bench.run(bench.image().lookup(image_root, name));
  };
  for (std::string name :
       {std::string(), std::string("."), std::string(".."), std::string("/etc/passwd"),
        std::string("a/b"), std::string("a\0b", 3)}) {
    REQUIRE(lookup(name).failed_with(Errc::invalid));
  }
  REQUIRE(lookup(std::string(256, 'n')).failed_with(Errc::name_too_long));
  REQUIRE(lookup(std::string(255, 'm')).failed_with(Errc::not_found));
  REQUIRE(bench.source().counts.total() == calls);
}

TEST_CASE("objects of another kind, and unknown ones, are refused for what they are") {
  ImageBench bench;
  ObjectId passwd = bench.find("etc/passwd");
  REQUIRE(bench.run(bench.image().lookup(passwd, "x")).failed_with(Errc::not_directory));
  REQUIRE(bench.run(bench.image().list(passwd, 0, 10)).failed_with(Errc::not_directory));
  REQUIRE(bench.run(bench.image().readlink(passwd)).failed_with(Errc::invalid));
  REQUIRE(bench.read(bench.find("etc"), 0, 1).failed_with(Errc::invalid));
  REQUIRE(bench.read(passwd, 1230, 10).failed_with(Errc::invalid));
  REQUIRE(bench.run(bench.image().attributes(ObjectId{12345})).failed_with(Errc::stale));
  REQUIRE(bench.image().cached_attributes(ObjectId{12345}) == nullptr);
}

TEST_CASE("handles that went stale are found again by path") {
  ImageBench bench;
  ObjectId cc = bench.find("usr/bin/cc");
  bench.source().forget_handles();
  REQUIRE(*bench.read(cc, 0, 100) == ImageBench::content(4, 0, 100));
  REQUIRE(bench.image().stats().stale_recoveries == 1);
  REQUIRE(bench.image().stats().drifted == 0);
  // The directories on the way have new handles as well now.
  std::uint64_t lookups = bench.source().counts.lookup;
  REQUIRE(bench.try_find("usr/bin/nothing").failed_with(Errc::not_found));
  REQUIRE(bench.source().counts.lookup == lookups);
  bench.source().forget_handles();
  REQUIRE(*bench.run(bench.image().readlink(bench.find("bin"))) == "usr/bin");
  REQUIRE(names_of(bench, bench.find("many"), 50).size() == 300);
}

TEST_CASE("an object that was shown on another host is found by its path") {
  ImageBench one, two;
  const ObjectId cc = one.find("usr/bin/cc");
  const auto names = one.catalog().known_names(test::bench_version, {}, 1000);
  REQUIRE(names);
  REQUIRE(two.run(two.image().attributes(cc)).failed_with(Errc::stale));
  REQUIRE(two.catalog().take_names(test::bench_version, *names));
  two.source().script.hang = true;
  REQUIRE(two.run(two.image().attributes(cc)).failed_with(Errc::try_later));
  two.source().script.hang = false;
  REQUIRE(two.run(two.image().attributes(cc))->size == one.run(one.image().attributes(cc))->size);
  REQUIRE(*two.read(cc, 0, 100) == ImageBench::content(4, 0, 100));
  REQUIRE(two.find("usr/bin/cc") == cc);
  // A path that is not in this image.
  cache::KnownName gone{image_root, "gone", cache::catalog::natural_id(image_root, "gone", 0),
                        image_root, "gone"};
  REQUIRE(two.catalog().take_names(test::bench_version, {gone}));
  REQUIRE(two.run(two.image().attributes(gone.child)).failed_with(Errc::stale));
}

TEST_CASE("a stale handle that leads to another file is drift, not that file") {
  ImageBench bench;
  ObjectId passwd = bench.find("etc/passwd");
  ObjectId cc = bench.find("usr/bin/cc");
  REQUIRE(*bench.read(cc, 0, 16384) == ImageBench::content(4, 0, 16384));
  bench.source().replace_file("usr/bin/cc", 99, 1'000'003, false);
  bench.source().remove("etc/passwd");
  bench.source().forget_handles();
  REQUIRE(bench.read(cc, 500'000, 10).failed_with(Errc::io));
  REQUIRE(bench.read(passwd, 0, 10).failed_with(Errc::io));
  auto stats = bench.image().stats();
  REQUIRE(stats.drifted == 2);
  REQUIRE(stats.drifted_paths == std::vector<std::string>{"/usr/bin/cc", "/etc/passwd"});
  // What was cached is still that of the pinned version; also after a restart nothing new is taken.
  REQUIRE(*bench.read(cc, 0, 16384) == ImageBench::content(4, 0, 16384));
  bench.crash();
  REQUIRE(*bench.read(cc, 0, 16384) == ImageBench::content(4, 0, 16384));
  REQUIRE(bench.read(cc, 500'000, 10).failed_with(Errc::io));
  REQUIRE(bench.source().counts.read == 0);
}

TEST_CASE("an image that lies on another disk now is the same image") {
  ImageBenchOptions options;
  options.image.learned_entries = 0;   // names one by one
  ImageBench bench(std::move(options));
  ObjectId cc = bench.find("usr/bin/cc");
  REQUIRE(*bench.read(cc, 0, 100) == ImageBench::content(4, 0, 100));
  ObjectId passwd = bench.find("etc/passwd");
  for (int life = 0; life < 2; ++life) {
    bench.source().move_to_other_disk();
    REQUIRE(*bench.read(cc, 300'000, 1000) == ImageBench::content(4, 300'000, 1000));
    REQUIRE(*bench.read(passwd, 0, 1234) == ImageBench::content(1, 0, 1234));
    REQUIRE(names_of(bench, bench.find("many"), 50).size() == 300);
    REQUIRE(bench.find("usr/bin/gcc") == cc);
    bench.crash();
    REQUIRE(*bench.read(cc, 600'000, 1000) == ImageBench::content(4, 600'000, 1000));
  }
  REQUIRE(bench.image().stats().drifted == 0);
}

// A file of the same size and mtime takes the place of this one, under another number.
void put_in_place_of(ImageBench& bench, const std::string& path, std::uint64_t seed) {
  const cache::ImageAttributes before = bench.source().attributes_of(path);
  bench.source().replace_file(path, seed, before.size, false);
  bench.source().attributes_of(path).mtime = before.mtime;
}

TEST_CASE("another content under another number is drift, whatever size and mtime say") {
  for (bool stale : {true, false}) {
    ImageBench bench;
    ObjectId cc = bench.find("usr/bin/cc");
    REQUIRE(*bench.read(cc, 0, 16384) == ImageBench::content(4, 0, 16384));
    put_in_place_of(bench, "usr/bin/cc", 99);
    if (stale) bench.source().forget_handles();
    else bench.source().follow_names();
    REQUIRE(bench.read(cc, 500'000, 10).failed_with(Errc::io));
    REQUIRE(bench.image().stats().drifted_paths == std::vector<std::string>{"/usr/bin/cc"});
    REQUIRE(*bench.read(cc, 0, 16384) == ImageBench::content(4, 0, 16384));
  }
}

TEST_CASE("units found damaged when a file under another number is compared do not count") {
  ImageBench bench;
  ObjectId cc = bench.find("usr/bin/cc");
  for (std::uint64_t unit = 0; unit < 4; ++unit) {
    REQUIRE(bench.read(cc, unit * cache::unit_size, cache::unit_size).has_value());
  }
  bench.restart();
  bench.flip_cached_bits();
  const std::uint64_t whole = 20 * cache::unit_size;
  REQUIRE(bench.read(cc, whole, cache::unit_size).has_value());
  put_in_place_of(bench, "usr/bin/cc", 99);
  bench.source().forget_handles();
  REQUIRE(bench.read(cc, 500'000, 10).failed_with(Errc::io));
  REQUIRE(bench.blocks().usage().damaged == 4);
  REQUIRE(bench.image().stats().drifted_paths == std::vector<std::string>{"/usr/bin/cc"});
}

TEST_CASE("a true copy under another number goes on, also behind handles that follow names") {
  ImageBench bench;
  ObjectId cc = bench.find("usr/bin/cc");
  REQUIRE(*bench.read(cc, 0, 16384) == ImageBench::content(4, 0, 16384));
  put_in_place_of(bench, "usr/bin/cc", 4);
  bench.source().follow_names();
  REQUIRE(*bench.read(cc, 500'000, 10) == ImageBench::content(4, 500'000, 10));
  REQUIRE(*bench.read(cc, 700'000, 10) == ImageBench::content(4, 700'000, 10));
  REQUIRE(bench.image().stats().drifted == 0);
}

TEST_CASE("a name that shows another object later is reported, and the first stays") {
  ImageBenchOptions options;
  options.image.learned_entries = 0;   // names one by one
  ImageBench bench(std::move(options));
  ObjectId passwd = bench.find("etc/passwd");
  bench.source().replace_file("etc/passwd", 50, 77, true);
  REQUIRE(names_of(bench, bench.find("etc"), 100).size() == 3);
  REQUIRE(bench.find("etc/passwd") == passwd);
  REQUIRE(bench.run(bench.image().attributes(passwd))->size == 1234);
  REQUIRE(bench.image().stats().drifted_paths == std::vector<std::string>{"/etc/passwd"});
  REQUIRE(bench.read(passwd, 0, 10).failed_with(Errc::io));
}

TEST_CASE("a source that forgets its cursors is listed again, without doubles") {
  ImageBench bench;
  bench.source().script.forget_cursors = true;
  REQUIRE(names_of(bench, bench.find("many"), 40).size() == 300);
  REQUIRE_FALSE(bench.source().script.forget_cursors);
}

TEST_CASE("a listing that goes round in circles is an error, not a loop") {
  ImageBench bench;
  ObjectId many = bench.find("many");
  bench.source().script.endless_listing = true;
  REQUIRE(bench.run(bench.image().list(many, 0, 1000)).failed_with(Errc::io));
  REQUIRE(bench.source().counts.list < 40);
}

TEST_CASE(
    "a random life of clients, faults and restarts shows the true tree or an error to retry") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    ImageBenchOptions options;
    options.seed = seed;
    options.blocks.limit_bytes = random() % 3 == 0 ? 0 : 400u << 10;
    options.image.learned_entries = random() % 3 == 0 ? 0 : 150;
    ImageBench bench(std::move(options));
    auto tree = test::standard_tree();
    std::map<std::string, ObjectId> ids;
    auto patient = [](const Error& error) { return error.code == Errc::try_later; };
    for (int step = 0; step < 120; ++step) {
      bench.source().script.delay_spread = std::chrono::milliseconds(random() % 50);
      bench.source().script.error_rate = random() % 3 == 0 ? 0.3 : 0;
      const auto& entry = tree[random() % 20];
      Result<ObjectId> id = bench.try_find(entry.path);
      if (!id) {
        REQUIRE(patient(id.error()));
        continue;
      }
      auto [known, fresh] = ids.emplace(entry.path, *id);
      REQUIRE((fresh || known->second == *id));
      if (entry.kind == cache::FileKind::regular && entry.size > 0) {
        std::uint64_t offset = random() % entry.size;
        std::size_t count = 1 + random() % std::min<std::uint64_t>(entry.size - offset, 200'000);
        auto bytes = bench.read(*id, offset, count);
        if (bytes) REQUIRE(*bytes == ImageBench::content(entry.seed, offset, count));
        else REQUIRE(patient(bytes.error()));
      }
      if (entry.kind == cache::FileKind::directory) {
        auto listing = bench.run(bench.image().list(*id, 0, 1000));
        if (!listing) REQUIRE(patient(listing.error()));
        if (listing && entry.path == "many") REQUIRE(listing->entries.size() == 300);
      }
      if (random() % 12 == 0) bench.source().forget_handles();
      if (random() % 20 == 0) bench.source().move_to_other_disk();
      if (random() % 40 == 0) bench.restart();
      if (random() % 40 == 0) bench.crash();
    }
    REQUIRE(bench.image().stats().drifted == 0);
  }
}

}  // namespace rowan::proxy
