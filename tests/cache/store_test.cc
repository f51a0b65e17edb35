#include "cache/store.h"

#include <algorithm>
#include <random>
#include <set>
#include <string>

#include "cache/file_posix.h"
#include "tests/support/catch.h"
#include "tests/support/run_jobs.h"
#include "tests/support/sim_disk.h"
#include "tests/support/small_options.h"
#include "tests/support/store_model.h"
#include "tests/support/temp_directory.h"

using namespace rowan;
using namespace rowan::cache;
using test::difference;
using test::loading;
using test::StoreModel;

namespace {

StoreOptions small_options() {
  StoreOptions options;
  options.table = test::small_table(128 << 10);
  options.table.pending_bytes = 8 << 20;
  options.table.reserve_bytes = 1 << 20;
  return options;
}

Ticket apply(Store& store, Transaction& transaction) {
  auto ticket = loading(store, [&] {
    auto result = store.apply(transaction);
    while (result.failed_with(Errc::try_later)) {
      store.want_durable(store.applied());
      test::run_jobs(store);
      result = store.apply(transaction);
    }
    return result;
  });
  if (!ticket) FAIL(to_string(ticket.error()));
  return *ticket;
}

ObjectRecord file_record(std::uint64_t size, std::int64_t stamp) {
  ObjectRecord record;
  record.size = size;
  record.mtime.seconds = stamp;
  return record;
}

}  // namespace

// A write whose bytes stay in memory of their own.
void write_kept(Transaction& transaction, ObjectId id, std::uint64_t offset,
                const std::string& bytes) {
  auto owner = std::make_shared<const Buffer>(Buffer::copy_of(as_bytes(bytes)));
  transaction.write(id, offset, owner->view(), owner);
}

TEST_CASE("objects and names are read back as they were put") {
  test::TempDirectory temp;
  auto directory = temp.open();
  ObjectRecord record = file_record(77, 5);
  record.kind = FileKind::symlink;
  record.mode = 0751;
  record.uid = 1000;
  record.gid = 2000;
  record.parent = image_root;
  record.name = "link";
  record.target = "/some/where";
  record.exclusive_verifier = std::array<std::byte, 8>{std::byte{1}, std::byte{2}};
  ObjectId id{};
  {
    auto store = *Store::create(*directory, small_options());
    id = store->next_object();
    CHECK(is_local(id));
    Transaction transaction;
    transaction.put_object(id, record);
    transaction.put_name(image_root, "link", {id, store->next_sequence()});
    transaction.put_name(image_root, "gone", {no_object, 0});
    store->want_durable(apply(*store, transaction));
    CHECK(transaction.empty());
    test::run_jobs(*store);
  }
  auto store = *Store::open(*directory, small_options());
  auto found = loading(*store, [&] { return store->object(id); });
  REQUIRE(found.has_value());
  CHECK(found->kind == FileKind::symlink);
  CHECK(found->mode == 0751);
  CHECK(found->target == "/some/where");
  CHECK(found->name == "link");
  CHECK(found->parent == image_root);
  CHECK(found->exclusive_verifier == record.exclusive_verifier);
  CHECK(found->mtime.seconds == 5);
  CHECK(store->next_object() != id);
  CHECK(store->name(image_root, "link")->child == id);
  CHECK(store->name(image_root, "gone")->child == no_object);
  CHECK(store->name(image_root, "other").failed_with(Errc::not_found));
  CHECK(*store->has_names(image_root));
  CHECK_FALSE(*store->has_names(id));
  auto names = *store->names_after(image_root, 0, 10);
  REQUIRE(names.size() == 1);
  CHECK(names[0].name == "link");
  CHECK(store->usage().objects == 1);
}

TEST_CASE("a hundred bytes written into an image file redirect those bytes only") {
  test::TempDirectory temp;
  auto directory = temp.open();
  auto store = *Store::create(*directory, small_options());
  ObjectRecord record = file_record(1 << 20, 1);
  record.base_size = 1 << 20;
  const ObjectId id{42};
  const std::string bytes(100, 'n');
  Transaction transaction;
  transaction.put_object(id, record);
  transaction.write(id, 5000, as_bytes(bytes));
  apply(*store, transaction);
  auto runs = *store->extents(id, record, 0, 2 << 20);
  REQUIRE(runs.size() == 4);
  CHECK(runs[0].kind == Extent::Kind::base);
  CHECK(runs[0].length == 5000);
  CHECK(runs[1].kind == Extent::Kind::local);
  CHECK(runs[1].length == 100);
  CHECK(runs[2].kind == Extent::Kind::base);
  CHECK(runs[2].offset == 5100);
  CHECK(runs[3].kind == Extent::Kind::zero);
  CHECK(runs[3].offset == 1 << 20);
  std::string into(100, '?');
  REQUIRE(store->read(runs[1], {reinterpret_cast<std::byte*>(into.data()), into.size()}));
  CHECK(into == bytes);
  CHECK(store->usage().data_bytes == 4096);
}

