// A disk that fails, fills up or lies: what is refused, what goes on, and that nothing wrong is
// ever read.
#include <cinttypes>
#include <cstdio>
#include <random>
#include <set>
#include <string>

#include "cache/checker.h"
#include "cache/store.h"
#include "tests/support/catch.h"
#include "tests/support/run_jobs.h"
#include "tests/support/sim_disk.h"
#include "tests/support/small_options.h"
#include "tests/support/store_model.h"

using namespace rowan;
using namespace rowan::cache;
using test::loading;
using test::Loss;
using test::SimDisk;

namespace {

StoreOptions small_options() {
  StoreOptions options;
  options.table = test::tiny_table(8 << 10);
  options.table.pending_bytes = 512 << 10;
  options.table.reserve_bytes = 512 << 10;
  return options;
}

ObjectRecord record_of(std::uint64_t number, std::uint64_t size) {
  ObjectRecord record;
  record.size = size;
  record.parent = image_root;
  record.name = "file" + std::to_string(number);
  return record;
}

std::string content_of(std::uint64_t number, std::size_t size) {
  std::string text(size, '\0');
  std::mt19937_64 random(number);
  for (char& c : text) c = static_cast<char>('a' + random() % 26);
  return text;
}

// A file with a name; nothing if it was refused.
Result<Ticket> add_file(Store& store, std::uint64_t number, std::size_t size) {
  const std::string bytes = content_of(number, size);
  const ObjectId id{number};
  Transaction transaction;
  transaction.put_object(id, record_of(number, size));
  transaction.put_name(image_root, "file" + std::to_string(number), {id, number});
  transaction.write(id, 0, as_bytes(bytes));
  return loading(store, [&] { return store.apply(transaction); });
}

Result<Ticket> remove_file(Store& store, std::uint64_t number) {
  Transaction transaction;
  transaction.put_name(image_root, "file" + std::to_string(number), {no_object, 0});
  transaction.remove_object(ObjectId{number}, record_of(number, 0));
  return loading(store, [&] { return store.apply(transaction); });
}

// The whole file, or what the store says instead.
Result<std::string> read_file(Store& store, std::uint64_t number) {
  const ObjectId id{number};
  auto record = loading(store, [&] { return store.object(id); });
  if (!record) return std::move(record).error();
  auto runs = loading(store, [&] { return store.extents(id, *record, 0, record->size); });
  if (!runs) return std::move(runs).error();
  std::string text;
  for (const Extent& run : *runs) {
    std::string part(run.length, '\0');
    if (run.kind == Extent::Kind::local) {
      auto read = loading(store, [&] {
        return store.read(run, {reinterpret_cast<std::byte*>(part.data()), part.size()});
      });
      if (!read) return std::move(read).error();
    }
    text += part;
  }
  return text;
}

}  // namespace

