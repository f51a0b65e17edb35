#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "cache/file_posix.h"
#include "tests/support/temp_directory.h"
#include "tests/suites/file_suite.h"

using namespace rowan;
using cache::OpenMode;

TEST_CASE("the real disk passes the file suite") {
  test::TempDirectory temp;
  test::run_file_suite([&] { return temp.open(); });
}

TEST_CASE("a symlink or a FIFO in the place of a file is refused") {
  test::TempDirectory temp;
  auto directory = temp.open();
  REQUIRE(::symlink("/etc/passwd", (temp.path() + "/link").c_str()) == 0);
  REQUIRE(::symlink("/etc", (temp.path() + "/dirlink").c_str()) == 0);
  REQUIRE(::mkfifo((temp.path() + "/fifo").c_str(), 0600) == 0);
  CHECK(directory->open("link", OpenMode::read).failed_with(Errc::io));
  CHECK(directory->directory("dirlink", false).failed_with(Errc::io));
  CHECK(directory->open("fifo", OpenMode::create).failed_with(Errc::io));
  CHECK(directory->lock("link").failed_with(Errc::io));
}

TEST_CASE("a path of directories is made on demand and only then") {
  test::TempDirectory temp;
  const std::string deep = temp.path() + "/a/b/c/";
  CHECK(cache::open_directory(deep, false).failed_with(Errc::not_found));
  auto made = cache::open_directory(deep, true);
  REQUIRE(made.has_value());
  CHECK((*made)->path() == temp.path() + "/a/b/c");
  CHECK(cache::open_directory(deep, true).has_value());
  CHECK(cache::open_directory("", true).failed_with(Errc::invalid));
}

TEST_CASE("errors name the path and the reason") {
  test::TempDirectory temp;
  auto result = temp.open()->open("absent", OpenMode::read);
  REQUIRE(!result.has_value());
  CHECK(result.error().detail == "open " + temp.path() + "/absent: No such file or directory");
}

TEST_CASE("a gathered write of more pieces than one system call takes is complete") {
  test::TempDirectory temp;
  auto file = *temp.open()->open("f", OpenMode::create_new);
  std::string expected;
  for (int i = 0; i < 3000; ++i) expected += static_cast<char>('a' + i % 26);
  std::vector<ByteView> pieces;
  for (const char& c : expected) pieces.push_back(as_bytes(std::string_view(&c, 1)));
  REQUIRE(file->write_gather(0, pieces));
  CHECK(test::read_text(*file, 0, 4000) == expected);
}