TEST_CASE("whole blocks of a write with an owner stay where they are until they are on disk") {
  test::TempDirectory temp;
  auto directory = temp.open();
  auto store = *Store::create(*directory, small_options());
  const ObjectId id{42};
  auto owner = std::make_shared<const Buffer>(Buffer::copy_of(as_bytes(std::string(20'000, 'k'))));
  Transaction transaction;
  transaction.put_object(id, file_record(30'000, 1));
  transaction.write(id, 1000, owner->view(), owner);
  apply(*store, transaction);
  CHECK(owner.use_count() > 1);
  std::vector<std::optional<char>> expected(1000);   // the image's, or zeros
  expected.resize(21'000, 'k');
  std::string problem;
  CHECK(test::local_bytes(*store, id, 21'000, problem) == expected);
  test::make_durable(*store, store->applied());
  CHECK(owner.use_count() == 1);
  CHECK(test::local_bytes(*store, id, 21'000, problem) == expected);
  CHECK(problem.empty());
}

TEST_CASE("every three writes and truncations in a world of six blocks do as the model") {
  // Offsets are sixths of a small file in steps of half a block, so that heads, tails and holes all
  // occur.
  test::TempDirectory temp;
  auto directory = temp.open();
  auto store = *Store::create(*directory, small_options());
  constexpr std::uint64_t half = 2048, ends = 7, file_size = 8 * half;
  struct Step {
    std::uint64_t from, to;
  };  // to 0: truncate at from
  std::vector<Step> steps;
  for (std::uint64_t from = 0; from < ends; ++from) {
    for (std::uint64_t to = from + 1; to <= ends; to += 2)
      steps.push_back({from * half + 1, to * half});
    steps.push_back({from * half + (from % 2 ? 7 : 0), 0});
  }
  std::uint64_t number = 1000;
  for (const Step& a : steps) {
    for (const Step& b : steps) {
      for (std::size_t k = number % 5; k < steps.size(); k += 5) {
        StoreModel model;
        const std::uint64_t id = ++number;
        Transaction transaction;
        char letter = 'a';
        std::vector<std::string> kept;
        kept.reserve(3);
        for (const Step& step : {a, b, steps[k]}) {
          if (step.to == 0) {
            transaction.truncate(ObjectId{id}, step.from);
            model.truncate(id, step.from);
          } else {
            kept.emplace_back(step.to - step.from, letter++);
            if (number % 2 == 0) {
              write_kept(transaction, ObjectId{id}, step.from, kept.back());
            } else {
              transaction.write(ObjectId{id}, step.from, as_bytes(kept.back()));
            }
            model.write(id, step.from, kept.back());
          }
          // Sometimes all three in one transaction, sometimes one by one.
          if (number % 3 != 0) apply(*store, transaction);
        }
        if (!transaction.empty()) apply(*store, transaction);
        std::string problem;
        auto bytes = test::local_bytes(*store, ObjectId{id}, file_size, problem);
        auto expected = model.files[id].bytes;
        expected.resize(file_size);
        if (!problem.empty() || bytes != expected ||
            store->usage().data_bytes != model.data_blocks() * 4096) {
          INFO(a.from << "-" << a.to << ", " << b.from << "-" << b.to << ", " << steps[k].from
                      << "-" << steps[k].to);
          INFO(problem);
          CHECK(bytes == expected);
          FAIL("object " << id << ", usage " << store->usage().data_bytes);
        }
        transaction.truncate(ObjectId{id}, 0);
        apply(*store, transaction);
        if (number % 16 == 0) test::make_durable(*store, store->applied());
      }
    }
  }
  CHECK(store->usage().data_bytes == 0);
}

TEST_CASE("two writes to one block keep each other while an older truncation is worked off") {
  test::TempDirectory temp;
  auto directory = temp.open();
  StoreOptions options = small_options();
  options.eager_drops = 1;
  auto store = *Store::create(*directory, options);
  StoreModel model;
  const ObjectId id{42};
  const ObjectRecord record = file_record(20'000, 1);
  const std::string long_bytes(4096, 'o'), first(700, 'f'), second(2000, 's');
  Transaction transaction;
  transaction.put_object(id, record);
  model.files[42].record = record;
  for (std::uint64_t at = 0; at < 4; ++at) {
    transaction.write(id, at * 4096, as_bytes(long_bytes));
    apply(*store, transaction);
  }
  transaction.truncate(id, 100);   // leaves a purge mark
  apply(*store, transaction);
  model.write(42, 0, std::string(100, 'o'));
  transaction.write(id, 11'000, as_bytes(first));
  transaction.write(id, 8500, as_bytes(second));
  apply(*store, transaction);
  model.write(42, 11'000, first);
  model.write(42, 8500, second);
  CHECK(difference(*store, model, {42}, 20'000, true) == "");
  test::run_jobs(*store);
  CHECK(difference(*store, model, {42}, 20'000) == "");
}

TEST_CASE("what overwriting leaves behind is given back while it goes on") {
  test::TempDirectory temp;
  auto directory = temp.open();
  auto store = *Store::create(*directory, small_options());
  const std::string bytes(64 << 10, 'x');
  Transaction transaction;
  transaction.put_object(ObjectId{42}, file_record(bytes.size(), 1));
  std::uint64_t most = 0;
  for (int round = 0; round < 600; ++round) {
    transaction.write(ObjectId{42}, 0, as_bytes(bytes));
    store->want_durable(apply(*store, transaction));
    test::run_jobs(*store);
    most = std::max(most, store->usage().disk_bytes);
  }
  // 37 MiB were written; a merge is worth it from 1 MiB on.
  CHECK(most < 6u << 20);
}

TEST_CASE("an object that was lost in a crash leaves its id to no other") {
  test::SimDisk disk(1);
  std::set<std::uint64_t> given;
  for (int life = 0; life < 4; ++life) {
    auto root = disk.root();
    auto store = life == 0 ? Store::create(*root, small_options())
                           : Store::open(*root, small_options());
    REQUIRE(store);
    for (int i = 0; i < 3; ++i) {
      const ObjectId id = (*store)->next_object();
      CHECK(is_local(id));
      CHECK(given.insert(to_number(id)).second);
      Transaction transaction;
      transaction.put_object(id, file_record(0, 1));
      apply(**store, transaction);   // and nobody asks for the disk
    }
    store->reset();
    root.reset();
    disk = disk.crashed(1, test::Loss::all);
  }
}
