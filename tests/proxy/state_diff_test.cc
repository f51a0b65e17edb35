#include "proxy/state_diff.h"

#include "proxy/content_changes.h"
#include "tests/support/catch.h"
#include "tests/support/family_world.h"
#include "tests/support/run_jobs.h"

namespace rowan::proxy {
namespace {

using cache::Extent;
using cache::no_state;
using cache::StateId;
using test::FamilyWorld;

// An image with what most stories need.
struct World : FamilyWorld {
  World() {
    image().add_directory("etc");
    image().add_directory("usr");
    image().add_directory("usr/bin");
    image().add_file("etc/hosts", "127.0.0.1 localhost\n");
    image().add_file("etc/passwd", std::string(10'000, 'p'));
    image().add_file("usr/bin/cc", std::string(300'000, 'c'));
    image().add_symlink("usr/bin/gcc", "cc");
    start();
  }
  test::ApplianceFixture& c = client();
};

std::uint64_t bytes_of(FamilyWorld& world, StateId before, StateId after, std::string_view path) {
  auto found = world.diff(before, after);
  REQUIRE(found);
  for (const FileChange& change : (**found).lines) {
    if (change.path == path) return change.object->content_bytes;
  }
  FAIL("no line about " << path);
  return 0;
}

nfs3::SetAttributes size_of(std::uint64_t size) {
  nfs3::SetAttributes set;
  set.size = size;
  return set;
}

TEST_CASE("nothing changed, nothing is told") {
  World w;
  const StateId before = w.checkpoint(), after = w.checkpoint();
  CHECK(w.told(before, after).empty());
  CHECK(w.told(no_state, after).empty());
  w.c.content("usr/bin/cc");
  CHECK(w.told(no_state, w.checkpoint()).empty());
}

TEST_CASE("files that were made, changed, moved and removed, against the image and back") {
  World w;
  w.c.create("etc/new");
  w.c.write("etc/new", 0, "hello");
  w.c.write("etc/hosts", 3, "X");
  w.c.rename("usr/bin/cc", "etc/compiler");
  w.c.remove("etc/passwd");
  nfs3::SetAttributes set;
  set.mode = 0700;
  set.uid = 7;
  w.c.setattr("usr", set);
  const StateId after = w.checkpoint();
  const char* expected =
      "R /etc/compiler (/usr/bin/cc)\n"
      "M /etc/hosts content\n"
      "+ /etc/new\n"
      "- /etc/passwd\n"
      "M /usr mode owner\n";
  CHECK(w.told(no_state, after) == expected);
  // Between two states nobody sees the image's part in it.
  const StateId later = w.checkpoint();
  CHECK(w.told(after, later).empty());
  w.c.rename("etc/compiler", "usr/bin/cc");
  CHECK(w.told(no_state, w.checkpoint()) ==
        "M /etc/hosts content\n+ /etc/new\n- /etc/passwd\nM /usr mode owner\n");
}

TEST_CASE("a directory that moved is one line, and what changed below has its new path") {
  World w;
  w.c.rename("usr/bin", "etc/tools");
  w.c.write("etc/tools/cc", 0, "!");
  w.c.create("etc/tools/ld");
  CHECK(w.told(no_state, w.checkpoint()) ==
        "R /etc/tools (/usr/bin)\nM /etc/tools/cc content\n+ /etc/tools/ld\n");
}

TEST_CASE("links, symlinks, and a file that took another's name") {
  World w;
  w.c.link("usr/bin/cc", "etc/link");
  w.c.symlink("etc/s", "nowhere");
  w.c.create("etc/tmp");
  w.c.write("etc/tmp", 0, "new");
  w.c.rename("etc/tmp", "etc/hosts");
  CHECK(w.told(no_state, w.checkpoint()) ==
        "- /etc/hosts\n+ /etc/hosts\nL /etc/link (/usr/bin/cc)\n+ /etc/s\n");
}

TEST_CASE("a file that came and went between two states is not told") {
  World w;
  const StateId before = w.checkpoint();
  w.c.mkdir("tmp");
  w.c.create("tmp/x");
  w.c.write("tmp/x", 0, std::string(200'000, 'x'));
  w.c.remove("tmp/x");
  w.c.rmdir("tmp");
  const StateId after = w.checkpoint();
  CHECK(w.told(before, after).empty());
}

TEST_CASE("a changed file of which only a later name is left is found by that name") {
  World w;
  w.c.create("etc/a");
  w.c.link("etc/a", "usr/b");
  w.c.remove("etc/a");
  w.c.link("etc/hosts", "usr/h");
  w.c.remove("etc/hosts");
  const StateId before = w.checkpoint();
  w.c.write("usr/b", 0, "changed");
  w.c.write("usr/h", 0, "changed");
  CHECK(w.told(before, w.checkpoint()) == "M /usr/b content\nM /usr/h content\n");
}

TEST_CASE("changed bytes are counted in whole blocks, those written again as they were not") {
  World w;
  const std::string data(64 << 10, 'd');
  w.c.create("f");
  w.c.write("f", 0, data);
  const StateId before = w.checkpoint();
  w.c.write("f", 5000, "x");
  CHECK(bytes_of(w, before, w.checkpoint(), "/f") == 4096);
  w.c.write("f", 8000, "across a border, 400 bytes and more: " + std::string(400, '-'));
  CHECK(bytes_of(w, before, w.checkpoint(), "/f") == 8192);
  w.c.write("f", 0, data);
  CHECK(w.told(before, w.checkpoint()).empty());
  w.c.setattr("f", size_of(20'000));
  // The rest is gone: of 16 blocks 4 and a part of the fifth are left.
  CHECK(bytes_of(w, before, w.checkpoint(), "/f") == 12 * 4096);
}

TEST_CASE("a file of the image that was cut and grown again shows zeros: that is a change") {
  World w;
  w.c.setattr("usr/bin/cc", size_of(0));
  w.c.setattr("usr/bin/cc", size_of(300'000));
  const StateId after = w.checkpoint();
  CHECK(w.told(no_state, after) == "M /usr/bin/cc content\n");
  CHECK(bytes_of(w, no_state, after, "/usr/bin/cc") == 74 * 4096);
}

// A cut leaves a mark first, and the extents go in the background.
TEST_CASE("a big file that was cut, and one that was removed, while their extents still wait") {
  World w;
  const std::string part(1 << 20, 'b');
  for (const char* name : {"cut", "gone"}) {
    w.c.create(name);
    for (std::uint64_t i = 0; i < 8; ++i) {
      std::string bytes = part;
      bytes[0] = static_cast<char>('A' + i);
      w.c.write(name, i << 20, bytes);
    }
  }
  const StateId before = w.checkpoint();
  w.c.setattr("cut", size_of(1 << 20));
  w.c.setattr("cut", size_of(8 << 20));
  w.c.remove("gone");
  const StateId soon = w.checkpoint();
  CHECK(w.told(before, soon) == "M /cut content\n- /gone\n");
  CHECK(bytes_of(w, before, soon, "/cut") == 7u << 20);
  test::run_jobs(w.family());
  const StateId late = w.checkpoint();
  CHECK(w.told(soon, late).empty());
  CHECK(bytes_of(w, before, late, "/cut") == 7u << 20);
}

TEST_CASE("the image is asked for nothing that the records tell") {
  World w;
  w.c.mkdir("new");
  for (int i = 0; i < 200; ++i) w.c.create("new/" + std::to_string(i));
  const StateId before = w.checkpoint();
  for (int i = 0; i < 100; ++i) w.c.write("new/" + std::to_string(i), 0, "text");
  const StateId after = w.checkpoint();
  const std::uint64_t asked = w.image().questions();
  auto found = w.diff(before, after);
  REQUIRE(found);
  CHECK((**found).lines.size() == 100);
  CHECK(w.image().questions() == asked);
}

TEST_CASE("the cost follows the change, not the store") {
  World w;
  constexpr int many = 3000;
  w.c.mkdir("d");
  for (int i = 0; i < many; ++i) w.c.create("d/" + std::to_string(i));
  const StateId before = w.checkpoint();
  w.c.write("d/17", 0, "changed");
  const StateId after = w.checkpoint();
  REQUIRE(w.told(before, after) == "M /d/17 content\n");   // what is to be merged is merged now
  const std::uint64_t reads = w.disk().reads();
  REQUIRE(w.told(before, after) == "M /d/17 content\n");
  const std::uint64_t small = w.disk().reads() - reads;
  REQUIRE(w.told(no_state, after).size() > many * 4);
  const std::uint64_t all = w.disk().reads() - reads - small;
  INFO(small << " reads for the small change, " << all << " for everything");
  CHECK(small < 10);
  CHECK(all > 4 * small);
}

TEST_CASE("a difference that memory could not hold is refused with a remedy") {
  World w;
  for (int i = 0; i < 30; ++i) w.c.create("f" + std::to_string(i));
  DiffLimits limits;
  limits.most_records = 20;
  auto found = w.diff(no_state, w.checkpoint(), limits);
  REQUIRE(found.failed_with(Errc::limit));
  CHECK(found.error().detail.find("with a checkpoint between") != std::string::npos);
}

TEST_CASE("a source that does not answer ends the comparison with its error") {
  World w;
  w.c.remove("etc/hosts");
  const StateId after = w.checkpoint();
  w.image().fail_with(Errc::try_later);
  CHECK(w.diff(no_state, after).failed_with(Errc::try_later));
  w.image().fail_with(std::nullopt);
  CHECK(w.told(no_state, after) == "- /etc/hosts\n");
}

TEST_CASE("small steps and short turns give the same") {
  World w;
  for (int i = 0; i < 300; ++i) w.c.create("f" + std::to_string(i));
  w.c.rename("etc", "f-etc");
  const StateId after = w.checkpoint();
  DiffLimits limits;
  limits.pages_per_step = limits.records_per_step = limits.lookups_per_turn = 1;
  auto found = w.diff(no_state, after, limits);
  REQUIRE(found);
  std::string text;
  for (const FileChange& change : (**found).lines) text += test::line_of(change) + "\n";
  CHECK(text == w.told(no_state, after));
}

Extent run(std::uint64_t offset, std::uint64_t length, Extent::Kind kind, std::uint32_t at = 0) {
  Extent extent{offset, length, kind, {}, {}, {}};
  if (kind != Extent::Kind::local) return extent;
  extent.data.block = at;
  const std::uint64_t blocks = (offset % 4096 + length + 4095) / 4096;
  for (std::uint64_t i = 0; i < blocks; ++i) extent.sums.push_back(at + i);
  return extent;
}

TEST_CASE("runs are compared by where their bytes are") {
  using enum Extent::Kind;
  const std::vector<Extent> hole{run(0, 65536, zero)}, image{run(0, 65536, base)};
  CHECK(differing_bytes(hole, hole, true) == 0);
  CHECK(differing_bytes(image, image, true) == 0);
  CHECK(differing_bytes(image, image, false) == 65536);
  CHECK(differing_bytes(hole, image, true) == 65536);
  // A run that was cut in three: the outer parts lie where they lay.
  const std::vector<Extent> whole{run(0, 65536, local, 100)};
  const std::vector<Extent> cut{run(0, 8192, local, 100), run(8192, 4096, local, 900),
                                run(12288, 53248, local, 103)};
  CHECK(differing_bytes(whole, cut, true) == 4096);
  // Two small pieces within one block count once.
  const std::vector<Extent> pieces{run(0, 100, base), run(100, 10, local, 7),
                                   run(110, 90, base), run(200, 10, local, 7),
                                   run(210, 65326, base)};
  CHECK(differing_bytes(image, pieces, true) == 4096);
}

}  // namespace
}  // namespace rowan::proxy
