#include "cache/store_family.h"

#include <string>

#include "cache/checker.h"
#include "cache/table_page.h"
#include "tests/support/catch.h"
#include "tests/support/run_jobs.h"
#include "tests/support/sim_disk.h"
#include "tests/support/small_options.h"

using namespace rowan;
using namespace rowan::cache;
using test::loading;
using test::SimDisk;

namespace {

StoreOptions small_options() {
  StoreOptions options;
  options.table = test::small_table();
  return options;
}

struct Fixture {
  SimDisk disk;
  std::unique_ptr<Directory> root = disk.root();
  std::unique_ptr<StoreFamily> family = *StoreFamily::create(*root, small_options());
  std::unique_ptr<Store> head = store(first_state);

  std::unique_ptr<Store> store(StateId state) {
    auto made = loading(*family, [&] { return family->store(state); });
    if (!made) FAIL(to_string(made.error()));
    return std::move(*made);
  }
  void settle() { test::make_durable(*family, family->applied()); }
  std::unique_ptr<StatePin> pin(StateId state) {
    auto pin = family->pin(state);
    if (pin.failed_with(Errc::try_later)) {
      test::run_jobs(*family);
      pin = family->pin(state);
    }
    REQUIRE(pin);
    return std::move(*pin);
  }
  void check_closed() {
    head.reset();
    test::close_cleanly(*family);
    family.reset();
    auto report = check_store(*root, {.data = true});
    REQUIRE(report);
    for (const std::string& finding : report->findings) FAIL_CHECK(finding);
  }
};

void apply(Store& store, Transaction& transaction) {
  auto ticket = loading(store, [&] { return store.apply(transaction); });
  if (ticket.failed_with(Errc::try_later)) {
    test::make_durable(store, store.applied());
    ticket = loading(store, [&] { return store.apply(transaction); });
  }
  if (!ticket) FAIL(to_string(ticket.error()));
}

void write_file(Store& store, ObjectId id, const std::string& bytes, std::uint64_t offset = 0) {
  Transaction transaction;
  ObjectRecord record;
  record.size = offset + bytes.size();
  record.name = "file";
  record.parent = image_root;
  transaction.put_object(id, record);
  transaction.write(id, offset, as_bytes(bytes));
  apply(store, transaction);
}

std::string read_file(Store& store, ObjectId id) {
  auto record = loading(store, [&] { return store.object(id); });
  if (!record) return record.failed_with(Errc::not_found) ? "(none)" : to_string(record.error());
  auto runs = loading(store, [&] { return store.extents(id, *record, 0, record->size); });
  REQUIRE(runs);
  std::string text;
  for (const Extent& run : *runs) {
    std::string part(run.length, '.');
    if (run.kind == Extent::Kind::local)
      REQUIRE(loading(store, [&] {
        return store.read(run, {reinterpret_cast<std::byte*>(part.data()), part.size()});
      }));
    text += part;
  }
  return text;
}

}  // namespace

TEST_CASE("a rollback brings the files back, and no number is given out twice") {
  Fixture f;
  const ObjectId old_file = f.head->next_object();
  write_file(*f.head, old_file, "first");
  const StateId before = *f.family->checkpoint(first_state, "before");
  write_file(*f.head, old_file, "second");
  const ObjectId lost = f.head->next_object();
  write_file(*f.head, lost, "lost");
  const auto verifier = f.head->write_verifier();
  CHECK(f.head->usage().objects == 2);

  auto left = loading(*f.family, [&] { return f.family->rollback(first_state, before, "left"); });
  REQUIRE(left);
  CHECK(read_file(*f.head, old_file) == "first");
  CHECK(f.head->object(lost).failed_with(Errc::not_found));
  CHECK(f.head->usage().objects == 1);
  CHECK(f.head->write_verifier() != verifier);
  CHECK(read_file(*f.store(*left), old_file) == "second");
  CHECK(read_file(*f.store(*left), lost) == "lost");
  f.settle();
  // Also after a crash nobody gets the lost file's number.
  f.head.reset();
  f.family.reset();
  f.family = *StoreFamily::open(*f.root, small_options());
  f.head = f.store(first_state);
  CHECK(to_number(f.head->next_object()) > to_number(lost));
  CHECK(read_file(*f.head, old_file) == "first");
  f.check_closed();
}

