// States sent to another family: every kind of change, alone and as an increment.
#include "cache/change_walk.h"

#include <functional>
#include <string>
#include <vector>

#include "cache/change_parcels.h"
#include "tests/support/catch.h"
#include "tests/support/family_fixture.h"

using namespace rowan;
using namespace rowan::cache;
using test::FamilyFixture;

namespace {

constexpr ObjectId file{5}, other{6};
constexpr std::uint64_t block = data_block_size;

// All that a state shows, in the form that travels; without the counters, which need not be equal.
std::vector<PortableChange> content(FamilyFixture& of, StateId state) {
  std::vector<PortableChange> all;
  for (const std::string& page : test::send(of, no_state, state, 1u << 20).pages) {
    PortableReader reader(page);
    while (true) {
      auto change = reader.next();
      REQUIRE(change);
      if (!*change) break;
      const auto* put = std::get_if<PutRecord>(&**change);
      if (put == nullptr || put->key != counters_key()) all.push_back(std::move(**change));
    }
  }
  return all;
}

struct Pair {
  FamilyFixture from{1}, to{2};
  StateId sent = no_state, received = no_state;

  // Sends what changed since the last time, in pages of about so many bytes.
  test::SentChanges transfer(std::size_t page_bytes = 1u << 20) {
    const StateId after = from.checkpoint();
    test::SentChanges changes = test::send(from, sent, after, page_bytes);
    for (const std::string& page : changes.pages) test::take(to, page);
    const StateId made = to.checkpoint();
    CHECK(test::verify(to, received, made).sum == changes.totals.sum);
    CHECK((content(from, after) == content(to, made)));
    sent = after;
    received = made;
    return changes;
  }
  void finish() {
    CHECK(from.check() == "");
    CHECK(to.check() == "");
  }

  void change(const std::function<void(Transaction&)>& how) {
    Transaction transaction;
    how(transaction);
    from.apply(transaction);
  }
  void put(ObjectId id, std::uint64_t size) {
    ObjectRecord record;
    record.size = size;
    record.name = "file";
    record.parent = image_root;
    change([&](Transaction& t) { t.put_object(id, record); });
  }
  void write(ObjectId id, std::uint64_t offset, const std::string& bytes) {
    change([&](Transaction& t) { t.write(id, offset, as_bytes(bytes)); });
  }
  void truncate(ObjectId id, std::uint64_t size) {
    change([&](Transaction& t) { t.truncate(id, size); });
  }
  // More extents than a transaction drops at once.
  void spray(ObjectId id, char filler) {
    for (std::uint64_t i = 0; i < 300; ++i)
      write(id, i * 2 * block + 7, std::string(3, filler));
  }
};

}  // namespace

TEST_CASE("objects, names and links arrive, are changed and taken away") {
  Pair pair;
  pair.put(file, 10);
  const ObjectId made = pair.from.head->next_object();
  pair.put(made, 1);
  pair.change([&](Transaction& t) {
    t.put_name(image_root, "first", {made, pair.from.head->next_sequence()});
    t.put_name(image_root, "second", {made, pair.from.head->next_sequence()});   // a hard link
    t.put_name(image_root, "gone", {no_object, 0});
  });
  const auto full = pair.transfer();
  CHECK(full.totals.records == 8);   // with the counters and two places in the listing
  CHECK(full.totals.windows == 0);
  CHECK(to_number(pair.to.head->next_object()) > to_number(made));

  pair.change([&](Transaction& t) {   // renamed, a link removed, a whiteout taken back
    t.erase_name(image_root, "first");
    t.put_name(file, "moved", {made, pair.from.head->next_sequence()});
    t.erase_name(image_root, "second");
    t.erase_name(image_root, "gone");
  });
  pair.transfer();
  pair.change([&](Transaction& t) {
    t.remove_object(made, {});
    t.remove_object(file, {});        // leaves a tombstone
    t.erase_name(file, "moved");
  });
  pair.transfer();
  CHECK(pair.to.head->usage().objects == 0);
  CHECK(pair.to.head->object(file)->removed);
  pair.finish();
}

TEST_CASE("of a window half overwritten only the new blocks travel") {
  Pair pair;
  pair.put(file, extent_limit);
  pair.write(file, 0, std::string(extent_limit, 'a'));
  CHECK(pair.transfer().totals.data_bytes == extent_limit);
  pair.write(file, 3 * block, std::string(2 * block, 'b'));
  pair.write(file, 9 * block + 5, "c");
  const auto sent = pair.transfer();
  CHECK(sent.totals.windows == 1);
  CHECK(sent.totals.data_bytes == 3 * block);
  pair.truncate(file, 4 * block + 9);
  CHECK(pair.transfer().totals.data_bytes == 9);
  CHECK(pair.to.head->usage().data_bytes == 5 * block);
  pair.finish();
}

TEST_CASE("sparse files and blocks with holes arrive with their holes") {
  Pair pair;
  pair.put(file, 1u << 30);
  pair.write(file, 77, "x");
  pair.write(file, 99, "y");
  pair.write(file, 3 * block - 1, "over the edge");
  pair.write(file, (1u << 30) - 5, "end");
  pair.put(other, 5);
  CHECK(pair.transfer().totals.data_bytes == 18);
  pair.write(file, 88, "z");
  pair.transfer();
  pair.finish();
}

