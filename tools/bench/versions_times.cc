// How long operations on states take, by how much has been changed since the image: Rowan with so
// many files made by a client, btrfs with so many files, qcow2 with so many clusters written.
#include <fcntl.h>
#include <unistd.h>

#include <iostream>
#include <map>

#include "tools/bench/neighbours.h"
#include "tools/bench/small_changes.h"
#include "tools/bench/versions_run.h"

// A checkpoint of what has not changed since the last one would be none: before each one a client
// has written. The first follows right upon all the changes.
namespace rowan::bench {
namespace {

namespace fs = std::filesystem;

constexpr double checkpoint_bound_ms = 50;
constexpr unsigned creating_depth = 32;
constexpr std::uint64_t btrfs_bytes = std::uint64_t{24} << 30;
constexpr std::uint64_t cluster_bytes = 64u << 10;  // of qcow2, its default

// The lines of the table, in the order they were begun; each gets a figure for every size.
class Lines {
 public:
  void sample(const std::string& work, const std::string& by, std::size_t column, double value) {
    Line& line = at(work, by);
    if (line.figures.size() <= column) line.figures.resize(column + 1);
    line.figures[column].samples.push_back(value);
    line.figures[column].with_greatest = true;
  }
  void missing(const std::string& work, const std::string& by, const Error& why) {
    at(work, by).not_measured = to_string(why);
    at(work, by).figures.clear();
  }
  Line& at(const std::string& work, const std::string& by) {
    for (auto& line : lines_) {
      if (line.work == work && line.by == by) return line;
    }
    lines_.push_back({.work = work, .by = by, .unit = "ms"});
    return lines_.back();
  }
  const std::vector<Line>& all() const { return lines_; }

