#include "cache/table_versions.h"

#include <algorithm>
#include <map>
#include <string>

#include "cache/table_check.h"
#include "cache/table_jobs.h"
#include "tests/support/catch.h"
#include "tests/support/run_jobs.h"
#include "tests/support/sim_disk.h"
#include "tests/support/small_options.h"
#include "tests/support/versions_model.h"

using namespace rowan;
using namespace rowan::cache;
using test::loading;
using test::SimDisk;
using test::TableContent;

namespace {

TableOptions small_options() {
  TableOptions options = test::small_table(16 << 10);
  options.pending_bytes = 1 << 20;
  options.find_data = test::find_model_data;
  return options;
}

void put(VersionedTable& table, StateId state, const std::string& key, const std::string& value) {
  Batch batch;
  batch.put(key, value);
  auto ticket = table.view(state)->apply(batch);
  if (ticket.failed_with(Errc::try_later)) {
    test::make_durable(table, table.applied());
    ticket = table.view(state)->apply(batch);
  }
  REQUIRE(ticket.has_value());
}

TableContent content(VersionedTable& table, StateId state) {
  auto view = table.view(state);
  auto found = test::content_of(*view);
  if (!found) FAIL(to_string(found.error()));
  return *found;
}

// All the jobs there are, everything durable.
void settle(VersionedTable& table) { test::make_durable(table, table.applied()); }

std::vector<std::uint64_t> ids(const VersionedTable& table) {
  std::vector<std::uint64_t> found;
  for (const StateInfo& info : table.states()) found.push_back(to_number(info.id));
  return found;
}

StateInfo info_of(const VersionedTable& table, StateId id) {
  for (StateInfo& info : table.states()) {
    if (info.id == id) return info;
  }
  FAIL("no state " << to_number(id));
  return {};
}

struct Fixture {
  SimDisk disk;
  std::unique_ptr<Directory> root = disk.root();
  TableOptions options = small_options();
  std::unique_ptr<VersionedTable> table = *VersionedTable::create(*root, options);

  void reopen(bool cleanly = true) {
    if (cleanly) test::close_cleanly(*table);
    table.reset();
    auto opened = VersionedTable::open(*root, options);
    if (!opened) FAIL(to_string(opened.error()));
    table = std::move(*opened);
  }
  void check_closed() {
    test::close_cleanly(*table);
    table.reset();
    REQUIRE(test::check_versions(*root) == "");
  }
};

}  // namespace

TEST_CASE("a checkpoint keeps what the head had, at once and after restarts") {
  Fixture f;
  put(*f.table, first_state, "a", "1");
  put(*f.table, first_state, "b", "1");
  const StateId before = *f.table->checkpoint(first_state, "before");
  put(*f.table, first_state, "a", "2");
  Batch batch;
  batch.erase("b");
  REQUIRE(f.table->view(first_state)->apply(batch));
  const StateId after = *f.table->checkpoint(first_state, "after");
  const TableContent old{{"a", "1"}, {"b", "1"}}, now{{"a", "2"}};
  for (int round = 0; round < 4; ++round) {
    CHECK(content(*f.table, before) == old);
    CHECK(content(*f.table, after) == now);
    CHECK(content(*f.table, first_state) == now);
    CHECK(info_of(*f.table, before).label == "before");
    CHECK(info_of(*f.table, before).parent == no_state);
    CHECK_FALSE(info_of(*f.table, before).head);
    CHECK(info_of(*f.table, after).parent == before);
    CHECK(info_of(*f.table, first_state).parent == after);
    settle(*f.table);
    if (round == 1) f.reopen(false);
    if (round == 2) REQUIRE(loading(*f.table, [&] {
      auto pin = f.table->pin(after);   // merges
      if (pin.failed_with(Errc::try_later)) test::run_jobs(*f.table);
      return f.table->pin(after);
    }));
    if (round == 2) f.reopen();
  }
  batch.put("c", "3");
  CHECK(f.table->view(before)->apply(batch).failed_with(Errc::read_only));
  f.check_closed();
}

TEST_CASE("a rollback goes on with the checkpoint's content and keeps what it left") {
  Fixture f;
  put(*f.table, first_state, "a", "1");
  const StateId old = *f.table->checkpoint(first_state, "old");
  put(*f.table, first_state, "a", "2");
  Batch then;
  then.put("counter", "7");
  const StateId left = *f.table->rollback(first_state, old, "left", &then);
  CHECK(then.empty());
  const TableContent expected{{"a", "1"}, {"counter", "7"}};
  CHECK(content(*f.table, first_state) == expected);
  CHECK(content(*f.table, left) == TableContent{{"a", "2"}});
  CHECK(info_of(*f.table, left).parent == old);
  CHECK(info_of(*f.table, first_state).parent == old);
  settle(*f.table);
  f.reopen(false);
  CHECK(content(*f.table, first_state) == expected);
  CHECK(content(*f.table, left) == TableContent{{"a", "2"}});
  f.check_closed();
}