TEST_CASE("a checkpoint's store is read-only, a clone's is a store of its own") {
  Fixture f;
  const ObjectId id{5};
  write_file(*f.head, id, std::string(10'000, 'a'));
  const StateId checkpoint = *f.family->checkpoint(first_state, "base");
  const StateId clone = *f.family->branch(checkpoint, "clone");
  auto frozen = f.store(checkpoint), other = f.store(clone);
  CHECK(f.family->store(first_state).failed_with(Errc::busy));
  Transaction transaction;
  transaction.truncate(id, 0);
  CHECK(loading(*frozen, [&] { return frozen->apply(transaction); }).failed_with(Errc::read_only));
  write_file(*other, id, "clone");
  write_file(*f.head, ObjectId{6}, "head");
  CHECK(read_file(*frozen, id) == std::string(10'000, 'a'));
  CHECK(read_file(*other, id) == "clone");
  CHECK(read_file(*f.head, id) == std::string(10'000, 'a'));
  CHECK(read_file(*other, ObjectId{6}) == "(none)");
  CHECK(f.head->usage().data_bytes == 4 * 4096);
  CHECK(other->usage().data_bytes == 3 * 4096);
  REQUIRE(f.family->drop(clone));
  CHECK(other->object(id).failed_with(Errc::stale));
  other.reset();
  frozen.reset();
  f.settle();
  CHECK(f.family->usage().live_data_blocks == 4);
  f.check_closed();
}

TEST_CASE("a large file truncated after a checkpoint stays whole in it, and goes with it") {
  Fixture f;
  const ObjectId id{7};
  constexpr std::uint64_t runs = 400;
  for (std::uint64_t i = 0; i < runs; ++i)
    write_file(*f.head, id, std::string(4096, static_cast<char>('a' + i % 26)), i * extent_limit);
  const StateId checkpoint = *f.family->checkpoint(first_state, "whole");
  Transaction transaction;
  transaction.truncate(id, 0);   // leaves a purge mark
  apply(*f.head, transaction);
  f.settle();
  CHECK(f.head->usage().data_bytes == 0);
  CHECK(f.family->usage().live_data_blocks == runs);
  auto frozen = f.store(checkpoint);
  CHECK(frozen->usage().data_bytes == runs * 4096);
  auto record = loading(*frozen, [&] { return frozen->object(id); });
  REQUIRE(record);
  auto found =
      loading(*frozen, [&] { return frozen->extents(id, *record, 0, runs * extent_limit); });
  REQUIRE(found);
  CHECK(std::count_if(found->begin(), found->end(), [](const Extent& run) {
          return run.kind == Extent::Kind::local;
        }) == static_cast<std::ptrdiff_t>(runs));
  frozen.reset();
  REQUIRE(f.family->drop(checkpoint));
  f.settle();
  CHECK(f.family->usage().live_data_blocks == 0);
  f.check_closed();
}

TEST_CASE("what only a checkpoint's store needs is known before it is dropped") {
  Fixture f;
  const ObjectId id{5};
  write_file(*f.head, id, std::string(10 * 4096, 'a'));
  const StateId checkpoint = *f.family->checkpoint(first_state, "base");
  write_file(*f.head, id, std::string(3 * 4096, 'b'));
  CHECK(f.family->unique_bytes(checkpoint).failed_with(Errc::try_later));
  test::run_jobs(*f.family);
  const auto bytes = f.family->unique_bytes(checkpoint);
  REQUIRE(bytes);
  CHECK(*bytes % page_size == 3 * 4096);
  CHECK(f.family->usage().live_data_blocks == 13);
  REQUIRE(f.family->drop(checkpoint));
  f.settle();
  CHECK(f.family->usage().live_data_blocks == 10);
  f.check_closed();
}

TEST_CASE("the difference of two checkpoints in the terms of a store") {
  Fixture f;
  write_file(*f.head, ObjectId{5}, "same");
  write_file(*f.head, ObjectId{6}, "one");
  const StateId before = *f.family->checkpoint(first_state, "before");
  write_file(*f.head, ObjectId{6}, "two two");
  Transaction transaction;
  transaction.put_name(image_root, "new", {ObjectId{6}, f.head->next_sequence()});
  apply(*f.head, transaction);
  const StateId after = *f.family->checkpoint(first_state, "after");
  const auto old = f.pin(before), now = f.pin(after);
  auto diff = f.family->diff(old.get(), *now);
  std::vector<TableDifference> records;
  while (*diff->step(16, 100, records)) {
  }
  int objects = 0, names = 0, extents = 0;
  for (const TableDifference& record : records) {
    auto decoded = decode_difference(record);
    REQUIRE(decoded);
    if (const auto* object = std::get_if<ObjectDifference>(&*decoded)) {
      ++objects;
      CHECK(object->id == ObjectId{6});
      CHECK(object->before->size == 3);
      CHECK(object->after->size == 7);
    } else if (const auto* name = std::get_if<NameDifference>(&*decoded)) {
      ++names;
      CHECK(name->name == "new");
      CHECK_FALSE(name->before.has_value());
      CHECK(name->after->child == ObjectId{6});
    } else if (const auto* extent = std::get_if<ExtentDifference>(&*decoded)) {
      ++extents;
      CHECK(extent->id == ObjectId{6});
    }
  }
  CHECK(objects == 1);
  CHECK(names == 1);
  CHECK(extents == 2);   // one ended at 3, one ends at 7
}

TEST_CASE("damage in a checkpoint's data is found, though no head refers to it") {
  Fixture f;
  write_file(*f.head, ObjectId{5}, std::string(4096, 'x'));
  REQUIRE(f.family->checkpoint(first_state, "old"));
  write_file(*f.head, ObjectId{5}, std::string(4096, 'y'));
  f.head.reset();
  test::close_cleanly(*f.family);
  f.family.reset();
  for (const std::string& path : f.disk.files()) {
    if (path.find("segment") == std::string::npos) continue;
    for (std::uint64_t at = 0; at < f.disk.file_size(path); at += 4096) {
      auto file = *f.root->open(path, OpenMode::read);
      std::byte byte{};
      REQUIRE(file->read_at(at + 5, {&byte, 1}));
      if (byte == std::byte{'x'}) f.disk.flip(path, at + 5, 0);
    }
  }
  auto report = check_store(*f.root, {.data = true});
  REQUIRE(report);
  CHECK(report->finding_count == 1);
}

TEST_CASE("on a full disk a checkpoint can be dropped, and its room is there for the head") {
  Fixture f;
  f.head.reset();
  f.family.reset();
  StoreOptions options = small_options();
  options.table.reserve_bytes = 1 << 20;
  f.family = *StoreFamily::open(*f.root, options);
  f.head = f.store(first_state);
  constexpr std::uint64_t files = 64;
  const std::string bytes(128 << 10, 'a');
  for (std::uint64_t i = 0; i < files; ++i) write_file(*f.head, ObjectId{10 + i}, bytes);
  const StateId checkpoint = *f.family->checkpoint(first_state, "base");
  for (std::uint64_t i = 0; i < files; ++i) write_file(*f.head, ObjectId{10 + i}, bytes);
  f.settle();
  const std::uint64_t full = f.disk.used_bytes();
  f.disk.limit(full);
  Transaction transaction;
  auto write = [&](std::uint64_t i) {
    transaction.clear();
    transaction.write(ObjectId{10 + i}, 1 << 20, as_bytes(bytes));
    auto ticket = loading(*f.head, [&] { return f.head->apply(transaction); });
    test::make_durable(*f.family, f.family->applied());
    return ticket;
  };
  std::uint64_t wrote = 0;
  while (wrote < 16 && write(wrote)) ++wrote;
  REQUIRE(wrote < 16);   // the reserve gives a little
  REQUIRE(f.family->drop(checkpoint));
  f.settle();
  CHECK(f.family->states().size() == 1);
  CHECK(f.disk.used_bytes() + files * bytes.size() / 2 < full);
  for (std::uint64_t i = 0; i < files / 4; ++i) REQUIRE(write(i));
  f.disk.limit(0);
  f.settle();
  f.check_closed();
}