 private:
  std::vector<Line> lines_;
};

Result<void> grow(VersionsRun& run, const Appliance& appliance, std::uint64_t from,
                  std::uint64_t to) {
  std::cerr << "creating " << grouped(to - from) << " files\n";
  Plan create{.name = "creating files", .unit = "calls/s", .work = "create", .target = {}};
  create.count = to - from;
  create.depth = creating_depth;
  LoadOptions load;
  load.seed = to;
  RunOptions defaults;
  defaults.connections = run.options.connections;
  defaults.keep = true;
  TRY(auto made, run_plan(create, appliance.side(), load, defaults));
  std::cerr << "  at " << static_cast<int>(made.calls_per_second) << " a second\n";
  return {};
}

// All that was changed, once, for it takes long; and what changed between two checkpoints.
Result<void> measure_diff(VersionsRun& run, Appliance& appliance, std::size_t column,
                          Lines& lines) {
  auto prefix = "c" + std::to_string(run.scale.objects[column]) + "-";
  TRY(auto whole, appliance.diff("", prefix + "0"));
  lines.sample("diff with the image", "rowan", column, whole);
  TRY(auto changes, SmallChanges::connect(appliance.target(), "rowan-bench"));
  TRY_VOID(changes.create(prefix + "one-more"));
  TRY_VOID(appliance.checkpoint(prefix + "diff"));
  for (unsigned round = 0; round < run.options.rounds; ++round) {
    TRY(auto little, appliance.diff(prefix + "0", prefix + "diff"));
    lines.sample("diff of two checkpoints, one file apart", "rowan", column, little);
  }
  return {};
}

Result<void> measure_rowan(VersionsRun& run, Appliance& appliance, std::size_t column,
                           Lines& lines) {
  TRY(auto changes, SmallChanges::connect(appliance.target(), "rowan-bench"));
  TRY(auto file, changes.file("touched", 4096));
  auto prefix = "c" + std::to_string(run.scale.objects[column]) + "-";
  for (unsigned round = 0; round < run.options.rounds; ++round) {
    TRY_VOID(changes.overwrite(file, 0, true));
    TRY(auto checkpoint, appliance.checkpoint(prefix + std::to_string(round)));
    lines.sample("checkpoint", "rowan", column, checkpoint);
  }
  for (unsigned round = 0; round < run.options.rounds; ++round) {
    TRY_VOID(changes.overwrite(file, 0, true));
    TRY(auto rollback, appliance.roll_back(prefix + "0"));
    lines.sample("rollback", "rowan", column, rollback);
  }
  for (unsigned round = 0; round < run.options.rounds; ++round) {
    auto name = "clone-" + prefix + std::to_string(round);
    TRY(auto clone, appliance.clone(prefix + "0", name));
    lines.sample("clone", "rowan", column, clone);
    TRY_VOID(appliance.remove(name));
  }
  return measure_diff(run, appliance, column, lines);
}

Result<void> rowan_times(VersionsRun& run, Lines& lines) {
  TRY(auto appliance, Appliance::make(run.lab, "grown", ports::rowan));
  const auto& objects = run.scale.objects;
  for (std::size_t column = 0; column < objects.size(); ++column) {
    TRY_VOID(grow(run, appliance, column == 0 ? 0 : objects[column - 1], objects[column]));
    TRY_VOID(measure_rowan(run, appliance, column, lines));
  }
  return {};
}

Result<void> make_file(const fs::path& path) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return Error(Errc::io, "cannot make " + path.string());
  close(fd);
  return {};
}

Result<void> btrfs_times(VersionsRun& run, BtrfsVolume& volume, Lines& lines) {
  TRY_VOID(volume.make_subvolume("grown"));
  std::uint64_t made = 0;
  for (std::size_t column = 0; column < run.scale.objects.size(); ++column) {
    auto wanted = run.scale.objects[column];
    auto folder = volume.path() / "grown" / std::to_string(wanted);
    std::error_code code;
    fs::create_directory(folder, code);
    for (; made < wanted; ++made) TRY_VOID(make_file(folder / std::to_string(made)));
    TRY_VOID(volume.sync());
    for (unsigned round = 0; round < run.options.rounds; ++round) {
      auto name = std::to_string(wanted) + "-" + std::to_string(round);
      TRY_VOID(make_file(folder / ("more-" + std::to_string(round))));
      TRY(auto checkpoint, volume.snapshot("grown", name, true));
      lines.sample("checkpoint", "btrfs subvolume snapshot", column, checkpoint);
      TRY(auto clone, volume.snapshot(name, name + "-clone", false));
      lines.sample("clone", "btrfs subvolume snapshot", column, clone);
    }
  }
  return {};
}

// Clusters that are allocated count for qcow2 as clusters that were written do; their content would
// only cost disk space here.
Result<void> qcow2_times(VersionsRun& run, Lines& lines) {
  auto log = run.lab.log("qemu-img");
  for (std::size_t column = 0; column < run.scale.objects.size(); ++column) {
    auto clusters = run.scale.objects[column];
    auto disk = run.lab.directory(("disk-" + std::to_string(clusters) + ".qcow2").c_str());
    auto overlay = disk.string() + ".overlay";
    TRY_VOID(timed_program({"qemu-img", "create", "-q", "-f", "qcow2", "-o",
                            "preallocation=metadata", disk.string(),
                            std::to_string(clusters * cluster_bytes)},
                           log));
    for (unsigned round = 0; round < run.options.rounds; ++round) {
      auto name = "s" + std::to_string(round);
      TRY(auto start, timed_program({"qemu-img", "--version"}, log));
      lines.sample("start of qemu-img, in its figures", "qemu-img", column, start);
      TRY(auto made, timed_program({"qemu-img", "snapshot", "-c", name, disk.string()}, log));
      lines.sample("checkpoint", "qemu-img snapshot -c", column, made);
      TRY(auto back, timed_program({"qemu-img", "snapshot", "-a", name, disk.string()}, log));
      lines.sample("rollback", "qemu-img snapshot -a", column, back);
      TRY(auto clone, timed_program({"qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2",
                                     "-b", disk.string(), overlay},
                                    log));
      lines.sample("checkpoint or clone", "qemu-img create -b", column, clone);
    }
    std::error_code code;
    fs::remove(disk, code);
    fs::remove(overlay, code);
  }
  return {};
}

}  // namespace

Result<void> measure_times(VersionsRun& run) {
  Lines lines;
  TRY_VOID(rowan_times(run, lines));
  lines.at("checkpoint", "rowan").goal = {Goal::Kind::at_most, checkpoint_bound_ms};
  {
    auto volume = BtrfsVolume::make(run.lab.directory(""), btrfs_bytes, run.lab.log("btrfs"));
    auto done = volume ? btrfs_times(run, *volume, lines) : Result<void>(volume.error());
    if (!done) lines.missing("checkpoint", "btrfs subvolume snapshot", done.error());
  }
  auto done = qcow2_times(run, lines);
  if (!done) lines.missing("checkpoint", "qemu-img snapshot -c", done.error());
  run.table.begin("median and greatest time with so many changed objects",
                  column_names(run.scale.objects));
  for (const auto& line : lines.all()) run.table.add(line);
  return {};
}

}  // namespace rowan::bench
