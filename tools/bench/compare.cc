#include "tools/bench/compare.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "tools/bench/driver.h"

// What makes the figures comparable: one client program, one machine, trees of the same bytes; both
// servers up for the whole time; runs alternate (A B A B ...) and the median counts; everything
// that is called warm was read through both servers before; writes end with a COMMIT inside the
// measured time.
namespace rowan::bench {
namespace {

namespace fs = std::filesystem;
using SteadyClock = std::chrono::steady_clock;

constexpr unsigned link_rtt_milliseconds = 40, link_megabits = 50;
constexpr std::uint64_t cold_bytes = 16u << 20;  // read once over the slow link

struct Side {
  Target target;
  pid_t pid;
};

// One row to measure: a load, the two sides, the target of design.
struct Plan {
  std::string name, unit, work;
  std::uint32_t size = 4096;
  std::optional<double> target;
  std::uint64_t count = 0;              // calls of one run; 0: by time
  unsigned connections = 0, depth = 0;  // 0: as the options say
};

struct Figures {
  std::vector<double> rates, cpu;
};

class Comparison {
 public:
  Comparison(const CompareOptions& options, const Lab& lab, TreeShape shape, std::ostream& out)
      : options_(options), lab_(lab), shape_(std::move(shape)), out_(out) {}

  bool wanted(const std::string& name) const {
    if (options_.only.empty()) return true;
    for (const auto& part : options_.only) {
      if (name.find(part) != std::string::npos) return true;
    }
    return false;
  }
  void print(const Row& row) {
    out_ << (options_.json ? json_row(row) : markdown_row(row)) << std::flush;
  }
  Result<double> once(const Plan& plan, const Side& side, Figures* figures);
  Result<void> alternate(const Plan& plan, const Side& baseline, const Side& rowan,
                         const std::string& baseline_name, Row& row);
  Result<void> row(const Plan& plan, const Side& baseline, const Side& rowan,
                   const std::string& baseline_name = "ganesha");
  Result<void> warm_up(const Side& side);

  const CompareOptions& options() const { return options_; }
  const Lab& lab() const { return lab_; }
  const TreeShape& shape() const { return shape_; }

