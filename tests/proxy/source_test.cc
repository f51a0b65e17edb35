// The suite for every source, and what is special to a local directory.
#include "proxy/directory_source.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/suites/source_suite.h"
#include "tests/support/scripted_source.h"
#include "tests/support/temp_directory.h"

#include "tests/support/catch.h"

namespace rowan::proxy {
namespace {

using test::SourceSuite;

struct DirectoryBench {
  test::TempDirectory temp;
  test::ManualLoop loop;
  test::ManualDiskPool disk;
  std::unique_ptr<Source> source = *make_directory_source(temp.path(), loop, disk);
  SourceSuite suite{SourceSuite::worker(loop, disk), *source};
  explicit DirectoryBench(const std::vector<test::TreeEntry>& tree = test::standard_tree()) {
    test::make_tree(tree, temp.path());
  }
};

}  // namespace

TEST_CASE("a scripted source is a source") {
  test::ManualLoop loop;
  test::ManualDiskPool disk;
  test::ScriptedSource source(loop, test::standard_tree());
  source.script.page_entries = 37;
  source.script.delay = std::chrono::milliseconds(5);
  SourceSuite suite{SourceSuite::worker(loop, disk), source};
  suite.all();
}

TEST_CASE("a local directory is a source") {
  DirectoryBench bench;
  bench.suite.all();
}

TEST_CASE("a local directory may be large, and its files sparse") {
  DirectoryBench bench(test::large_tree(2100));
  bench.suite.large_trees_are_read(2100);
}

TEST_CASE("nothing outside the directory is reached, however the tree is built") {
  DirectoryBench bench;
  std::filesystem::create_directory_symlink("/etc", bench.temp.path() + "/escape");
  std::filesystem::create_directory_symlink("..", bench.temp.path() + "/usr/up");
  std::vector<std::byte> bytes(10);
  auto read = [&](std::string path) {
    return bench.suite.run(bench.source->read({"", path}, 0, bytes));
  };
  REQUIRE(bench.suite.find("escape/passwd").failed_with(Errc::not_directory));
  REQUIRE(bench.suite.find("usr/up/etc").failed_with(Errc::not_directory));
  REQUIRE(read("escape/passwd").failed_with(Errc::not_directory));
  // Paths come from the catalogue; even a forged one stays inside.
  REQUIRE_FALSE(read("../../../../../../etc/passwd"));
  REQUIRE_FALSE(read("/etc/passwd"));
  REQUIRE_FALSE(bench.suite.run(bench.source->list({"", "escape"}, "")));
}

TEST_CASE("a listing goes on after its cursor while names come and go") {
  DirectoryBench bench;
  for (int i = 0; i < 2500; ++i) {
    std::ofstream(bench.temp.path() + "/many/g" + std::to_string(10'000 + i));
  }
  SourceRef many{"", "many"};
  auto first = bench.suite.run(bench.source->list(many, ""));
  REQUIRE(first->entries.size() == 1024);
  REQUIRE_FALSE(first->last);
  std::filesystem::remove(bench.temp.path() + "/many/" + first->cursor);
  std::ofstream(bench.temp.path() + "/many/a-new-name");
  std::vector<std::string> names;
  for (auto& entry : first->entries) names.push_back(entry.name);
  std::string cursor = first->cursor;
  for (bool last = false; !last;) {
    auto page = bench.suite.run(bench.source->list(many, cursor));
    for (auto& entry : page->entries) names.push_back(entry.name);
    cursor = page->cursor;
    last = page->last;
  }
  REQUIRE(names.size() == 2800);
  REQUIRE(std::is_sorted(names.begin(), names.end()));
}

TEST_CASE("a changed file shows in the attributes of its next read") {
  DirectoryBench bench;
  SourceRef passwd = *bench.suite.find("etc/passwd");
  auto before = *bench.suite.run(bench.source->attributes(passwd));
  std::ofstream(bench.temp.path() + "/etc/passwd", std::ios::app) << "more";
  std::vector<std::byte> bytes(10);
  auto read = bench.suite.run(bench.source->read(passwd, 0, bytes));
  REQUIRE(cache::describe_drift(before, *read->attributes).has_value());
}

TEST_CASE("a FIFO in the place of a file does not block a thread") {
  DirectoryBench bench;
  std::string path = bench.temp.path() + "/etc/passwd";
  std::filesystem::remove(path);
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  std::vector<std::byte> bytes(10);
  REQUIRE(
      bench.suite.run(bench.source->read({"", "etc/passwd"}, 0, bytes)).failed_with(Errc::invalid));
}

TEST_CASE(
    "a directory that is not there is disconnected, names itself, and works once it is there") {
  test::TempDirectory temp;
  test::ManualLoop loop;
  test::ManualDiskPool disk;
  std::string path = temp.path() + "/later";
  std::unique_ptr<Source> source = *make_directory_source(path, loop, disk);
  auto root = test::run_task(loop, disk, source->root());
  REQUIRE(root.failed_with(Errc::disconnected));
  REQUIRE(root.error().detail.find(path) == 0);
  std::filesystem::create_directory(path);
  REQUIRE(test::run_task(loop, disk, source->root()));
  REQUIRE(make_directory_source("relative", loop, disk).failed_with(Errc::usage));
}

TEST_CASE("what the process may not read is refused by name") {
  if (::geteuid() == 0) {
    WARN("skipped: root may read everything");
    return;
  }
  DirectoryBench bench;
  REQUIRE(::chmod((bench.temp.path() + "/etc").c_str(), 0) == 0);
  auto page = bench.suite.run(bench.source->list({"", "etc"}, ""));
  REQUIRE(page.failed_with(Errc::access));
  REQUIRE(page.error().detail.find("/etc") == 0);
  REQUIRE(::chmod((bench.temp.path() + "/etc").c_str(), 0700) == 0);
}

}  // namespace rowan::proxy
