// The subcommand: options, sizes, the order of the parts.
#include "tools/bench/versions.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "tools/bench/versions_run.h"

namespace rowan::bench {
namespace {

namespace fs = std::filesystem;

struct Part {
  const char* name;
  Result<void> (*measure)(VersionsRun& run);
};
constexpr Part parts[] = {
    {"times", measure_times},
    {"rates", measure_rates},
    {"transfer", measure_transfer},
    {"space", measure_space}};

Result<void> versions_in(const fs::path& parent, const VersionsOptions& options,
                         std::ostream& out) {
  TRY(auto program, sibling(options.rowan, "rowan"));
  Lab lab(parent, {.rowan = program, .link = "", .responder = ""}, {});
  TRY_VOID(lab.make_directories());
  // All that is measured is changed by clients: the image needs no more than to be one.
  std::ofstream(lab.directory("image") / "readme") << "an image\n";
  VersionsTable table(out, options.json);
  VersionsRun run{.options = options,
                  .scale = versions_scale(options.quick),
                  .lab = lab,
                  .table = table};
  for (const auto& part : parts) {
    const auto& only = options.only;
    if (!only.empty() && std::find(only.begin(), only.end(), part.name) == only.end()) continue;
    TRY_VOID(part.measure(run));
  }
  return {};
}

}  // namespace

VersionsScale versions_scale(bool quick) {
  if (quick) {
    return {.objects = {1'000, 10'000},
            .checkpoints = {1, 10, 100},
            .file_size = 8u << 20,
            .writes = 2'000,
            .creates = 500,
            .overwrites = 20'000,
            .overwritten_bytes = 8u << 20,
            .sent_bytes = 16u << 20};
  }
  return {.objects = {1'000, 100'000, 1'000'000},
          .checkpoints = {1, 10, 100, 1'000},
          .file_size = 64u << 20,
          .writes = 32'768,
          .creates = 5'000,
          .overwrites = 1'000'000,
          .overwritten_bytes = 64u << 20,
          .sent_bytes = 512u << 20};
}

std::vector<std::string> column_names(const std::vector<std::uint64_t>& counts) {
  std::vector<std::string> names;
  for (auto count : counts) names.push_back(grouped(count));
  return names;
}

std::uint64_t allocated_bytes(const fs::path& directory) {
  constexpr std::uint64_t unit = 512;  // stat(2)
  std::uint64_t bytes = 0;
  std::error_code code;
  for (fs::recursive_directory_iterator entry(directory, code), end; entry != end;
       entry.increment(code)) {
    struct stat info {};
    if (lstat(entry->path().c_str(), &info) == 0) {
      bytes += static_cast<std::uint64_t>(info.st_blocks) * unit;
    }
    if (code) break;
  }
  return bytes;
}

std::vector<std::string> versions_parts() {
  std::vector<std::string> names;
  for (const auto& part : parts) names.emplace_back(part.name);
  return names;
}

void define_versions(CLI::App& app, VersionsOptions& o) {
  app.add_option("--rowan", o.rowan, "The rowan program (default: beside this one, then PATH)");
  app.add_option("--tree", o.tree,
                 "Directory for state, disk images and logs; kept (default: temporary)");
  app.add_option("--only", o.only, "Only these groups of rows: times, rates, transfer, space")
      ->delimiter(',')
      ->check(CLI::IsMember(versions_parts()));
  app.add_flag("--quick", o.quick, "Few objects, few checkpoints, few calls");
  app.add_flag("--json", o.json, "JSON lines instead of Markdown tables");
  app.add_option("--rounds", o.rounds, "Runs of each measurement; the median counts")
      ->check(CLI::Range(1, 99))
      ->capture_default_str();
  app.add_option("--seconds", o.seconds, "Length of a run bounded by time")->capture_default_str();
  app.add_option("--connections", o.connections, "TCP connections")->capture_default_str();
  app.add_option("--depth", o.depth, "Calls in flight on each")->capture_default_str();
}

Result<void> run_versions(const VersionsOptions& options, std::ostream& out) {
  TRY_VOID(enter_private_network());
  return in_work_directory(options.tree, [&](const fs::path& parent) {
    return versions_in(parent, options, out);
  });
}

}  // namespace rowan::bench
