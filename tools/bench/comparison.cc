#include "tools/bench/comparison.h"

#include <iostream>

// What makes the figures comparable: one client program, one machine, trees of the same bytes; both
// servers up for the whole time; runs alternate (A B A B ...) and the median counts; everything
// that is called warm was read through both servers before; writes end with a COMMIT inside the
// measured time.
namespace rowan::bench {
namespace {

bool in_megabytes(const Plan& plan) { return plan.unit == "MB/s"; }

}  // namespace

Result<RunResult> run_plan(const Plan& plan, const Side& side, const LoadOptions& load_options,
                           const RunOptions& defaults) {
  LoadOptions wanted = load_options;
  wanted.work = plan.work;
  wanted.size = plan.size;
  TRY(auto load, make_load(wanted));
  RunOptions run = defaults;
  if (plan.connections != 0) run.connections = plan.connections;
  if (plan.depth != 0) run.depth = plan.depth;
  run.count = plan.count;
  run.server_pid = side.pid;
  auto result = run_load(side.target, *load, run);
  if (result) return result;
  return Error(result.error().code,
               plan.name + " against " + side.target.url() + ": " + to_string(result.error()));
}

// Runs the plan against one side; the rate goes into `figures` when the run counts.
Result<double> Comparison::once(const Plan& plan, const Side& side, Figures* figures) {
  LoadOptions load;
  load.tree = shape_;
  load.seed = ++seed_;
  RunOptions run;
  run.connections = options_.connections;
  run.depth = options_.depth;
  run.seconds = options_.seconds;
  TRY(auto result, run_plan(plan, side, load, run));
  double rate = in_megabytes(plan) ? result.megabytes_per_second : result.calls_per_second;
  if (figures != nullptr) {
    figures->rates.push_back(rate);
    if (result.server_cpu_us_per_call) figures->cpu.push_back(*result.server_cpu_us_per_call);
  }
  return rate;
}

Result<void> Comparison::alternate(const Plan& plan, const Side& baseline, const Side& rowan,
                                   const std::string& baseline_name, Row& row) {
  Figures first, second;
  for (unsigned round = 0; round < options_.rounds; ++round) {
    TRY(auto a, once(plan, baseline, &first));
    TRY(auto b, once(plan, rowan, &second));
    std::cerr << plan.name << ": " << baseline_name << " " << a << ", rowan " << b << " "
              << plan.unit << "\n";
  }
  row.name = plan.name;
  row.unit = plan.unit;
  row.baseline_name = baseline_name;
  row.target = plan.target;
  row.baseline = median(first.rates);
  row.rowan = median(second.rates);
  if (!first.cpu.empty()) row.baseline_cpu_us = median(first.cpu);
  if (!second.cpu.empty()) row.rowan_cpu_us = median(second.cpu);
  return {};
}

Result<void> Comparison::row(const Plan& plan, const Side& baseline, const Side& rowan,
                             const std::string& baseline_name) {
  if (!wanted(plan.name)) return {};
  Row row;
  TRY_VOID(alternate(plan, baseline, rowan, baseline_name, row));
  print(row);
  return {};
}

// Everything once through the server: names and attributes by listing and lookup, data by reading.
Result<void> Comparison::warm_up(const Side& side) {
  Plan lookups{.name = "warming lookup", .unit = "calls/s", .work = "lookup", .target = {}};
  lookups.count = shape_.object_count;
  Plan reads{
      .name = "warming read", .unit = "MB/s", .work = "read", .size = max_io_size, .target = {}};
  reads.count = shape_.file_size / max_io_size;
  TRY_VOID(once(lookups, side, nullptr));
  TRY_VOID(once(reads, side, nullptr));
  return {};
}

Row simple_row(std::string name, std::string unit, std::string against) {
  Row row;
  row.name = std::move(name);
  row.unit = std::move(unit);
  row.baseline_name = std::move(against);
  return row;
}

}  // namespace rowan::bench