TEST_CASE(
    "whichever step of the disk fails, nothing acknowledged is lost and nothing unsynced is "
    "acknowledged") {
  constexpr std::uint64_t files = 14;
  std::uint64_t failed_steps = 0;
  for (std::uint64_t step = 0;; ++step) {
    SimDisk disk(step + 1);
    disk.fail_step(step, Errc::io);
    auto root = disk.root();
    std::set<std::uint64_t> acknowledged;
    std::array<std::byte, 8> verifier{};
    {
      auto store = Store::create(*root, small_options());
      if (store) {
        verifier = (*store)->write_verifier();
        for (std::uint64_t number = 2; number < 2 + files; ++number) {
          auto ticket = add_file(**store, number, 5000);
          if (!ticket) {
            REQUIRE((*store)->failure().has_value());
            REQUIRE(ticket.failed_with(Errc::io));
            break;
          }
          test::make_durable(**store, *ticket);
          if ((*store)->durable() >= *ticket)
            acknowledged.insert(number);
          else
            REQUIRE((*store)->failure().has_value());
        }
        if ((*store)->failure()) {
          CHECK((*store)->write_verifier() != verifier);
          CHECK((*store)->next_job() == nullptr);
          CHECK_FALSE((*store)->busy());
        }
        // What memory holds can still be read after a failure.
        for (const std::uint64_t number : acknowledged)
          REQUIRE(*read_file(**store, number) == content_of(number, 5000));
      } else {
        CHECK(store.failed_with(Errc::io));
      }
    }
    const bool beyond = step >= disk.steps();
    disk.no_more_failures();
    for (const Loss loss : {Loss::all, Loss::random, Loss::none}) {
      SimDisk after = disk.crashed(step, loss);
      auto again = after.root();
      auto store = Store::open(*again, small_options());
      if (!store) {
        REQUIRE(acknowledged.empty());
        CHECK(store.failed_with(Errc::not_found));
        continue;
      }
      for (const std::uint64_t number : acknowledged) {
        auto text = read_file(**store, number);
        if (!text || *text != content_of(number, 5000))
          FAIL("step " << step << ": file " << number << ": "
                       << (text ? "other bytes" : to_string(text.error())));
      }
    }
    if (beyond) break;
    ++failed_steps;
  }
  CHECK(failed_steps > 50);
}

