// How fast the state of an appliance goes into a stream and comes out of it in another daemon, by
// the commands that people use; btrfs by its own.
#include "tools/bench/neighbours.h"
#include "tools/bench/small_changes.h"
#include "tools/bench/versions_run.h"

// The content is random: nothing is gained by compression. A stream is a file on the same disk. An
// end is when the program says so and what was received is on disk.
namespace rowan::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t btrfs_bytes = std::uint64_t{8} << 30;
constexpr const char* file_name = "content";

double rate(const VersionsRun& run, double milliseconds) {
  return static_cast<double>(run.scale.sent_bytes) / 1e6 / (milliseconds / 1e3);
}

// Words of a shell, with the arguments as $1, $2 ...
Result<double> timed_script(VersionsRun& run, const std::string& script,
                            std::vector<std::string> arguments) {
  std::vector<std::string> words = {"sh", "-c", script, "sh"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return timed_program(words, run.lab.log("transfer"));
}

Result<std::vector<Figure>> transfer_rowan(VersionsRun& run) {
  TRY(auto sender, Appliance::make(run.lab, "sent", ports::rowan));
  TRY(auto receiver, Appliance::make(run.lab, "receiver", ports::rowan_behind_link));
  {
    TRY(auto changes, SmallChanges::connect(sender.target(), "rowan-bench"));
    TRY_VOID(changes.file(file_name, run.scale.sent_bytes));
  }
  TRY_VOID(sender.checkpoint("whole"));
  auto stream = run.lab.directory("stream.rowan").string();
  const auto& program = run.lab.programs().rowan;
  std::vector<Figure> figures(2);
  for (unsigned round = 0; round < run.options.rounds; ++round) {
    TRY(auto sent, timed_script(run, "\"$1\" send sent@whole --state \"$2\" > \"$3\"",
                                {program, run.lab.state("sent"), stream}));
    figures[0].samples.push_back(rate(run, sent));
    TRY(auto received, timed_script(run, "\"$1\" receive sent --state \"$2\" < \"$3\"",
                                    {program, run.lab.state("receiver"), stream}));
    figures[1].samples.push_back(rate(run, received));
    TRY_VOID(receiver.remove("sent"));
  }
  std::error_code code;
  fs::remove(stream, code);
  return figures;
}

Result<std::vector<Figure>> transfer_btrfs(VersionsRun& run) {
  auto log = run.lab.log("btrfs");
  TRY(auto volume, BtrfsVolume::make(run.lab.directory(""), btrfs_bytes, log));
  TRY_VOID(volume.make_subvolume("sent"));
  TRY_VOID(make_random_file(volume.path() / "sent" / file_name, run.scale.sent_bytes));
  TRY_VOID(volume.snapshot("sent", "whole", true));
  auto stream = run.lab.directory("stream.btrfs").string();
  std::vector<Figure> figures(2);
  for (unsigned round = 0; round < run.options.rounds; ++round) {
    TRY(auto sent, timed_script(run, "btrfs -q send -f \"$1\" \"$2\"",
                                {stream, (volume.path() / "whole").string()}));
    figures[0].samples.push_back(rate(run, sent));
    auto into = volume.path() / ("received-" + std::to_string(round));
    std::error_code code;
    fs::create_directory(into, code);
    TRY(auto received, timed_script(run, "btrfs -q receive -f \"$1\" \"$2\" && sync -f \"$2\"",
                                    {stream, into.string()}));
    figures[1].samples.push_back(rate(run, received));
    fs::remove(stream, code);
  }
  return figures;
}

void add_line(VersionsRun& run, const std::string& by,
              Result<std::vector<Figure>> (*measure)(VersionsRun& run)) {
  Line line{.work = grouped(run.scale.sent_bytes >> 20) + " MiB of changed content", .by = by,
            .unit = "MB/s"};
  auto figures = measure(run);
  if (figures) {
    line.figures = std::move(*figures);
  } else {
    line.not_measured = to_string(figures.error());
  }
  run.table.add(line);
}

}  // namespace

Result<void> measure_transfer(VersionsRun& run) {
  run.table.begin("to another host", {"send", "receive"});
  add_line(run, "rowan", transfer_rowan);
  add_line(run, "btrfs", transfer_btrfs);
  return {};
}

}  // namespace rowan::bench
