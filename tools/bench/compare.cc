// The subcommand: options, programs, the order of the rows.
#include "tools/bench/compare.h"

#include <cstdlib>
#include <iostream>

#include "tools/bench/comparison.h"

namespace rowan::bench {
namespace {

namespace fs = std::filesystem;

// One read of everything by a proxy that has seen nothing, beside a server with all of it in
// memory.
Result<void> cold_row(Comparison& c, const Side& image, const Side& rowan) {
  Plan read{.name = "cold 1m sequential read",
            .unit = "MB/s",
            .work = "read",
            .size = max_io_size,
            .target = {}};
  read.count = c.shape().file_size / max_io_size;
  read.depth = 4;
  if (!c.wanted(read.name)) return {};
  TRY_VOID(c.once(read, image, nullptr));
  TRY(auto baseline, c.once(read, image, nullptr));
  TRY(auto first, c.once(read, rowan, nullptr));
  auto row = simple_row(read.name, read.unit, "ganesha, warm");
  row.baseline = baseline;
  row.rowan = first;
  c.print(row);
  return {};
}

void memory_row(Comparison& c, const ChildProcess& rowan, const Lab& lab) {
  auto row = simple_row("resident memory at its peak", "MB", "ganesha");
  constexpr double kilobytes_per_megabyte = 1000.0 / 1.024;
  row.baseline =
      static_cast<double>(status_kilobytes(lab.ganesha_pid(), "VmHWM")) / kilobytes_per_megabyte;
  row.rowan = static_cast<double>(status_kilobytes(rowan.pid(), "VmHWM")) / kilobytes_per_megabyte;
  if (c.wanted(row.name)) c.print(row);
}

Result<Programs> find_programs(const CompareOptions& options) {
  TRY(auto rowan, sibling(options.rowan, "rowan"));
  TRY(auto link, sibling(options.link, "rowan-link"));
  TRY(auto responder, sibling(options.responder, "rowan-responder"));
  return Programs{.rowan = rowan, .link = link, .responder = responder};
}

Result<void> compare_in(const fs::path& parent, const CompareOptions& options, std::ostream& out) {
  TRY(auto programs, find_programs(options));
  TreeShape shape;
  shape.file_size = options.quick ? 64u << 20 : 256u << 20;
  Lab lab(parent, programs, shape);
  TRY_VOID(lab.make_trees());
  TRY_VOID(lab.start_ganesha());
  auto source =
      options.source == "dir" ? lab.directory("image").string() : lab.ganesha_image().url();
  TRY(auto serve, lab.start_rowan("bench", source, ports::rowan));
  Comparison comparison(options, lab, shape, out);
  Side rowan{Lab::rowan("bench", ports::rowan), serve.pid()};
  Side image{lab.ganesha_image(), lab.ganesha_pid()};
  Side writable{lab.ganesha_writable(), lab.ganesha_pid()};
  if (!options.json) out << markdown_header() << std::flush;
  TRY_VOID(null_row(comparison, lab, rowan));
  TRY_VOID(cold_row(comparison, image, rowan));
  TRY_VOID(warm_rows(comparison, image, rowan));
  TRY_VOID(write_rows(comparison, writable, rowan));
  memory_row(comparison, serve, lab);
  return link_rows(comparison, lab, image);
}

}  // namespace

Result<std::string> sibling(const std::string& given, const char* name) {
  if (!given.empty()) return given;
  std::error_code code;
  auto self = fs::read_symlink("/proc/self/exe", code);
  for (const auto& folder : {self.parent_path(), self.parent_path().parent_path()}) {
    if (!code && fs::exists(folder / name)) return (folder / name).string();
  }
  return std::string(name);  // from PATH
}

Result<void> in_work_directory(const std::string& tree, const WorkIn& work) {
  if (!tree.empty()) return work(fs::weakly_canonical(fs::absolute(tree)));
  std::string pattern = "/var/tmp/rowan-bench.XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr)
    return Error(Errc::io, "cannot make a directory in /var/tmp");
  auto done = work(pattern);
  std::error_code code;
  if (done)
    fs::remove_all(pattern, code);
  else
    std::cerr << "trees, state and logs are kept in " << pattern << "\n";
  return done;
}

void define_compare(CLI::App& app, CompareOptions& o) {
  app.add_option("--rowan", o.rowan, "The rowan program (default: beside this one, then PATH)");
  app.add_option("--link", o.link, "The rowan-link program");
  app.add_option("--responder", o.responder, "The rowan-responder program");
  app.add_option("--tree", o.tree,
                 "Directory for trees, state and logs; kept (default: temporary)");
  app.add_option("--source", o.source, "What rowan redirects from: nfs (nfs-ganesha) or dir")
      ->check(CLI::IsMember({"nfs", "dir"}))
      ->capture_default_str();
  app.add_option("--only", o.only, "Only rows whose name holds one of these")->delimiter(',');
  app.add_flag("--quick", o.quick, "Small files, few calls");
  app.add_flag("--json", o.json, "JSON lines instead of a Markdown table");
  app.add_option("--rounds", o.rounds, "Runs against each server; the median counts")
      ->check(CLI::Range(1, 99))
      ->capture_default_str();
  app.add_option("--seconds", o.seconds, "Length of a run bounded by time")->capture_default_str();
  app.add_option("--connections", o.connections, "TCP connections")->capture_default_str();
  app.add_option("--depth", o.depth, "Calls in flight on each")->capture_default_str();
}

Result<void> run_compare(const CompareOptions& options, std::ostream& out) {
  TRY_VOID(enter_private_network());
  return in_work_directory(options.tree, [&](const fs::path& parent) {
    return compare_in(parent, options, out);
  });
}

}  // namespace rowan::bench
