#include "rpc/xdr_cursor.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace rowan::xdr {
namespace {

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> out;
  for (int value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

enum class Colour : std::uint32_t { red = 1, green = 2, blue = 3 };

TEST_CASE("numbers are big-endian words in both directions") {
  Writer out;
  out.u32(0x01020304);
  out.u64(0x0506070809000a0b);
  out.boolean(true);
  out.enumeration(Colour::blue);
  auto want = bytes({1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 10, 11, 0, 0, 0, 1, 0, 0, 0, 3});
  REQUIRE(out.view().size() == want.size());
  REQUIRE(std::equal(want.begin(), want.end(), out.view().begin()));

  Reader in(out.view());
  CHECK(in.u32() == 0x01020304);
  CHECK(in.u64() == 0x0506070809000a0b);
  CHECK(in.boolean());
  CHECK(in.enumeration(Colour::red, Colour::blue) == Colour::blue);
  CHECK(in.finish());
}

TEST_CASE("opaque data is padded with zeros to whole words") {
  for (std::size_t size = 0; size <= 9; ++size) {
    Writer out;
    out.u32(0xffffffff);
    out.truncate(0);
    std::string text(size, 'x');
    out.text(text);
    CHECK(out.size() == 4 + padded(size));
    for (std::size_t i = 4 + size; i < out.size(); ++i) CHECK(out.view()[i] == std::byte{0});
    Reader in(out.view());
    CHECK(in.text(size) == text);
    CHECK(in.finish());
  }
}

TEST_CASE("padding that is not zero is tolerated") {
  auto wire = bytes({0, 0, 0, 1, 'a', 7, 7, 7});
  Reader in(wire);
  CHECK(in.text(10) == "a");
  CHECK(in.finish());
}

TEST_CASE("padding that is missing is refused") {
  auto wire = bytes({0, 0, 0, 1, 'a', 0, 0});
  Reader in(wire);
  CHECK(in.text(10).empty());
  CHECK_FALSE(in.ok());
}

TEST_CASE("a length over the limit is refused even if the bytes are there") {
  auto wire = bytes({0, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0});
  CHECK(Reader(wire).opaque(5).size() == 5);
  Reader in(wire);
  CHECK(in.opaque(4).empty());
  CHECK(std::string(in.failure()) == "a field is longer than its limit");
}

TEST_CASE("lengths near the top of their range do not wrap") {
  for (int low : {0xff, 0xfe, 0xfd, 0xfc}) {
    auto wire = bytes({0xff, 0xff, 0xff, low, 1, 2, 3, 4});
    Reader in(wire);
    CHECK(in.opaque(std::numeric_limits<std::size_t>::max()).empty());
    CHECK_FALSE(in.ok());
  }
  auto one = bytes({0, 0, 0, 0});
  for (std::size_t back = 0; back < 8; ++back) {
    Reader in(one);
    CHECK(in.fixed_opaque(std::numeric_limits<std::size_t>::max() - back).empty());
    CHECK_FALSE(in.ok());
  }
}

TEST_CASE("an array that the bytes left cannot hold is refused before room is made") {
  auto wire = bytes({0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0});
  CHECK(Reader(wire).count(3, 2) == 3);
  Reader over(wire);
  CHECK(over.count(2, 1) == 0);
  CHECK(std::string(over.failure()) == "an array is longer than its limit");
  Reader poor(wire);
  CHECK(poor.count(1000, 4) == 0);
  CHECK_FALSE(poor.ok());
}

TEST_CASE("booleans and enumerations outside of their values are refused") {
  auto two = bytes({0, 0, 0, 2});
  Reader boolean(two);
  CHECK_FALSE(boolean.boolean());
  CHECK_FALSE(boolean.ok());
  for (int value : {0, 4}) {
    auto wire = bytes({0, 0, 0, value});
    Reader in(wire);
    in.enumeration(Colour::red, Colour::blue);
    CHECK_FALSE(in.ok());
  }
}

TEST_CASE("after a failure every field is zero or empty and the first reason stays") {
  auto wire = bytes({0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1});
  Reader in(wire);
  in.boolean();
  CHECK(in.u32() == 0);
  CHECK(in.u64() == 0);
  CHECK(in.opaque(100).empty());
  CHECK(in.left() == 0);
  CHECK_FALSE(in.finish());
  CHECK(std::string(in.failure()) == "a boolean is neither 0 nor 1");
}

TEST_CASE("leftover bytes are refused") {
  auto wire = bytes({0, 0, 0, 1, 0});
  Reader in(wire);
  CHECK(in.boolean());
  CHECK(in.ok());
  CHECK_FALSE(in.finish());
  CHECK(std::string(in.failure()) == "bytes are left over");
}

TEST_CASE("a reader over no bytes fails at the first field and finishes before it") {
  CHECK(Reader(ByteView()).finish());
  Reader in{ByteView()};
  CHECK(in.u32() == 0);
  CHECK_FALSE(in.ok());
}

TEST_CASE("a writer grows beyond what was expected and keeps its bytes") {
  Writer out(0);
  for (std::uint32_t i = 0; i < 100'000; ++i) out.u32(i);
  out.patch_u32(4, 77);
  Buffer all = out.take();
  REQUIRE(all.size() == 400'000);
  Reader in(all.view());
  CHECK(in.u32() == 0);
  CHECK(in.u32() == 77);
  bool same = true;
  for (std::uint32_t i = 2; i < 100'000; ++i) same = same && in.u32() == i;
  CHECK(same);
  CHECK(in.finish());
}

}  // namespace
}  // namespace rowan::xdr
