// What every Directory and File must do; run against the real and the simulated disk, so that the
// second may be trusted where the first is too slow or too kind.
#pragma once

#include <string>
#include <vector>

#include "cache/file.h"
#include "tests/support/catch.h"

namespace rowan::test {

inline std::string read_text(const cache::File& file, std::uint64_t offset, std::size_t count) {
  std::string text(count, '?');
  auto got = file.read_at(offset, {reinterpret_cast<std::byte*>(text.data()), text.size()});
  REQUIRE(got.has_value());
  text.resize(*got);
  return text;
}

inline void check_bytes(cache::Directory& directory) {
  using cache::OpenMode;
  auto opened = directory.open("bytes", OpenMode::create_new);
  REQUIRE(opened.has_value());
  cache::File& file = **opened;
  REQUIRE(file.write_at(3, as_bytes("hello")));
  CHECK(*file.size() == 8);
  CHECK(read_text(file, 0, 100) == std::string("\0\0\0hello", 8));
  CHECK(read_text(file, 4, 2) == "el");
  CHECK(read_text(file, 8, 2) == "");
  CHECK(read_text(file, 1000, 2) == "");
  const std::vector<ByteView> pieces{as_bytes("ab"), {}, as_bytes("cdef"), as_bytes("g")};
  REQUIRE(file.write_gather(6, pieces));
  CHECK(read_text(file, 0, 100) == std::string("\0\0\0helabcdefg", 13));
  REQUIRE(file.write_gather(0, {}));
  REQUIRE(file.truncate(5));
  CHECK(read_text(file, 0, 100) == std::string("\0\0\0he", 5));
  REQUIRE(file.truncate(7));
  CHECK(read_text(file, 0, 100) == std::string("\0\0\0he\0\0", 7));
  REQUIRE(file.sync());
  CHECK(file.write_at(~std::uint64_t{0} - 2, as_bytes("hello")).failed_with(Errc::io));
}

inline void check_bulk_writes(cache::Directory& directory) {
  auto opened = directory.open("bulk", cache::OpenMode::create_new);
  REQUIRE(opened.has_value());
  cache::File& file = **opened;
  std::string large(1 << 20, 'a');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>('a' + i / 4096 % 26);
  const std::string head(4096, 'H'), odd(4097, 'o');
  // In turn: long and aligned, then behind it a short one, one of an odd size, and over the first.
  const std::vector<ByteView> pieces{as_bytes(head), as_bytes(large), as_bytes(head)};
  REQUIRE(file.write_bulk(0, pieces));
  CHECK(read_text(file, 0, 2 << 20) == head + large + head);
  const std::vector<ByteView> small{as_bytes(odd)};
  REQUIRE(file.write_bulk(large.size() + 8192, small));
  const std::vector<ByteView> again{as_bytes(large)};
  REQUIRE(file.write_bulk(8192, again));
  CHECK(read_text(file, 0, 2 << 20) == head + large.substr(0, 4096) + large + odd);
  REQUIRE(file.sync());
}

inline void check_cached_reads(cache::Directory& directory) {
  auto opened = directory.open("cached", cache::OpenMode::create_new);
  REQUIRE(opened.has_value());
  REQUIRE((*opened)->write_at(0, as_bytes("0123456789")));
  std::string text(20, '?');
  auto got = (*opened)->read_cached(2, {reinterpret_cast<std::byte*>(text.data()), text.size()});
  if (!got) {
    CHECK(got.failed_with(Errc::needs_load));
  } else {
    CHECK(text.substr(0, *got) == "23456789");
  }
}

inline void check_space(cache::Directory& directory) {
  auto opened = directory.open("space", cache::OpenMode::create_new);
  REQUIRE(opened.has_value());
  cache::File& file = **opened;
  REQUIRE(file.allocate(64 << 10));
  CHECK(*file.size() == 64 << 10);
  CHECK(*file.allocated_bytes() >= 64 << 10);
  CHECK(read_text(file, 60 << 10, 4) == std::string(4, '\0'));
  REQUIRE(file.write_at(0, as_bytes(std::string(64 << 10, 'x'))));
  const auto before = *file.allocated_bytes();
  auto punched = file.punch(4096, 8192);
  if (punched) {
    CHECK(*file.allocated_bytes() <= before - 8192);
    CHECK(read_text(file, 4095, 3) == std::string("x\0\0", 3));
    CHECK(read_text(file, 12287, 2) == std::string("\0x", 2));
    CHECK(*file.size() == 64 << 10);
  } else {
    CHECK(punched.failed_with(Errc::not_supported));
  }
  auto space = directory.space();
  REQUIRE(space.has_value());
  CHECK(space->free_bytes <= space->total_bytes);
}

inline void check_names(cache::Directory& directory) {
  using cache::OpenMode;
  CHECK(directory.open("absent", OpenMode::read).failed_with(Errc::not_found));
  CHECK(directory.open("absent", OpenMode::write).failed_with(Errc::not_found));
  CHECK(directory.remove("absent").failed_with(Errc::not_found));
  CHECK(directory.rename("absent", "x").failed_with(Errc::not_found));
  REQUIRE(directory.open("b", OpenMode::create_new));
  CHECK(directory.open("b", OpenMode::create_new).failed_with(Errc::exists));
  REQUIRE((*directory.open("a", OpenMode::create))->write_at(0, as_bytes("a")));
  CHECK(*directory.list() == std::vector<std::string>{"a", "b"});
  REQUIRE(directory.rename("a", "b"));
  CHECK(*directory.list() == std::vector<std::string>{"b"});
  CHECK(read_text(**directory.open("b", OpenMode::read), 0, 9) == "a");
  // An open file outlives its name.
  auto kept = directory.open("b", OpenMode::write);
  REQUIRE(directory.remove("b"));
  CHECK(directory.list()->empty());
  REQUIRE((*kept)->write_at(1, as_bytes("z")));
  CHECK(read_text(**kept, 0, 9) == "az");
  REQUIRE(directory.sync());
}

inline void check_bad_names(cache::Directory& directory) {
  for (const std::string& name : {std::string(), std::string("."), std::string(".."),
                                  std::string("a/b"), std::string("a\0b", 3)}) {
    CAPTURE(name);
    CHECK(directory.open(name, cache::OpenMode::create).failed_with(Errc::invalid));
    CHECK(directory.directory(name, true).failed_with(Errc::invalid));
    CHECK(directory.remove(name).failed_with(Errc::invalid));
    CHECK(directory.lock(name).failed_with(Errc::invalid));
  }
}

inline void check_subdirectories(cache::Directory& directory) {
  CHECK(directory.directory("sub", false).failed_with(Errc::not_found));
  auto sub = directory.directory("sub", true);
  REQUIRE(sub.has_value());
  REQUIRE((*sub)->open("f", cache::OpenMode::create_new));
  CHECK(*directory.list() == std::vector<std::string>{"sub"});
  CHECK(directory.remove("sub").failed_with(Errc::not_empty));
  REQUIRE((*sub)->remove("f"));
  REQUIRE(directory.remove("sub"));
  CHECK(directory.list()->empty());
}

inline void check_locks(cache::Directory& directory) {
  auto first = directory.lock("lock");
  REQUIRE(first.has_value());
  CHECK(directory.lock("lock").failed_with(Errc::busy));
  first->reset();
  CHECK(directory.lock("lock").has_value());
}

// `make` gives an empty directory each time.
template <class Make>
void run_file_suite(Make make) {
  SECTION("bytes are read back where they were written") { check_bytes(*make()); }
  SECTION("bulk writes land where gathered ones would") { check_bulk_writes(*make()); }
  SECTION("a cached read tells the truth or nothing") { check_cached_reads(*make()); }
  SECTION("space is allocated and given back") { check_space(*make()); }
  SECTION("names are made, renamed and removed") { check_names(*make()); }
  SECTION("names that could leave the directory are refused") { check_bad_names(*make()); }
  SECTION("subdirectories are directories") { check_subdirectories(*make()); }
  SECTION("a lock has one holder") { check_locks(*make()); }
}

}  // namespace rowan::test
