#include "cache/table.h"

#include <map>
#include <string>

#include "cache/digest.h"
#include "cache/file_posix.h"
#include "tests/support/catch.h"
#include "tests/support/run_jobs.h"
#include "tests/support/small_options.h"
#include "tests/support/temp_directory.h"

using namespace rowan;
using namespace rowan::cache;
using test::loading;
using test::make_durable;
using test::run_jobs;

namespace {

TableOptions small_options() {
  TableOptions options = test::small_table();
  options.pending_bytes = 1 << 20;
  options.reserve_bytes = 1 << 20;
  return options;
}

Ticket put(Table& table, std::string key, std::string value) {
  Batch batch;
  batch.put(std::move(key), std::move(value));
  auto ticket = table.apply(batch);
  REQUIRE(ticket.has_value());
  return *ticket;
}

std::string get(Table& table, const std::string& key) {
  auto value = loading(table, [&] { return table.get(key); });
  if (value.failed_with(Errc::not_found)) return "(none)";
  REQUIRE(value.has_value());
  return std::string(*value);
}

std::string key_of(int i) {
  std::string digits = std::to_string(i);
  return "k" + std::string(8 - digits.size(), '0') + digits;
}

std::map<std::string, std::string> everything(Table& table) {
  std::map<std::string, std::string> all;
  std::string from = "\1";
  while (true) {
    auto page = loading(table, [&] { return table.scan(from, "\xff", 100); });
    REQUIRE(page.has_value());
    for (TableEntry& entry : *page) all.emplace(entry.key, entry.value);
    if (page->size() < 100) return all;
    from = page->back().key + '\0';
  }
}

}  // namespace

TEST_CASE("what is applied can be read at once and after a restart") {
  test::TempDirectory temp;
  auto directory = temp.open();
  {
    auto table = *Table::create(*directory, small_options());
    CHECK(get(*table, "a") == "(none)");
    CHECK(put(*table, "a", "1") == 1);
    CHECK(put(*table, "b", "2") == 2);
    CHECK(get(*table, "a") == "1");
    CHECK(table->durable() == 0);
    make_durable(*table, 2);
    CHECK(table->durable() == 2);
    put(*table, "c", "not durable");
  }
  auto table = *Table::open(*directory, small_options());
  CHECK(table->applied() == 2);
  CHECK(get(*table, "a") == "1");
  CHECK(get(*table, "b") == "2");
  CHECK(get(*table, "c") == "(none)");
}

TEST_CASE("merges keep every key, over many restarts") {
  test::TempDirectory temp;
  auto directory = temp.open();
  std::map<std::string, std::string> model;
  REQUIRE(Table::create(*directory, small_options()).has_value());
  for (int life = 0; life < 5; ++life) {
    auto table = *Table::open(*directory, small_options());
    REQUIRE(everything(*table) == model);
    for (int i = 0; i < 4000; ++i) {
      const std::string key = key_of((i * 7919 + life * 31) % 3000);
      Batch batch;
      if (i % 5 == 4) {
        batch.erase(key);
        model.erase(key);
      } else {
        const std::string value(static_cast<std::size_t>(i % 97), static_cast<char>('a' + life));
        batch.put(key, value);
        model[key] = value;
      }
      auto ticket = table->apply(batch);
      REQUIRE(ticket.has_value());
      if (i % 50 == 0) make_durable(*table, *ticket);
    }
    make_durable(*table, table->applied());
    CHECK(table->usage().tree_pages > 1);
    REQUIRE(everything(*table) == model);
    if (life % 2 == 0) test::close_cleanly(*table);
  }
  for (const auto& [key, value] : model)
    CHECK(get(**Table::open(*directory, small_options()), key) == value);
}

TEST_CASE("data lies where its pointer says and is given back when released") {
  test::TempDirectory temp;
  auto directory = temp.open();
  auto table = *Table::create(*directory, small_options());
  const std::string bytes(8192, 'x');
  Batch batch;
  const std::vector<std::uint64_t> sums(2, checksum64(as_bytes(bytes).first(4096)));
  const DataPointer pointer =
      batch.add_data(Batch::Data::of(Buffer::copy_of(as_bytes(bytes)), sums));
  std::string value(DataPointer::encoded_size, '\0');
  pointer.encode(reinterpret_cast<std::byte*>(value.data()));
  batch.put_pointing("p", value, 0);
  REQUIRE(table->apply(batch).has_value());

  auto read = [&] {
    const std::string found = get(*table, "p");
    const auto at = DataPointer::decode(reinterpret_cast<const std::byte*>(found.data()));
    std::string into(8192, '?');
    auto result = loading(*table, [&] {
      return table->read_data(at, sums, {reinterpret_cast<std::byte*>(into.data()), into.size()});
    });
    REQUIRE(result.has_value());
    return into;
  };
  CHECK(read() == bytes);  // from memory
  make_durable(*table, 1);
  CHECK(read() == bytes);  // from the file
  CHECK(table->usage().live_data_blocks == 2);
  const std::string found = get(*table, "p");
  batch.erase("p");
  batch.release(DataPointer::decode(reinterpret_cast<const std::byte*>(found.data())), 2);
  REQUIRE(table->apply(batch).has_value());
  CHECK(table->usage().live_data_blocks == 0);
}

TEST_CASE("the reserve comes with the first write and not before") {
  test::TempDirectory temp;
  auto directory = temp.open();
  auto reserved = [&] {
    auto file = directory->open("reserve", OpenMode::read);
    return file ? *(*file)->allocated_bytes() : 0;
  };
  {
    auto table = *Table::create(*directory, small_options());
    Batch batch;
    batch.put("first", "record");
    batch.opens_store = true;
    make_durable(*table, *table->apply(batch));
    test::close_cleanly(*table);
    CHECK(reserved() == 0);
  }
  auto table = *Table::open(*directory, small_options());
  run_jobs(*table);
  CHECK(get(*table, "first") == "record");
  CHECK(reserved() == 0);
  const std::uint64_t before = table->usage().disk_bytes;
  put(*table, "a", "1");
  CHECK(table->busy());
  auto job = table->next_job();  // nobody wants the batch durable yet: this is the reserve
  REQUIRE(job != nullptr);
  job->run();
  table->complete(std::move(job));
  CHECK(reserved() >= small_options().reserve_bytes);
  CHECK(table->usage().disk_bytes >= before + small_options().reserve_bytes);
  run_jobs(*table);
  CHECK_FALSE(table->busy());
}