TEST_CASE("branches change apart from each other") {
  Fixture f;
  put(*f.table, first_state, "a", "1");
  const StateId base = *f.table->checkpoint(first_state, "base");
  const StateId clone = *f.table->branch(base, "clone");
  put(*f.table, first_state, "a", "of the first");
  put(*f.table, clone, "a", "of the clone");
  CHECK(content(*f.table, base) == TableContent{{"a", "1"}});
  CHECK(content(*f.table, first_state) == TableContent{{"a", "of the first"}});
  CHECK(content(*f.table, clone) == TableContent{{"a", "of the clone"}});
  REQUIRE(f.table->set_label(clone, "renamed"));
  REQUIRE(f.table->freeze(first_state, "frozen"));
  settle(*f.table);
  f.reopen(false);
  CHECK(content(*f.table, clone) == TableContent{{"a", "of the clone"}});
  CHECK(info_of(*f.table, clone).label == "renamed");
  CHECK(info_of(*f.table, first_state).label == "frozen");
  CHECK_FALSE(info_of(*f.table, first_state).head);
  f.check_closed();
}

TEST_CASE("operations say what is wrong with their states") {
  Fixture f;
  const StateId checkpoint = *f.table->checkpoint(first_state, "");
  CHECK(f.table->checkpoint(checkpoint, "").failed_with(Errc::invalid));
  CHECK(f.table->branch(first_state, "").failed_with(Errc::invalid));
  CHECK(f.table->rollback(first_state, first_state, "", nullptr).failed_with(Errc::invalid));
  CHECK(f.table->checkpoint(StateId{77}, "").failed_with(Errc::stale));
  CHECK(f.table->branch(StateId{77}, "").failed_with(Errc::stale));
  CHECK(f.table->pin(first_state).failed_with(Errc::invalid));
  CHECK(f.table->checkpoint(first_state, std::string(max_label_bytes + 1, 'x'))
            .failed_with(Errc::too_big));
  CHECK(f.table->view(StateId{77})->get("a").failed_with(Errc::stale));
  REQUIRE(f.table->drop(checkpoint));
  CHECK(f.table->branch(checkpoint, "").failed_with(Errc::stale));
  CHECK(f.table->view(checkpoint)->get("a").failed_with(Errc::stale));
  CHECK(f.table->drop(checkpoint).failed_with(Errc::stale));
  CHECK(f.table->drop(first_state).failed_with(Errc::invalid));
  f.check_closed();
}

TEST_CASE("a dropped checkpoint gives back its pages and its data, and nothing of its neighbours") {
  Fixture f;
  test::ModelWriter writer;
  for (int i = 0; i < 3; ++i) writer.write(*f.table, first_state, i, 0, 16);
  const StateId base = *f.table->checkpoint(first_state, "base");
  writer.write(*f.table, first_state, 0, 0, 16);   // all of a group
  writer.write(*f.table, first_state, 1, 4, 8);    // the middle: what is left moves to other keys
  const StateId middle = *f.table->checkpoint(first_state, "middle");
  writer.write(*f.table, first_state, 0, 0, 16);
  writer.write(*f.table, first_state, 1, 5, 6);
  settle(*f.table);
  CHECK(f.table->usage().live_data_blocks == 3 * 16 + 16 + 4 + 16 + 1);
  const TableContent kept = content(*f.table, base), head = content(*f.table, first_state);
  REQUIRE(f.table->drop(middle));
  settle(*f.table);
  CHECK(ids(*f.table) == std::vector<std::uint64_t>{1, to_number(base)});
  CHECK(info_of(*f.table, first_state).parent == base);
  // Of middle's own 20 blocks the head still refers to 3.
  CHECK(f.table->usage().live_data_blocks == 3 * 16 + 16 + 4 + 1 - 1);
  CHECK(content(*f.table, base) == kept);
  CHECK(content(*f.table, first_state) == head);
  REQUIRE(f.table->drop(base));
  settle(*f.table);
  CHECK(ids(*f.table) == std::vector<std::uint64_t>{1});
  CHECK(f.table->usage().live_data_blocks == 3 * 16);
  CHECK(content(*f.table, first_state) == head);
  f.check_closed();
}

