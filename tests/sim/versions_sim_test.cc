#include "tests/sim/versions_sim.h"

#include <algorithm>

#include "rpc/base/log.h"
#include "tests/support/catch.h"
#include "tests/support/seeds.h"

using namespace rowan;

TEST_CASE("two hosts that lose power at any step hold what was acknowledged, and nothing leaks") {
  set_log_level(Level::error);
  sim::VersionsSimulation::Counts all;
  for (const std::uint64_t seed : test::seeds(50)) {
    INFO("again with ROWAN_SIM_SEED=" << seed);
    sim::VersionsSimulation simulation(seed);
    simulation.run(120);
    const auto& counts = simulation.counts;
    all.cuts += counts.cuts;
    all.cut_streams += counts.cut_streams;
    all.resumed += counts.resumed;
    all.received += counts.received;
    all.increments += counts.increments;
    all.put_aside += counts.put_aside;
    all.refused += counts.refused;
    all.unacknowledged += counts.unacknowledged;
  }
  INFO("cuts " << all.cuts << " within a change " << all.unacknowledged << ", streams cut "
               << all.cut_streams << " resumed " << all.resumed << ", received " << all.received
               << " increments " << all.increments << " put aside " << all.put_aside << " refused "
               << all.refused);
  if (!test::many_seeds()) return;
  CHECK(all.unacknowledged > 0);
  CHECK(all.resumed > 0);
  CHECK(all.received > all.increments);
  CHECK(all.increments > 0);
  CHECK(all.put_aside > 0);
  CHECK(all.refused > 0);
}

TEST_CASE("a history of two hosts follows from its seed") {
  set_log_level(Level::error);
  sim::VersionsSimulation first(11);
  first.run(60);
  sim::VersionsSimulation second(11);
  second.run(60);
  for (std::size_t i = 0; i < std::min(first.story().size(), second.story().size()); ++i) {
    INFO("after " << i << " things");
    REQUIRE(first.story()[i] == second.story()[i]);
  }
  CHECK(first.story().size() == second.story().size());
}