TEST_CASE(
    "a full disk refuses writes, lets files be removed, and goes on when there is room again") {
  SimDisk disk(3);
  disk.limit(4 << 20);
  auto root = disk.root();
  auto created = Store::create(*root, small_options());
  REQUIRE(created.has_value());
  auto store = std::move(*created);
  for (int round = 0; round < 3; ++round) {
    const std::uint64_t first = 10 + static_cast<std::uint64_t>(round) * 1000;
    std::uint64_t number = first;
    Result<Ticket> last = Errc::io;
    for (;; ++number) {
      last = add_file(*store, number, 20'000);
      if (last.failed_with(Errc::try_later)) {
        test::make_durable(*store, store->applied());
        last = add_file(*store, number, 20'000);
      }
      if (!last) break;
      if (number % 4 == 0) test::make_durable(*store, *last);
      REQUIRE(number < first + 500);
    }
    CHECK(last.failed_with(Errc::no_space));
    CHECK(number > first + 20);
    test::make_durable(*store, store->applied());
    CHECK_FALSE(store->failure().has_value());
    CHECK(store->durable() == store->applied());  // what memory held found room
    // Full, and everything can be read.
    for (std::uint64_t n = first; n < number; ++n)
      REQUIRE(*read_file(*store, n) == content_of(n, 20'000));
    for (std::uint64_t n = first; n < number; ++n) {
      auto removed = remove_file(*store, n);
      if (!removed)
        FAIL("round " << round << ", removing " << n << ": " << to_string(removed.error()));
      test::make_durable(*store, *removed);
      REQUIRE(store->durable() >= *removed);
    }
    CHECK(store->usage().data_bytes == 0);
  }
  test::close_cleanly(*store);
  CHECK_FALSE(store->failure().has_value());
  store.reset();
  auto report = check_store(*root, {.data = true});
  REQUIRE(report.has_value());
  for (const std::string& finding : report->findings) FAIL_CHECK(finding);
}

TEST_CASE("a disk that others fill stops the store and lets it go on, without a failure") {
  SimDisk disk(4);
  auto root = disk.root();
  auto store = *Store::create(*root, small_options());
  REQUIRE(add_file(*store, 5, 100'000).has_value());
  test::run_jobs(*store);
  // less than nothing, even with the reserve given up
  disk.limit(disk.used_bytes() - (512 << 10));
  test::make_durable(*store, store->applied());
  CHECK(store->stalled().has_value());
  CHECK_FALSE(store->failure().has_value());
  CHECK(store->durable() < store->applied());
  CHECK(*read_file(*store, 5) == content_of(5, 100'000));
  CHECK(add_file(*store, 6, 10).failed_with(Errc::no_space));
  disk.limit(0);
  test::run_jobs(*store);
  CHECK(store->durable() == store->applied());
  CHECK_FALSE(store->stalled().has_value());
  CHECK(add_file(*store, 6, 10).has_value());
}

TEST_CASE("a first write needs room for the reserve, which lets it through when the disk is full") {
  SimDisk disk(4);
  auto root = disk.root();
  disk.limit(small_options().table.reserve_bytes);
  auto store = *Store::create(*root, small_options());
  const auto refused = add_file(*store, 5, 100'000);
  REQUIRE(refused.failed_with(Errc::no_space));
  // What must be freed is told, not only that something must be.
  std::uint64_t free = 0, needed = 0, missing = 0;
  const std::size_t at = refused.error().detail.find(": ") + 2;
  REQUIRE(std::sscanf(refused.error().detail.c_str() + at,
                      "%" SCNu64 " bytes are free on its disk and %" SCNu64
                      " are needed; free %" SCNu64 " or more",
                      &free, &needed, &missing) == 3);
  CHECK(needed > small_options().table.reserve_bytes + 100'000);
  CHECK(free + missing == needed);
  disk.limit(0);
  REQUIRE(add_file(*store, 5, 100'000).has_value());
  test::run_jobs(*store);
  CHECK(store->durable() < store->applied());
  disk.limit(disk.used_bytes());
  test::make_durable(*store, store->applied());
  // A file system gives a removed file's blocks back when it commits the removal.
  REQUIRE(root->sync().has_value());
  test::make_durable(*store, store->applied());
  CHECK(store->durable() == store->applied());
  CHECK_FALSE(store->failure().has_value());
}

TEST_CASE("no flipped bit gives wrong bytes, and most files stay readable") {
  SimDisk disk(5);
  constexpr std::uint64_t first = 2, end = 40;
  {
    auto root = disk.root();
    auto store = *Store::create(*root, small_options());
    for (std::uint64_t number = first; number < end; ++number) {
      auto ticket = add_file(*store, number, 3000 + number * 100);
      REQUIRE(ticket.has_value());
      if (number % 3 == 0) test::make_durable(*store, *ticket);
    }
    test::close_cleanly(*store);
  }
  std::mt19937_64 random(6);
  int flips = 0, noticed = 0, refused = 0;
  for (const std::string& path : disk.files()) {
    if (path == "reserve" || path == "lock") continue;
    const std::uint64_t size = disk.file_size(path);
    for (std::uint64_t at = 0; at < size; at += 1024) {
      if (!disk.has_block(path, at)) continue;
      // The heads of blocks hold headers: one flip there for each block, and one anywhere.
      const std::uint64_t offset = at % 4096 == 0 ? at + random() % 128 : at + random() % 1024;
      SimDisk damaged = disk.killed();
      damaged.flip(path, offset, static_cast<int>(random() % 8));
      auto root = damaged.root();
      auto store = Store::open(*root, small_options());
      ++flips;
      if (!store) {
        ++refused;
        UNSCOPED_INFO(path << " at " << offset << ": " << to_string(store.error()));
        CHECK(store.failed_with(Errc::corrupt));
        continue;
      }
      int broken = 0;
      for (std::uint64_t number = first; number < end; ++number) {
        auto text = read_file(**store, number);
        if (text && *text != content_of(number, 3000 + number * 100))
          FAIL("wrong bytes after a flip in " << path << " at " << offset);
        if (text) continue;
        ++broken;
        CHECK(text.failed_with(Errc::corrupt));
        CHECK(text.error().detail.find("object") != std::string::npos);
      }
      noticed += broken > 0 ? 1 : 0;
      if (path.starts_with("segment")) CHECK(broken <= 1);
      store->reset();
      if (broken > 0) CHECK_FALSE(check_store(*root, {.data = true})->healthy());
    }
  }
  CHECK(flips > 100);
  CHECK(noticed > 20);
  CHECK(refused == 0);
}
