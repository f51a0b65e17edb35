// Whether checkpoints slow down what runs on them: rates of an appliance with few and with many,
// and how long its store takes to open.
#include <iostream>

#include "tools/bench/small_changes.h"
#include "tools/bench/versions_run.h"

// Every appliance has seen the same changes; they differ in how many checkpoints were made in
// between. All daemons are up for the whole time, and every round goes over all of them.
namespace rowan::bench {
namespace {

constexpr double least_share = 0.9;
constexpr double most_open_excess_ms = 1000;
constexpr unsigned writes_per_step = 8;  // into each of the two files
constexpr std::uint64_t block_bytes = 4096;

struct Work {
  const char* name;
  const char* work;
  std::uint64_t count;  // 0: by time
  unsigned depth;       // 0: as the options say
};

TreeShape shape_of(const VersionsRun& run) {
  TreeShape shape;
  shape.file_size = run.scale.file_size;
  return shape;
}

Result<RunResult> one_run(VersionsRun& run, const Work& work, const Side& side,
                          std::uint64_t seed) {
  Plan plan{.name = work.name, .unit = "calls/s", .work = work.work, .target = {}};
  plan.count = work.count;
  plan.depth = work.depth;
  LoadOptions load;
  load.tree = shape_of(run);
  load.seed = seed;
  RunOptions defaults;
  defaults.connections = run.options.connections;
  defaults.depth = run.options.depth;
  defaults.seconds = run.options.seconds;
  return run_plan(plan, side, load, defaults);
}

// Steps of changes with `checkpoints` of them ending in a checkpoint, spread evenly, the last step
// being one.
Result<void> live_through(VersionsRun& run, Appliance& appliance, std::uint64_t checkpoints) {
  auto shape = shape_of(run);
  TRY(auto changes, SmallChanges::connect(appliance.target(), shape.directory));
  TRY(auto data, changes.file(data_name, shape.file_size));
  TRY(auto scratch, changes.file(scratch_name, shape.file_size));
  const auto steps = run.scale.checkpoints.back();
  const auto blocks = shape.file_size / block_bytes;
  std::uint64_t place = 1;
  for (std::uint64_t step = 0; step < steps; ++step) {
    for (unsigned i = 0; i < writes_per_step; ++i) {
      place = place * 6364136223846793005u + 1442695040888963407u;  // Knuth's generator
      auto offset = (place >> 33) % blocks * block_bytes;
      TRY_VOID(changes.overwrite(data, offset, false));
      TRY_VOID(changes.overwrite(scratch, offset, false));
    }
    TRY_VOID(changes.create("step-" + std::to_string(step)));
    if ((step + 1) * checkpoints / steps == step * checkpoints / steps) continue;
    TRY(auto took, appliance.checkpoint("after-" + std::to_string(step)));
    if (took > 1000) std::cerr << "checkpoint " << step << " took " << took << " ms\n";
  }
  return {};
}

Result<std::vector<Appliance>> make_appliances(VersionsRun& run) {
  std::vector<Appliance> all;
  const Work warm{"warming read", "read", run.scale.file_size / block_bytes, 0};
  for (auto count : run.scale.checkpoints) {
    auto port = static_cast<std::uint16_t>(ports::first_of_many + all.size());
    TRY(auto made, Appliance::make(run.lab, "kept-" + std::to_string(count), port));
    std::cerr << "making " << grouped(count) << " checkpoints\n";
    TRY_VOID(live_through(run, made, count));
    TRY_VOID(one_run(run, warm, made.side(), 1));
    all.push_back(std::move(made));
  }
  return all;
}

Result<void> rate_lines(VersionsRun& run, const std::vector<Appliance>& appliances,
                        const Work& work) {
  Line rate{.work = work.name, .by = "rowan", .unit = "calls/s"};
  rate.goal = {Goal::Kind::share_of_first, least_share};
  Line cpu{.work = std::string(work.name) + ", processor time", .by = "rowan",
           .unit = "µs per call"};
  rate.figures.resize(appliances.size());
  cpu.figures.resize(appliances.size());
  std::uint64_t seed = 1;
  for (unsigned round = 0; round < run.options.rounds; ++round) {
    ++seed;  // the same blocks and names for all of a round
    for (std::size_t i = 0; i < appliances.size(); ++i) {
      TRY(auto result, one_run(run, work, appliances[i].side(), seed));
      rate.figures[i].samples.push_back(result.calls_per_second);
      cpu.figures[i].samples.push_back(result.server_cpu_us_per_call.value_or(0));
    }
  }
  run.table.add(rate);
  run.table.add(cpu);
  return {};
}

Result<void> open_line(VersionsRun& run, std::vector<Appliance>& appliances) {
  Line open{.work = "restart of the daemon until a READ is answered", .by = "rowan", .unit = "ms"};
  open.goal = {Goal::Kind::excess_of_first, most_open_excess_ms};
  open.figures.resize(appliances.size());
  for (unsigned round = 0; round < run.options.rounds; ++round) {
    for (std::size_t i = 0; i < appliances.size(); ++i) {
      TRY(auto took, appliances[i].reopen(shape_of(run).directory, data_name));
      open.figures[i].samples.push_back(took);
    }
  }
  run.table.add(open);
  return {};
}

}  // namespace

Result<void> measure_rates(VersionsRun& run) {
  TRY(auto appliances, make_appliances(run));
  run.table.begin("rate with so many checkpoints", column_names(run.scale.checkpoints));
  constexpr unsigned creates_in_flight = 16;
  const Work works[] = {
      {"warm 4k random read", "randread", 0, 0},
      {"4k random write + COMMIT", "randwrite", run.scale.writes, 0},
      {"durable create", "create", run.scale.creates, creates_in_flight / 2},
  };
  for (const auto& work : works) TRY_VOID(rate_lines(run, appliances, work));
  return open_line(run, appliances);
}

}  // namespace rowan::bench