TEST_CASE("what is dead and not yet worked off does not travel") {
  Pair pair;
  pair.put(file, 1u << 22);
  pair.put(other, 1u << 22);
  SECTION("a mark that is in the state itself") {
    pair.spray(file, 'a');
    pair.truncate(file, 40 * block);
    pair.write(file, 50 * block, "later");
    const auto sent = pair.transfer();
    CHECK(sent.totals.data_bytes == 20 * 3 + 5);
  }
  SECTION("a mark since the base: no extent's record differs") {
    pair.spray(file, 'a');
    pair.spray(other, 'b');
    pair.transfer();
    pair.truncate(file, 0);
    pair.truncate(other, 500 * block);
    const auto sent = pair.transfer();
    CHECK(sent.totals.data_bytes == 0);
    CHECK(pair.to.head->usage().data_bytes == 250 * block);
  }
  SECTION("a mark in the base that is worked off since") {
    pair.spray(file, 'a');
    pair.truncate(file, 0);
    pair.transfer();
    pair.from.settle();
    test::run_jobs(*pair.from.family);
    CHECK(pair.transfer().totals.data_bytes == 0);
    pair.spray(file, 'c');
    pair.transfer();
  }
  SECTION("an object removed with many extents") {
    const ObjectId made = pair.from.head->next_object();
    pair.put(made, 1u << 22);
    pair.spray(made, 'a');
    pair.transfer();
    pair.change([&](Transaction& t) { t.remove_object(made, {}); });
    pair.transfer();
    CHECK(pair.to.head->usage().data_bytes == 0);
  }
  pair.finish();
}

TEST_CASE("pages of any size are the same changes, and each begins where the last one ended") {
  Pair pair;
  pair.put(file, 1u << 22);
  pair.put(other, 1u << 22);
  pair.spray(file, 'a');
  pair.spray(other, 'b');
  pair.truncate(other, 300 * block);
  const StateId state = pair.from.checkpoint();
  const auto whole = test::send(pair.from, no_state, state, 1u << 30);
  const auto small = test::send(pair.from, no_state, state, 1);
  CHECK(whole.pages.size() < 4);
  CHECK(small.pages.size() > 10);
  CHECK(small.totals == whole.totals);
  std::string joined, once;
  for (const std::string& page : small.pages) joined += page;
  for (const std::string& page : whole.pages) once += page;
  CHECK((joined == once));
  for (std::size_t i = 0; i < small.pages.size(); i += 7) {
    const auto rest = test::send(pair.from, no_state, state, 1u << 30, small.reached[i]);
    std::string expected;
    for (std::size_t k = i + 1; k < small.pages.size(); ++k) expected += small.pages[k];
    std::string got;
    for (const std::string& page : rest.pages) got += page;
    CHECK((got == expected));
  }
}

TEST_CASE("making a change twice is making it once") {
  Pair pair;
  pair.put(file, extent_limit);
  pair.write(file, 100, std::string(3 * block, 'a'));
  const StateId state = pair.from.checkpoint();
  const auto sent = test::send(pair.from, no_state, state, 1u << 20);
  for (int i = 0; i < 2; ++i) {
    for (const std::string& page : sent.pages) test::take(pair.to, page);
  }
  CHECK((content(pair.from, state) == content(pair.to, pair.to.checkpoint())));
  CHECK(pair.to.head->usage().data_bytes == 4 * block);
  pair.finish();
}

TEST_CASE("damaged data is not sent, and the error names file and place") {
  Pair pair;
  pair.put(file, 10);
  pair.write(file, 0, "0123456789");
  const StateId state = pair.from.checkpoint();
  const auto pin = pair.from.pin(state);
  for (const std::string& path : pair.from.disk.files()) {
    if (path.find("segment") == std::string::npos) continue;
    for (std::uint64_t at = 0; at < pair.from.disk.file_size(path); at += block) {
      std::byte byte{};
      REQUIRE((*pair.from.root->open(path, OpenMode::read))->read_at(at, {&byte, 1}));
      if (byte == std::byte{'0'}) pair.from.disk.flip(path, at, 1);
    }
  }
  ChangeWalk walk(pair.from.root.get(), pair.from.family->diff(nullptr, *pin));
  std::string page;
  const auto stepped = walk.step(1u << 20, page);
  REQUIRE(stepped.failed_with(Errc::corrupt));
  CHECK(stepped.error().detail.find("object 5") != std::string::npos);
  CHECK(stepped.error().detail.find("segment-") != std::string::npos);
}

TEST_CASE("a frame of many records is taken in transactions of a bounded size") {
  Pair pair;
  for (std::uint64_t i = 0; i < 2000; ++i) pair.put(ObjectId{100 + i}, i);
  CHECK(pair.transfer(8u << 20).totals.records == 2001);
  std::string all;
  for (const auto& page : test::send(pair.from, no_state, pair.sent, 8u << 20).pages) all += page;
  ChangeParcels parcels(all);
  std::size_t count = 0;
  while (true) {
    Transaction transaction;
    if (!*parcels.next(transaction)) break;
    CHECK(transaction.steps().size() <= 512);
    ++count;
  }
  CHECK(count == 4);
  pair.finish();
}
