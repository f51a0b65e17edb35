#include <string>

#include "tests/support/sim_disk.h"
#include "tests/suites/file_suite.h"
#include "tests/support/catch.h"

using namespace rowan;
using cache::OpenMode;
using test::Loss;
using test::read_text;
using test::SimDisk;

TEST_CASE("the simulated disk passes the file suite") {
  SimDisk disk;
  // One disk for the section; each call gives a directory of its own.
  int count = 0;
  auto root = disk.root();
  test::run_file_suite([&] { return *root->directory("d" + std::to_string(count++), true); });
}

TEST_CASE("a power cut keeps what was synced and nothing else for certain") {
  SimDisk disk;
  auto root = disk.root();
  auto file = *root->open("f", OpenMode::create_new);
  REQUIRE(file->write_at(0, as_bytes("durable")));
  REQUIRE(file->sync());
  REQUIRE(root->sync());
  REQUIRE(file->write_at(0, as_bytes("DURABLE and more")));
  REQUIRE(root->open("g", OpenMode::create_new));
  CHECK(read_text(*file, 0, 99) == "DURABLE and more");

  SimDisk lost = disk.crashed(1, Loss::all);
  CHECK(*lost.root()->list() == std::vector<std::string>{"f"});
  CHECK(read_text(**lost.root()->open("f", OpenMode::read), 0, 99) == "durable");
  SimDisk kept = disk.crashed(1, Loss::none);
  CHECK(*kept.root()->list() == std::vector<std::string>{"f", "g"});
  CHECK(read_text(**kept.root()->open("f", OpenMode::read), 0, 99) == "DURABLE and more");
  SimDisk killed = disk.killed();
  CHECK(read_text(**killed.root()->open("f", OpenMode::read), 0, 99) == "DURABLE and more");
  SimDisk killed_then_cut = killed.crashed(1, Loss::all);
  CHECK(read_text(**killed_then_cut.root()->open("f", OpenMode::read), 0, 99) == "durable");
}

TEST_CASE("a torn write keeps some sectors and not others") {
  SimDisk disk;
  auto root = disk.root();
  auto file = *root->open("f", OpenMode::create_new);
  REQUIRE(file->write_at(0, as_bytes(std::string(8192, 'o'))));
  REQUIRE(file->sync());
  REQUIRE(root->sync());
  REQUIRE(file->write_at(0, as_bytes(std::string(8192, 'n'))));
  bool mixed = false;
  for (std::uint64_t seed = 1; seed < 20; ++seed) {
    SimDisk after = disk.crashed(seed);
    const std::string text = read_text(**after.root()->open("f", OpenMode::read), 0, 8192);
    REQUIRE(text.size() == 8192);
    for (std::size_t at = 0; at < text.size(); at += 512)
      REQUIRE(text.substr(at, 512) == std::string(512, text[at]));
    mixed = mixed || (text.find('o') != text.npos && text.find('n') != text.npos);
  }
  CHECK(mixed);
}

TEST_CASE("steps are counted, can be made to fail, and are seen by the hook") {
  SimDisk disk;
  auto root = disk.root();
  auto file = *root->open("f", OpenMode::create_new);
  const std::uint64_t before = disk.steps();
  int seen = 0;
  disk.on_step([&] { ++seen; });
  disk.fail_step(before + 1, Errc::io);
  CHECK(file->write_at(0, as_bytes("a")));
  CHECK(file->sync().failed_with(Errc::io));
  CHECK(file->sync());   // the second one has nothing to complain about
  CHECK(seen == 3);
  CHECK(disk.steps() == before + 3);
  disk.fail_from(disk.steps(), Errc::no_space);
  CHECK(file->write_at(0, as_bytes("a")).failed_with(Errc::no_space));
  CHECK(root->remove("f").failed_with(Errc::no_space));
  disk.no_more_failures();
  CHECK(root->remove("f"));
}

TEST_CASE("a full disk takes no more until something is given back") {
  SimDisk disk;
  disk.limit(64 << 10);
  auto root = disk.root();
  auto file = *root->open("f", OpenMode::create_new);
  CHECK(file->write_at(0, as_bytes(std::string(60 << 10, 'x'))));
  CHECK(root->space()->free_bytes == 4 << 10);
  CHECK(file->write_at(60 << 10, as_bytes(std::string(8 << 10, 'y'))).failed_with(Errc::no_space));
  CHECK(file->write_at(0, as_bytes(std::string(60 << 10, 'z'))));   // in place
  CHECK((*root->open("g", OpenMode::create_new))->allocate(8 << 10).failed_with(Errc::no_space));
  REQUIRE(file->punch(0, 32 << 10));
  CHECK((*root->open("g", OpenMode::create))->allocate(8 << 10));
  file.reset();
  REQUIRE(root->remove("f"));
  CHECK(disk.used_bytes() <= (60 << 10));   // its name is gone; a crash could still bring it back
}

TEST_CASE("a flipped bit is seen") {
  SimDisk disk;
  auto root = disk.root();
  auto sub = *root->directory("sub", true);
  auto file = *sub->open("f", OpenMode::create_new);
  REQUIRE(file->write_at(0, as_bytes("a")));
  disk.flip("sub/f", 0, 1);
  CHECK(read_text(*file, 0, 1) == "c");
  CHECK(disk.files() == std::vector<std::string>{"sub/f"});
}