TEST_CASE("a dropped state with two children goes when one is left, and a dropped head at once") {
  Fixture f;
  test::ModelWriter writer;
  writer.write(*f.table, first_state, 0, 0, 16);
  const StateId base = *f.table->checkpoint(first_state, "base");
  const StateId clone = *f.table->branch(base, "clone");
  writer.write(*f.table, clone, 0, 0, 8);
  writer.write(*f.table, first_state, 0, 8, 16);
  REQUIRE(f.table->drop(base));
  settle(*f.table);
  CHECK(info_of(*f.table, base).dropped);
  CHECK(f.table->usage().live_data_blocks == 32);
  REQUIRE(f.table->drop(clone));
  settle(*f.table);
  CHECK(ids(*f.table) == std::vector<std::uint64_t>{1});
  CHECK(f.table->usage().live_data_blocks == 16);
  f.check_closed();
}

TEST_CASE("what the child releases while its parent is being given back is given back too, once") {
  Fixture f;
  test::ModelWriter writer;
  // Large enough for a walk of several steps, with merges in between.
  auto key = [](int i) { return "k" + std::to_string(100'000 + i); };
  for (int i = 0; i < 6000; ++i) put(*f.table, first_state, key(i), std::string(600, 'v'));
  for (int i = 0; i < 200; ++i) writer.write(*f.table, first_state, i, 0, 4);
  const StateId base = *f.table->checkpoint(first_state, "base");
  settle(*f.table);
  REQUIRE(f.table->drop(base));
  // Between every two jobs of the drop the head replaces something.
  for (int i = 0; i < 400; ++i) {
    writer.write(*f.table, first_state, i % 200, i % 3, 4);
    for (int k = 0; k < 6; ++k)
      put(*f.table, first_state, key((i * 6 + k) * 7919 % 6000), std::string(600, 'w'));
    f.table->want_durable(f.table->applied());
    for (int k = 0; k < 2; ++k) {   // a write, and something else
      if (auto job = f.table->next_job()) {
        job->run();
        f.table->complete(std::move(job));
      }
    }
    if (i == 150) REQUIRE(f.table->checkpoint(first_state, "on the way"));
  }
  settle(*f.table);
  CHECK(f.table->states().size() == 2);
  const TableContent head = content(*f.table, first_state);
  f.check_closed();
  f.table = *VersionedTable::open(*f.root, f.options);
  CHECK(content(*f.table, first_state) == head);
}

TEST_CASE("a pinned checkpoint is not given back before the pin goes") {
  Fixture f;
  test::ModelWriter writer;
  writer.write(*f.table, first_state, 0, 0, 16);
  const StateId base = *f.table->checkpoint(first_state, "base");
  CHECK(f.table->pin(base).failed_with(Errc::try_later));
  test::run_jobs(*f.table);
  auto pin = f.table->pin(base);
  REQUIRE(pin);
  writer.write(*f.table, first_state, 0, 0, 16);
  REQUIRE(f.table->drop(base));
  settle(*f.table);
  CHECK(f.table->usage().live_data_blocks == 32);
  CHECK_FALSE(f.table->busy());
  pin = Errc::invalid;
  CHECK(f.table->busy());
  test::run_jobs(*f.table);
  CHECK(f.table->usage().live_data_blocks == 16);
  f.check_closed();
}

TEST_CASE("the difference of two checkpoints is what differs, and costs no more than that") {
  Fixture f;
  f.options.memory_table_bytes = 1 << 20;
  f.reopen();
  auto key = [](int i) { return "k" + std::to_string(100'000 + i); };
  for (int i = 0; i < 20'000; ++i) put(*f.table, first_state, key(i), std::string(20, 'v'));
  const StateId before = *f.table->checkpoint(first_state, "before");
  put(*f.table, first_state, key(5), "changed");
  put(*f.table, first_state, key(15'000) + "new", "added");
  Batch batch;
  batch.erase(key(10'000));
  REQUIRE(f.table->view(first_state)->apply(batch));
  const StateId after = *f.table->checkpoint(first_state, "after");
  (void)f.table->pin(after);
  test::run_jobs(*f.table);
  auto old = f.table->pin(before), now = f.table->pin(after);
  REQUIRE(old);
  REQUIRE(now);
  auto diff = f.table->diff(old->get(), **now);
  std::vector<TableDifference> found;
  // Both inner pages and the leaves that differ, of some hundred: over after a few pages.
  CHECK_FALSE(*diff->step(30, 1000, found));
  const std::vector<TableDifference> expected{
      {key(5), std::string(20, 'v'), "changed"},
      {key(10'000), std::string(20, 'v'), std::nullopt},
      {key(15'000) + "new", std::nullopt, "added"}};
  CHECK(found == expected);
  // Against nothing it is everything; in small steps as well.
  auto all = f.table->diff(nullptr, **now);
  found.clear();
  while (*all->step(1, 10, found)) {
  }
  CHECK(found.size() == 20'000);
  CHECK(std::is_sorted(found.begin(), found.end(),
                       [](const auto& a, const auto& b) { return a.key < b.key; }));
}

TEST_CASE("layers of checkpoints are bounded") {
  Fixture f;
  int made = 0;
  Result<StateId> last = first_state;
  for (; made < 200; ++made) {
    put(*f.table, first_state, "key", std::to_string(made));
    last = f.table->checkpoint(first_state, "");
    if (!last) break;
  }
  CHECK(last.failed_with(Errc::try_later));
  CHECK(made >= 64);
  settle(*f.table);
  CHECK(f.table->checkpoint(first_state, ""));
  CHECK(static_cast<int>(f.table->states().size()) == made + 2);
  f.check_closed();
}

namespace {

// And how many steps of walking it took.
std::uint64_t unique_bytes(VersionedTable& table, StateId state, int& walks) {
  auto bytes = table.unique_bytes(state);
  CHECK(bytes.failed_with(Errc::try_later));
  walks = 0;
  while (auto job = table.next_job()) {
    walks += dynamic_cast<WalkJob*>(job.get()) != nullptr ? 1 : 0;
    job->run();
    table.complete(std::move(job));
  }
  bytes = table.unique_bytes(state);
  if (!bytes) FAIL(to_string(bytes.error()));
  return *bytes;
}

std::uint64_t unique_data(VersionedTable& table, StateId state) {
  int walks = 0;
  return unique_bytes(table, state, walks) % page_size;   // fewer than four blocks in these tests
}

}  // namespace

TEST_CASE("what only a checkpoint needs is what nobody around it needs") {
  Fixture f;
  test::ModelWriter writer;
  writer.write(*f.table, first_state, 1, 0, 16);
  const StateId base = *f.table->checkpoint(first_state, "base");
  writer.write(*f.table, first_state, 2, 0, 8);
  const StateId middle = *f.table->checkpoint(first_state, "middle");
  CHECK(f.table->unique_bytes(first_state).failed_with(Errc::invalid));
  CHECK(unique_data(*f.table, middle) == 0);
  writer.write(*f.table, first_state, 1, 3, 4);   // the base's: not the middle's alone
  writer.write(*f.table, first_state, 2, 5, 7);
  CHECK(unique_data(*f.table, middle) == 2 * data_block_size);
  // A clone that still has one of the two, and one that the head has.
  const StateId clone = *f.table->branch(middle, "clone");
  writer.write(*f.table, clone, 2, 4, 6);
  CHECK(unique_data(*f.table, middle) == 1 * data_block_size);
  CHECK(unique_data(*f.table, base) == 0);
  REQUIRE(f.table->drop(clone));
  CHECK(unique_data(*f.table, middle) == 2 * data_block_size);
  REQUIRE(f.table->drop(middle));
  CHECK(f.table->unique_bytes(middle).failed_with(Errc::stale));
  settle(*f.table);
  CHECK(f.table->usage().live_data_blocks == 16 + 8 + 1);
  f.check_closed();
}

TEST_CASE("finding out what a checkpoint needs costs what it differs, not what it holds") {
  Fixture f;
  for (int i = 0; i < 3000; ++i)
    put(*f.table, first_state, "key" + std::to_string(i), std::string(2000, 'v'));
  settle(*f.table);
  const StateId base = *f.table->checkpoint(first_state, "base");
  put(*f.table, first_state, "key1500", "other");
  const StateId middle = *f.table->checkpoint(first_state, "middle");
  put(*f.table, first_state, "key1500", "another");
  settle(*f.table);
  const std::uint64_t pages = f.table->usage().tree_pages;
  REQUIRE(pages > 20 * WalkJob::pages_per_step / 4);
  int walks = 0;
  const std::uint64_t alone = unique_bytes(*f.table, middle, walks);
  CHECK(walks <= 2);
  CHECK(alone > 0);
  CHECK(alone < 20 * page_size);
  CHECK(unique_bytes(*f.table, base, walks) < 20 * page_size);
  CHECK(walks <= 2);
  // Between checkpoints nothing changes any more, and the answer is there at once.
  REQUIRE(f.table->checkpoint(first_state, "last"));
  (void)unique_bytes(*f.table, middle, walks);
  put(*f.table, first_state, "key7", "changed");
  CHECK(f.table->unique_bytes(middle).has_value());
  f.check_closed();
}
