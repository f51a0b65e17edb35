#include "proxy/scheduler.h"

#include "tests/support/catch.h"

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

TEST_CASE("all that are due are served in one round, and then none until it is time again") {
  const ApplianceRecord one = every_hour(1), two = every_hour(2), three = every_hour(3);
  const std::vector<const ApplianceRecord*> all{&one, &two, &three};
  Agenda agenda;
  std::vector<const ApplianceRecord*> served;
  while (const ApplianceRecord* record = agenda.next(all, 5000)) {
    served.push_back(record);
    agenda.set(record->id, 8600);
  }
  CHECK(served == all);
  CHECK(agenda.next(all, 8599) == nullptr);
  CHECK(agenda.next(all, 8600) == &one);
}

TEST_CASE("a clock or a schedule that was changed does not put an appliance off for long") {
  ApplianceRecord one = every_hour(1);
  const std::vector<const ApplianceRecord*> all{&one};
  Agenda agenda;
  agenda.set(one.id, 900'000);
  CHECK(agenda.next(all, 5000) == &one);
  agenda.set(one.id, 8600);
  CHECK(agenda.next(all, 5000) == nullptr);
  one.schedule.every = std::chrono::minutes(2);
  CHECK(agenda.next(all, 5000) == &one);
}

TEST_CASE("a failure is tried again after a minute though the interval is shorter") {
  ApplianceRecord one = every_hour(1);
  one.schedule.every = std::chrono::seconds(10);
  const std::vector<const ApplianceRecord*> all{&one};
  Agenda agenda;
  agenda.set(one.id, 5060);
  CHECK(agenda.next(all, 5000) == nullptr);
  CHECK(agenda.next(all, 5060) == &one);
}

TEST_CASE("an appliance that is gone, or has no schedule any more, is forgotten") {
  const ApplianceRecord one = every_hour(1), two = every_hour(2);
  const std::vector<const ApplianceRecord*> all{&one, &two}, left{&two};
  Agenda agenda;
  agenda.set(one.id, 8600);
  agenda.set(two.id, 8600);
  CHECK(agenda.next(left, 5000) == nullptr);
  CHECK(agenda.size() == 1);
}

}  // namespace
}  // namespace rowan::proxy
