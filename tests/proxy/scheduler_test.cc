#include "proxy/scheduler.h"

#include "tests/proxy/live_fixture.h"
#include "tests/support/catch.h"
#include "tests/support/manual_loop.h"

namespace rowan::proxy {
namespace {

Schedule hourly(std::string keep = "") { return {std::chrono::hours(1), std::move(keep)}; }

Checkpoint made(std::int64_t created, CheckpointReason reason = CheckpointReason::schedule) {
  Checkpoint checkpoint;
  checkpoint.label.created = created;
  checkpoint.label.name = std::to_string(created);
  checkpoint.label.reason = reason;
  return checkpoint;
}

TEST_CASE("the next checkpoint is due one interval after the last, at once if that has passed") {
  CHECK(next_due(hourly(), std::nullopt, 5000) == 5000);
  CHECK(next_due(hourly(), 5000, 5000) == 8600);
  CHECK(next_due(hourly(), 5000, 6000) == 8600);
  CHECK(next_due(hourly(), 5000, 8600) == 8600);
  CHECK(next_due(hourly(), 5000, 90000) == 90000);
}

TEST_CASE("a clock that was set back puts the next checkpoint off by one interval at most") {
  CHECK(next_due(hourly(), 900'000, 5000) == 8600);
}

TEST_CASE("only what the schedule made is thinned, by its rule") {
  History history;
  history.checkpoints = {made(9 * 3600), made(8 * 3600, CheckpointReason::asked), made(7 * 3600),
                         made(6 * 3600 + 60), made(6 * 3600), made(5 * 3600)};
  CHECK(superseded(hourly("2"), history) ==
        std::vector<std::string>{"21660", "21600", "18000"});
  CHECK(superseded(hourly("3h"), history) == std::vector<std::string>{"21600", "18000"});
  CHECK(superseded(hourly(), history).empty());
}

ApplianceRecord every_hour(std::uint64_t id) {
  ApplianceRecord record;
  record.id = cache::ApplianceId{id};
  record.schedule = hourly();
  return record;
}

TEST_CASE("all that were never looked at are due, and then none until it is time again") {
  const ApplianceRecord one = every_hour(1), two = every_hour(2), three = every_hour(3);
  const std::vector<const ApplianceRecord*> all{&one, &two, &three};
  Agenda agenda;
  CHECK(agenda.due(all, 5000) == all);
  for (const ApplianceRecord* record : {&one, &three}) agenda.set(record->id, 8600);
  CHECK(agenda.due(all, 5000) == std::vector<const ApplianceRecord*>{&two});
  agenda.set(two.id, 9000);
  CHECK(agenda.due(all, 8599).empty());
  CHECK(agenda.due(all, 8600) == std::vector<const ApplianceRecord*>{&one, &three});
}

TEST_CASE("a clock or a schedule that was changed does not put an appliance off for long") {
  ApplianceRecord one = every_hour(1);
  const std::vector<const ApplianceRecord*> all{&one};
  Agenda agenda;
  agenda.set(one.id, 900'000);
  CHECK(agenda.due(all, 5000) == all);
  agenda.set(one.id, 8600);
  CHECK(agenda.due(all, 5000).empty());
  one.schedule.every = std::chrono::minutes(2);
  CHECK(agenda.due(all, 5000) == all);
}

TEST_CASE("a failure is tried again after a minute though the interval is shorter") {
  ApplianceRecord one = every_hour(1);
  one.schedule.every = std::chrono::seconds(10);
  const std::vector<const ApplianceRecord*> all{&one};
  Agenda agenda;
  agenda.set(one.id, 5060);
  CHECK(agenda.due(all, 5000).empty());
  CHECK(agenda.due(all, 5060) == all);
}

TEST_CASE("an appliance that is gone, or has no schedule any more, is forgotten") {
  const ApplianceRecord one = every_hour(1), two = every_hour(2);
  const std::vector<const ApplianceRecord*> all{&one, &two}, left{&two};
  Agenda agenda;
  agenda.set(one.id, 8600);
  agenda.set(two.id, 8600);
  CHECK(agenda.due(left, 5000).empty());
  CHECK(agenda.size() == 1);
}

// Appliances over one running state, each with checkpoints of its own.
struct Round : test::LiveFixture {
  Round() {
    const ApplianceRecord first = create("vm");
    start();
    run(host->start_all());
    for (const char* name : {"one", "two", "three"}) {
      ApplianceRecord record = every_hour(100 + records.size());
      record.name = name;
      record.image = first.image;
      record.version = first.version;
      record.pool = first.pool;
      record.head = first.head;
      records.push_back(record);
    }
  }
  std::size_t checkpoints_of(const ApplianceRecord& record) {
    return run(host->versions().history(record)).value().checkpoints.size();
  }

  std::vector<ApplianceRecord> records;
  test::ManualLoop time;
};

TEST_CASE("a round asks once who there is, and leaves out who has gone since it began") {
  Round f;
  std::size_t walks = 0;
  std::vector<std::string> looked_up;
  Scheduler::Appliances appliances;
  appliances.all = [&] {
    ++walks;
    std::vector<const ApplianceRecord*> all;
    for (const ApplianceRecord& record : f.records) all.push_back(&record);
    return all;
  };
  appliances.find = [&](const std::string& name) {
    looked_up.push_back(name);
    return name == "two" ? nullptr : &f.records[name == "one" ? 0 : 2];
  };
  Scheduler scheduler(f.time, f.host->versions(), appliances);
  scheduler.start();
  f.time.advance(std::chrono::seconds(1));
  while (f.checkpoints_of(f.records[2]) == 0) f.loop.run_some(std::chrono::seconds(1));
  f.run(scheduler.stop());
  CHECK(walks == 1);
  CHECK(looked_up == std::vector<std::string>{"one", "two", "three"});
  CHECK(f.checkpoints_of(f.records[0]) == 1);
  CHECK(f.checkpoints_of(f.records[1]) == 0);
}

}  // namespace
}  // namespace rowan::proxy
