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

}  // namespace
}  // namespace rowan::proxy