 private:
  const CompareOptions& options_;
  const Lab& lab_;
  TreeShape shape_;
  std::ostream& out_;
  std::uint64_t seed_ = 1;
};

bool in_megabytes(const Plan& plan) { return plan.unit == "MB/s"; }

// Runs the plan against one side; the rate goes into `figures` when the run counts.
Result<double> Comparison::once(const Plan& plan, const Side& side, Figures* figures) {
  LoadOptions load_options;
  load_options.work = plan.work;
  load_options.size = plan.size;
  load_options.tree = shape_;
  load_options.seed = ++seed_;
  TRY(auto load, make_load(load_options));
  RunOptions run;
  run.connections = plan.connections != 0 ? plan.connections : options_.connections;
  run.depth = plan.depth != 0 ? plan.depth : options_.depth;
  run.seconds = options_.seconds;
  run.count = plan.count;
  run.server_pid = side.pid;
  auto result = run_load(side.target, *load, run);
  if (!result) {
    return Error(result.error().code,
                 plan.name + " against " + side.target.url() + ": " + to_string(result.error()));
  }
  double rate = in_megabytes(plan) ? result->megabytes_per_second : result->calls_per_second;
  if (figures != nullptr) {
    figures->rates.push_back(rate);
    if (result->server_cpu_us_per_call) figures->cpu.push_back(*result->server_cpu_us_per_call);
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

// fdatasync of a small append, per second: what bounds durable operations on this disk.
double syncs_per_second(const fs::path& directory) {
  auto path = directory / "sync-probe";
  int fd = open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return 0;
  char block[4096] = {};
  std::uint64_t count = 0;
  auto begin = SteadyClock::now();
  std::chrono::duration<double> elapsed{0};
  while (elapsed.count() < 1.0) {
    if (write(fd, block, sizeof block) != sizeof block || fdatasync(fd) != 0) break;
    ++count;
    elapsed = SteadyClock::now() - begin;
  }
  close(fd);
  unlink(path.c_str());
  return static_cast<double>(count) / std::max(elapsed.count(), 1e-3);
}

Result<void> null_row(Comparison& c, Lab& lab, const Side& rowan) {
  Plan plan{.name = "null RPC", .unit = "calls/s", .work = "null", .target = 0.8};
  if (!c.wanted(plan.name)) return {};
  TRY(auto responder, lab.start_responder());
  return c.row(plan, {Lab::responder(), responder.pid()}, rowan, "cheapest responder");
}

Result<void> warm_rows(Comparison& c, const Side& image, const Side& rowan) {
  TRY_VOID(c.warm_up(image));
  TRY_VOID(c.warm_up(rowan));
  for (const char* work : {"getattr", "lookup", "access"}) {
    Plan plan{.name = std::string("warm ") + work, .unit = "calls/s", .work = work, .target = 2.0};
    TRY_VOID(c.row(plan, image, rowan));
  }
  TRY_VOID(
      c.row({.name = "warm readdirplus", .unit = "calls/s", .work = "readdirplus", .target = {}},
            image, rowan));
  TRY_VOID(
      c.row({.name = "warm 4k random read", .unit = "calls/s", .work = "randread", .target = 1.5},
            image, rowan));
  for (std::uint32_t size : {64u << 10, 1u << 20}) {
    Plan plan{.name = size == max_io_size ? "warm 1m sequential read" : "warm 64k sequential read",
              .unit = "MB/s",
              .work = "read",
              .size = size,
              .target = 1.2};
    plan.depth = size == max_io_size ? 4 : 0;
    TRY_VOID(c.row(plan, image, rowan));
  }
  return {};
}

Result<void> create_row(Comparison& c, const Side& writable, const Side& rowan) {
  Plan plan{
      .name = "durable create, 16 in flight", .unit = "calls/s", .work = "create", .target = 1.0};
  plan.connections = 1;
  plan.depth = 16;
  plan.count = c.options().quick ? 2000 : 5000;
  if (!c.wanted(plan.name)) return {};
  Row row;
  TRY_VOID(c.alternate(plan, writable, rowan, "ganesha, not durable", row));
  // While one sync runs the next batch gathers, so half of the calls in flight share each sync.
  double syncs = syncs_per_second(c.lab().directory("state"));
  double limit = syncs * plan.depth / 2;
  row.met = row.ratio() >= *row.target || row.rowan >= limit;
  row.remark = "disk: " + std::to_string(static_cast<int>(syncs)) + " syncs/s, limit " +
               std::to_string(static_cast<int>(limit)) + " creates/s";
  c.print(row);
  return {};
}

Result<void> write_rows(Comparison& c, const Side& writable, const Side& rowan) {
  Plan random{
      .name = "4k random write + COMMIT", .unit = "calls/s", .work = "randwrite", .target = 1.2};
  random.count = c.options().quick ? 8192 : 32768;
  TRY_VOID(c.row(random, writable, rowan));
  Plan sequential{.name = "1m sequential write + COMMIT",
                  .unit = "MB/s",
                  .work = "write",
                  .size = max_io_size,
                  .target = 1.2};
  sequential.count = c.shape().file_size / max_io_size;
  sequential.depth = 4;
  TRY_VOID(c.row(sequential, writable, rowan));
  return create_row(c, writable, rowan);
}

Row simple_row(std::string name, std::string unit, std::string against) {
  Row row;
  row.name = std::move(name);
  row.unit = std::move(unit);
  row.baseline_name = std::move(against);
  return row;
}

// A proxy with an empty cache in front of a server 40 ms away, against the server itself over that
// link; then the same again from the cache, against the local server.
Result<void> link_rows(Comparison& c, Lab& lab, const Side& image) {
  if (!c.wanted("40 ms / 50 Mbit/s link")) return {};
  TRY(auto link, lab.start_link(link_rtt_milliseconds, link_megabits));
  auto source = lab.ganesha_through_link().url();
  TRY(auto serve, lab.start_rowan("linked", source, ports::rowan_behind_link));
  Side rowan{Lab::rowan("linked", ports::rowan_behind_link), serve.pid()};
  Plan read{.name = "64k sequential read, 40 ms / 50 Mbit/s link",
            .unit = "MB/s",
            .work = "read",
            .size = 64u << 10,
            .target = {}};
  read.count = cold_bytes / read.size;
  read.connections = 1;
  read.depth = 8;
  auto cold = simple_row(read.name + ", cold", read.unit, "ganesha over the link");
  TRY(auto over_link, c.once(read, {lab.ganesha_through_link(), image.pid}, nullptr));
  TRY(auto first, c.once(read, rowan, nullptr));
  cold.baseline = over_link;
  cold.rowan = first;
  c.print(cold);
  auto warm = simple_row(read.name + ", warm", read.unit, "ganesha over the link");
  TRY(auto again, c.once(read, rowan, nullptr));
  warm.baseline = over_link;
  warm.rowan = again;
  c.print(warm);
  auto local = simple_row(read.name + ", warm", read.unit, "local ganesha");
  TRY(auto near, c.once(read, image, nullptr));
  local.baseline = near;
  local.rowan = again;
  local.target = 1 / 1.1;  // at most 1.1 times the time
  c.print(local);
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

Result<std::string> sibling(const std::string& given, const char* name) {
  if (!given.empty()) return given;
  std::error_code code;
  auto self = fs::read_symlink("/proc/self/exe", code);
  for (const auto& folder : {self.parent_path(), self.parent_path().parent_path()}) {
    if (!code && fs::exists(folder / name)) return (folder / name).string();
  }
  return std::string(name);  // from PATH
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
  TRY_VOID(warm_rows(comparison, image, rowan));
  TRY_VOID(write_rows(comparison, writable, rowan));
  memory_row(comparison, serve, lab);
  return link_rows(comparison, lab, image);
}

}  // namespace

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
  if (!options.tree.empty()) return compare_in(fs::absolute(options.tree), options, out);
  std::string pattern = "/var/tmp/rowan-bench.XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr)
    return Error(Errc::io, "cannot make a directory in /var/tmp");
  auto done = compare_in(pattern, options, out);
  std::error_code code;
  if (done)
    fs::remove_all(pattern, code);
  else
    std::cerr << "trees, state and logs are kept in " << pattern << "\n";
  return done;
}

}  // namespace rowan::bench
