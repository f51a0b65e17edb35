#include "cache/portable_change.h"

#include "tests/support/catch.h"

namespace rowan::cache {
namespace {

constexpr ObjectId file{77};

PutRecord object_record() {
  ObjectRecord record;
  record.size = 10000;
  record.name = "file";
  return {object_key(file), encode(record)};
}

PortableBlock whole_block(std::uint32_t index, char filler) {
  return {index, {{0, data_block_size}}, std::string(data_block_size, filler)};
}

std::vector<PortableChange> sample() {
  const PortableBlock holes{5, {{0, 10}, {100, 101}}, std::string(11, 'h')};
  return {object_record(),
          PutRecord{counters_key(), encode(Counters{})},
          PutRecord{name_key(file, "odd\xff name"), encode(NameRecord{file, 3})},
          EraseRecord{sequence_key(file, 9)},
          PortableWindow{file, 0, 0x10, {whole_block(0, 'a'), holes, whole_block(31, 'z')}},
          PortableWindow{file, 1u << 20, ~0u, {}}};
}

std::string encoded(const std::vector<PortableChange>& changes) {
  std::string out;
  for (const PortableChange& change : changes) encode(change, out);
  return out;
}

// All changes, or the error.
Result<std::vector<PortableChange>> decoded(std::string_view bytes) {
  std::vector<PortableChange> changes;
  PortableReader reader(bytes);
  while (true) {
    TRY(auto change, reader.next());
    if (!change) return changes;
    changes.push_back(std::move(*change));
  }
}

TEST_CASE("changes come back as they were") {
  CHECK(decoded(encoded(sample())).value() == sample());
  CHECK(decoded("").value().empty());
}

TEST_CASE("the largest change keeps to its bound") {
  PortableWindow window{file, 1, 0, {}};
  for (std::uint32_t block = 0; block < window_blocks; ++block) {
    PortableBlock one{block, {}, std::string(data_block_size / 2, 'x')};
    for (std::uint64_t at = 0; at < data_block_size; at += 2) one.ranges.push_back({at, at + 1});
    window.blocks.push_back(std::move(one));
  }
  const std::string bytes = encoded({window});
  CHECK(bytes.size() <= max_portable_bytes);
  CHECK(decoded(bytes).value() == std::vector<PortableChange>{window});
}

TEST_CASE("a list that is cut in the middle of a change is refused") {
  const auto changes = sample();
  std::vector<std::size_t> ends{0};
  for (std::size_t count = 1; count <= changes.size(); ++count)
    ends.push_back(encoded({changes.begin(), changes.begin() + static_cast<long>(count)}).size());
  const std::string whole = encoded(changes);
  for (std::size_t size = 0; size <= whole.size(); size += size < 300 ? 1 : 61) {
    const bool at_end = std::find(ends.begin(), ends.end(), size) != ends.end();
    INFO(size);
    CHECK(decoded(std::string_view(whole).substr(0, size)).has_value() == at_end);
  }
}

TEST_CASE("records about data do not travel as they are, nor do damaged ones") {
  const std::string marks = encode(std::vector<PurgeMark>{{4096, 3}});
  CHECK(decoded(encoded({PutRecord{purge_key(file), marks}})).failed_with(Errc::corrupt));
  CHECK(decoded(encoded({EraseRecord{extent_key(file, 4096)}})).failed_with(Errc::corrupt));
  CHECK(decoded(encoded({PutRecord{object_key(file), "x"}})).failed_with(Errc::corrupt));
  CHECK(decoded(encoded({PutRecord{"", "x"}})).failed_with(Errc::corrupt));
}

TEST_CASE("windows that contradict themselves are refused") {
  const std::vector<PortableWindow> bad{
      {file, 0, 1, {whole_block(0, 'a')}},                     // kept and new
      {file, 0, 0, {whole_block(3, 'a'), whole_block(3, 'b')}},  // twice
      {file, 0, 0, {whole_block(32, 'a')}},                    // outside
      {no_object, 0, 0, {}},
      {file, ~std::uint64_t{0}, 0, {}},
      {file, 0, 0, {{0, {{5, 5}}, ""}}},
      {file, 0, 0, {{0, {{5, 9}, {9, 10}}, "abcde"}}},  // two that touch
      {file, 0, 0, {{0, {{0, 5000}}, std::string(5000, 'a')}}},
  };
  for (const PortableWindow& window : bad)
    CHECK(decoded(encoded({window})).failed_with(Errc::corrupt));
}

}  // namespace
}  // namespace rowan::cache
