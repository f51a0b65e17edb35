// What the same blocks, overwritten again and again, take on disk: without a checkpoint, and with
// one half-way, which keeps one old content of each block and no more. The reserve and whatever
// else an empty one has already do not count.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <random>

#include "rpc/base/unique_fd.h"
#include "tools/bench/neighbours.h"
#include "tools/bench/small_changes.h"
#include "tools/bench/versions_run.h"

namespace rowan::bench {
namespace {

namespace fs = std::filesystem;
using SteadyClock = std::chrono::steady_clock;

constexpr std::uint32_t block_bytes = 4096;
constexpr std::uint64_t sync_every = (64u << 20) / block_bytes;  // writes, as a load's COMMITs
constexpr std::uint64_t btrfs_bytes = std::uint64_t{8} << 30;

double megabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

// Dead space is given back in the background: what is left once nothing has changed for a while.
double settled_megabytes(const fs::path& directory) {
  constexpr auto quiet = std::chrono::seconds(3), patience = std::chrono::seconds(180);
  constexpr int step_ms = 200;
  auto begin = SteadyClock::now(), changed = begin;
  auto bytes = allocated_bytes(directory);
  while (SteadyClock::now() - changed < quiet && SteadyClock::now() - begin < patience) {
    poll(nullptr, 0, step_ms);
    auto now = allocated_bytes(directory);
    if (now != bytes) changed = SteadyClock::now();
    bytes = now;
  }
  return megabytes(bytes);
}

Result<void> overwrite_rowan(VersionsRun& run, const Appliance& appliance, std::uint64_t seed) {
  Plan plan{.name = "overwriting", .unit = "calls/s", .work = "randwrite", .target = {}};
  plan.count = run.scale.overwrites / 2;
  LoadOptions load;
  load.tree.file_size = run.scale.overwritten_bytes;
  load.seed = seed;
  RunOptions defaults;
  defaults.connections = run.options.connections;
  defaults.depth = run.options.depth;
  TRY_VOID(run_plan(plan, appliance.side(), load, defaults));
  return {};
}

Result<double> rowan_space(VersionsRun& run, bool with_checkpoint) {
  std::string name = with_checkpoint ? "space-kept" : "space-plain";
  TRY(auto appliance, Appliance::make(run.lab, name, ports::rowan));
  {
    TRY(auto changes, SmallChanges::connect(appliance.target(), "rowan-bench"));
    TRY_VOID(changes.create("first"));
  }
  auto before = settled_megabytes(appliance.stores());
  TRY_VOID(overwrite_rowan(run, appliance, 1));
  if (with_checkpoint) TRY_VOID(appliance.checkpoint("half-way"));
  TRY_VOID(overwrite_rowan(run, appliance, 2));
  return settled_megabytes(appliance.stores()) - before;
}

Result<void> overwrite_file(const VersionsRun& run, const fs::path& path, std::uint64_t seed) {
  UniqueFd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!file.valid()) return Error(Errc::io, "cannot open " + path.string());
  std::mt19937_64 random(seed);
  std::vector<char> block(block_bytes);
  const auto blocks = run.scale.overwritten_bytes / block_bytes;
  for (std::uint64_t i = 0; i < run.scale.overwrites / 2; ++i) {
    std::generate(block.begin(), block.begin() + 64, [&] { return static_cast<char>(random()); });
    auto offset = static_cast<off_t>(random() % blocks * block_bytes);
    if (pwrite(file.get(), block.data(), block.size(), offset) != block_bytes ||
        ((i + 1) % sync_every == 0 && fdatasync(file.get()) != 0)) {
      return Error(Errc::io, "cannot write " + path.string());
    }
  }
  if (fdatasync(file.get()) != 0) return Error(Errc::io, "cannot sync " + path.string());
  return {};
}

Result<double> btrfs_space(VersionsRun& run, bool with_snapshot) {
  TRY(auto volume,
      BtrfsVolume::make(run.lab.directory(""), btrfs_bytes, run.lab.log("btrfs")));
  TRY_VOID(volume.make_subvolume("data"));
  TRY_VOID(volume.sync());
  TRY(auto before, volume.used_bytes());
  TRY_VOID(overwrite_file(run, volume.path() / "data" / "file", 1));
  if (with_snapshot) TRY_VOID(volume.snapshot("data", "half-way", true));
  TRY_VOID(overwrite_file(run, volume.path() / "data" / "file", 2));
  TRY_VOID(volume.sync());
  TRY(auto after, volume.used_bytes());
  return megabytes(after - std::min(before, after));
}

Result<double> qcow2_space(VersionsRun& run, bool with_snapshot) {
  auto log = run.lab.log("qemu-img");
  auto disk = run.lab.directory(with_snapshot ? "space-kept" : "space-plain");
  auto path = (disk / "disk.qcow2").string();
  std::error_code code;
  fs::create_directories(disk, code);
  fs::remove(path, code);
  TRY_VOID(timed_program({"qemu-img", "create", "-q", "-f", "qcow2", path,
                          std::to_string(run.scale.overwritten_bytes)},
                         log));
  const std::vector<std::string> overwrite = {
      "qemu-img", "bench", "-q", "-w", "-f", "qcow2", "-t", "writeback", "-d", "16", "-s",
      std::to_string(block_bytes), "-c", std::to_string(run.scale.overwrites / 2), path};
  auto before = allocated_bytes(disk);
  TRY_VOID(timed_program(overwrite, log));
  if (with_snapshot) {
    TRY_VOID(timed_program({"qemu-img", "snapshot", "-c", "half-way", path}, log));
  }
  TRY_VOID(timed_program(overwrite, log));
  return megabytes(allocated_bytes(disk) - before);
}

void add_line(VersionsRun& run, const std::string& work, const std::string& by,
              Result<double> (*measure)(VersionsRun& run, bool with_checkpoint)) {
  std::cerr << work << ": " << by << "\n";
  Line line{.work = work, .by = by, .unit = "MB"};
  auto plain = measure(run, false);
  auto kept = plain ? measure(run, true) : plain;
  if (kept) {
    line.figures = {{.samples = {*plain}}, {.samples = {*kept}}};
  } else {
    line.not_measured = to_string(kept.error());
  }
  run.table.add(line);
}

}  // namespace

Result<void> measure_space(VersionsRun& run) {
  run.table.begin("disk space beyond an empty one's", {"without a checkpoint", "one half-way"});
  auto work = grouped(run.scale.overwrites) + " random overwrites of 4k in " +
              figure_text(megabytes(run.scale.overwritten_bytes)) + " MB";
  add_line(run, work, "rowan", rowan_space);
  add_line(run, work, "btrfs", btrfs_space);
  add_line(run, grouped(run.scale.overwrites) + " overwrites in order", "qcow2", qcow2_space);
  return {};
}

}  // namespace rowan::bench
