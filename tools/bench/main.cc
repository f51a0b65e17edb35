// rowan-bench: load on NFSv3 servers, and Rowan measured beside another server.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>

#include "tools/bench/compare.h"
#include "tools/bench/confine.h"
#include "tools/bench/report.h"
#include "tools/bench/versions.h"
#include "tools/usage.h"

namespace rowan::bench {
namespace {

constexpr int exit_failed = 1;
constexpr int exit_usage = 2;

struct RunArguments {
  std::string url;
  std::vector<std::string> works = {"null", "getattr", "lookup", "access"};
  std::string size = "4k", file_size = "256m", commit_every = "64m";
  std::uint32_t objects = 1000;
  std::string directory = "rowan-bench";
  RunOptions options;
  pid_t server_pid = 0;
  bool json = false;
};

void define_run(CLI::App& app, RunArguments& a) {
  app.add_option("target", a.url, "nfs://HOST/EXPORT?nfsport=N&mountport=N")->required();
  std::string known;
  for (auto name : load_names()) known += " " + std::string(name);
  app.add_option("--work", a.works, "What to do, one after the other:" + known)->delimiter(',');
  app.add_option("--size", a.size, "Bytes of one READ or WRITE (4k, 64k, 1m)")
      ->capture_default_str();
  app.add_option("--file-size", a.file_size, "Size of the files read and overwritten")
      ->capture_default_str();
  app.add_option("--commit-every", a.commit_every, "Bytes written between two COMMITs")
      ->capture_default_str();
  app.add_option("--objects", a.objects, "Files for getattr, lookup, access, readdirplus")
      ->capture_default_str();
  app.add_option("--directory", a.directory, "Directory of the export to work in")
      ->capture_default_str();
  app.add_option("--connections", a.options.connections, "TCP connections")->capture_default_str();
  app.add_option("--depth", a.options.depth, "Calls in flight on each")->capture_default_str();
  app.add_option("--seconds", a.options.seconds, "Length of each run")->capture_default_str();
  app.add_option("--count", a.options.count, "Calls to send, instead of a length");
  app.add_flag("--keep", a.options.keep, "Leave the files that `create` made");
  app.add_option("--server-pid", a.server_pid, "Report this local process's CPU time per call");
  app.add_flag("--json", a.json, "One JSON object per line");
}

Result<NamedResult> run_one(const RunArguments& a, const Target& target, const std::string& work) {
  NamedResult row;
  row.target = target.url();
  row.run = a.options;
  if (a.server_pid != 0) row.run.server_pid = a.server_pid;
  row.load.work = work;
  TRY(auto size, parse_size(a.size));
  if (size > max_io_size) return Error(Errc::usage, "--size is at most 1m");
  row.load.size = static_cast<std::uint32_t>(size);
  TRY(auto file_size, parse_size(a.file_size));
  TRY(auto commit_every, parse_size(a.commit_every));
  row.load.tree = {.directory = a.directory, .file_size = file_size, .object_count = a.objects};
  row.load.commit_every = commit_every;
  TRY(auto load, make_load(row.load));
  TRY(auto result, run_load(target, *load, row.run));
  row.result = result;
  return row;
}

int report_error(const std::string& what, const Error& error) {
  std::cerr << "rowan-bench: " << what << ": " << to_string(error) << "\n";
  return error.code == Errc::usage ? exit_usage : exit_failed;
}

int run_command(const RunArguments& a) {
  auto target = parse_target(a.url);
  if (!target) return report_error("target", target.error());
  if (!a.json) print_header(std::cout);
  for (const auto& work : a.works) {
    auto row = run_one(a, *target, work);
    if (!row) return report_error(work, row.error());
    if (a.json) {
      std::cout << to_json(*row) << std::endl;
    } else {
      print_row(std::cout, *row);
      std::cout.flush();
    }
  }
  return 0;
}

struct ConfineArguments {
  std::vector<std::string> writable, readable, program;
};

void define_confine(CLI::App& app, ConfineArguments& a) {
  app.add_option("--writable", a.writable, "A directory that it may change")
      ->allow_extra_args(false);
  app.add_option("--readable", a.readable, "A directory that it sees as it is")
      ->allow_extra_args(false);
  app.add_option("program", a.program, "The program and its arguments, after --")->required();
}

// Returns only if the program could not be started.
int confine_command(const ConfineArguments& a) {
  auto confined = confine({.writable = {a.writable.begin(), a.writable.end()},
                           .readable = {a.readable.begin(), a.readable.end()}});
  if (!confined) return report_error("confine", confined.error());
  std::vector<char*> argv;
  for (const auto& argument : a.program) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  return report_error("confine", Error(Errc::not_found, "cannot run " + a.program.front() + ": " +
                                                            std::strerror(errno)));
}

int main_with_arguments(int argc, char** argv) {
  CLI::App app("Load on an NFSv3 server, and Rowan measured beside another server", "rowan-bench");
  app.require_subcommand(1);
  RunArguments run;
  auto* run_app = app.add_subcommand("run", "Put load on one server and print its figures");
  define_run(*run_app, run);
  CompareOptions compare;
  auto* compare_app = app.add_subcommand(
      "compare",
      "Run nfs-ganesha and rowan on the same tree, alternately, and print the ratios (root)");
  define_compare(*compare_app, compare);
  VersionsOptions versions;
  auto* versions_app = app.add_subcommand(
      "versions", "Measure what checkpoints cost, beside btrfs and qcow2 snapshots (root)");
  define_versions(*versions_app, versions);
  ConfineArguments confined;
  auto* confine_app = app.add_subcommand(
      "confine", "Run a program that can change nothing but the directories given (root)");
  define_confine(*confine_app, confined);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return tools::finish_usage(app, error);
  }
  if (run_app->parsed()) return run_command(run);
  if (confine_app->parsed()) return confine_command(confined);
  if (versions_app->parsed()) {
    auto done = run_versions(versions, std::cout);
    return done ? 0 : report_error("versions", done.error());
  }
  auto done = run_compare(compare, std::cout);
  return done ? 0 : report_error("compare", done.error());
}

}  // namespace
}  // namespace rowan::bench

int main(int argc, char** argv) { return rowan::bench::main_with_arguments(argc, argv); }
