#include <unistd.h>

#include <sstream>

#include "tools/bench/compare.h"
#include "tools/bench/driver.h"
#include "tools/bench/histogram.h"
#include "tools/bench/report.h"
#include "tools/bench/target.h"
#include "tools/bench/versions_table.h"

// After the project's headers, whose CHECK gives way to this one.
#include <catch2/catch.hpp>

namespace rowan::bench {
namespace {

TEST_CASE("a quantile is within four per cent of the value, never below it") {
  for (std::uint64_t value :
       {0ull, 1ull, 31ull, 32ull, 33ull, 1000ull, 123456ull, 999999999ull, ~0ull}) {
    Histogram histogram;
    histogram.add(value);
    auto edge = histogram.quantile(0.5);
    CAPTURE(value, edge);
    CHECK(edge >= value);
    CHECK(static_cast<double>(edge) <= static_cast<double>(value) * 1.04);
  }
}

TEST_CASE("quantiles of a uniform spread lie where they must") {
  Histogram histogram;
  CHECK(histogram.quantile(0.5) == 0);
  for (std::uint64_t i = 1; i <= 10000; ++i) histogram.add(i * 100);
  CHECK(histogram.count() == 10000);
  CHECK(histogram.quantile(0.5) == Approx(500'000).epsilon(0.04));
  CHECK(histogram.quantile(0.99) == Approx(990'000).epsilon(0.04));
  CHECK(histogram.quantile(1.0) >= 1'000'000);
  histogram.clear();
  CHECK(histogram.count() == 0);
  CHECK(histogram.quantile(0.99) == 0);
}

TEST_CASE("a target is written as libnfs writes it") {
  auto target =
      parse_target("nfs://10.0.0.1/srv/image?nfsport=2050&mountport=2051&uid=7&gid=8&version=3");
  REQUIRE(target.has_value());
  CHECK(target->host == "10.0.0.1");
  CHECK(target->export_path == "/srv/image");
  CHECK(target->nfs_port == 2050);
  CHECK(target->mount_or_nfs_port() == 2051);
  CHECK(target->uid == 7);
  CHECK(target->gid == 8);
  CHECK(parse_target(target->url()).has_value());
}

TEST_CASE("a target without ports uses 2049 for both programs") {
  auto target = parse_target("nfs://h/x");
  REQUIRE(target.has_value());
  CHECK(target->nfs_port == 2049);
  CHECK(target->mount_or_nfs_port() == 2049);
}

TEST_CASE("words that are no target are refused, not guessed") {
  for (const char* text :
       {"", "http://h/x", "nfs://", "nfs:///x", "nfs://h", "nfs://h/", "nfs://h/x?port=1",
        "nfs://h/x?nfsport", "nfs://h/x?nfsport=", "nfs://h/x?nfsport=65536",
        "nfs://h/x?nfsport=-1", "nfs://h/x?nfsport=1x", "nfs://h/x?version=4",
        "nfs://h/x?uid=4294967296"}) {
    CAPTURE(text);
    CHECK(parse_target(text).failed_with(Errc::usage));
  }
}

TEST_CASE("sizes are read and written in binary units") {
  CHECK(*parse_size("4096") == 4096);
  CHECK(*parse_size("64k") == 65536);
  CHECK(*parse_size("1m") == 1048576);
  CHECK(*parse_size("2g") == std::uint64_t{2} << 30);
  for (const char* text : {"", "k", "1K", "1kb", "-1", "99999999999g", "99999999999999999999"}) {
    CAPTURE(text);
    CHECK(parse_size(text).failed_with(Errc::usage));
  }
  CHECK(size_text(65536) == "64k");
  CHECK(size_text(std::uint64_t{3} << 20) == "3m");
  CHECK(size_text(1000) == "1000");
  CHECK(size_text(0) == "0");
}

TEST_CASE("unknown work and impossible sizes are refused before anything is sent") {
  LoadOptions options;
  for (auto name : load_names()) {
    options.work = name;
    CAPTURE(options.work);
    CHECK(make_load(options).has_value());
  }
  options.work = "erase";
  CHECK(make_load(options).failed_with(Errc::usage));
  options.work = "read";
  options.size = 0;
  CHECK(make_load(options).failed_with(Errc::usage));
  options.size = max_io_size + 1;
  CHECK(make_load(options).failed_with(Errc::usage));
  options.size = 4096;
  options.tree.object_count = 0;
  CHECK(make_load(options).failed_with(Errc::usage));
}

TEST_CASE("the median of an even number of runs is the middle of the two") {
  CHECK(median({}) == 0);
  CHECK(median({3}) == 3);
  CHECK(median({9, 1, 2}) == 2);
  CHECK(median({4, 1, 2, 100}) == 3);
}

TEST_CASE("a row of the table says whether its target is reached") {
  Row row;
  row.name = "warm lookup";
  row.unit = "calls/s";
  row.baseline_name = "ganesha";
  row.baseline = 100;
  row.rowan = 210;
  row.target = 2.0;
  CHECK(markdown_row(row) ==
        "| warm lookup | ganesha | 100 | 210 | calls/s | 2.10 | ≥ 2.00 ✓ |  |\n");
  row.rowan = 190;
  CHECK(markdown_row(row).find("✗") != std::string::npos);
  row.met = true;  // a second way to reach it
  CHECK(markdown_row(row).find("✓") != std::string::npos);
  row.baseline = 0;
  CHECK(row.ratio() == 0);
}

TEST_CASE("a target may be the greatest ratio allowed") {
  Row row;
  row.baseline = 100;
  row.rowan = 109;
  row.target = 1.1;
  row.at_most = true;
  CHECK(row.reached());
  CHECK(markdown_row(row).find("≤ 1.10 ✓") != std::string::npos);
  row.rowan = 112;
  CHECK_FALSE(row.reached());
}

Line rates(std::vector<double> first, std::vector<double> last) {
  Line line{.work = "write", .by = "rowan", .unit = "calls/s"};
  line.figures = {{.samples = std::move(first)}, {.samples = std::move(last)}};
  line.goal = {Goal::Kind::share_of_first, 0.9};
  return line;
}

TEST_CASE("two columns are judged round by round, so that drift between rounds does not count") {
  // Each round lost 5 per cent, though the machine was twice as fast in the last one.
  auto line = rates({100, 110, 200}, {95, 104.5, 190});
  REQUIRE(line.judged().has_value());
  CHECK(*line.judged() == Approx(0.95));
  CHECK(line.reached());
  CHECK_FALSE(rates({100, 110, 200}, {89, 97, 170}).reached());
  CHECK_FALSE(rates({0}, {100}).judged().has_value());
  line.goal = {Goal::Kind::excess_of_first, 3};
  CHECK(*line.judged() == Approx(-5.5));
  CHECK(line.reached());
  CHECK_FALSE(rates({}, {}).reached());
}

TEST_CASE("a bound is for the greatest sample of the last column") {
  Line line{.work = "checkpoint", .by = "rowan", .unit = "ms"};
  line.figures = {{.samples = {90}}, {.samples = {2, 49, 3}, .with_greatest = true}};
  line.goal = {Goal::Kind::at_most, 50};
  CHECK(line.reached());
  line.figures.back().samples.push_back(51);
  CHECK_FALSE(line.reached());
  CHECK(*line.judged() == 51);
}

TEST_CASE("a table of versions shows its columns, and why a line has no figures") {
  std::ostringstream out;
  VersionsTable table(out, false);
  table.begin("objects", {grouped(1000), grouped(1'000'000)});
  Line line{.work = "checkpoint", .by = "rowan", .unit = "ms"};
  line.figures = {{.samples = {1}}, {.samples = {4, 2, 3}, .with_greatest = true}};
  line.goal = {Goal::Kind::at_most, 50};
  table.add(line);
  Line absent{.work = "checkpoint", .by = "btrfs", .unit = "ms"};
  absent.not_measured = "no loop device";
  table.add(absent);
  CHECK(out.str() ==
        "| objects | by | 1,000 | 1,000,000 | unit | target |\n"
        "| --- | --- | ---: | ---: | --- | --- |\n"
        "| checkpoint | rowan | 1.00 | 3.00 (4.00) | ms | ≤ 50.0 ✓ |\n"
        "| checkpoint (not measured: no loop device) | btrfs | - | - | ms |  |\n");
  CHECK(grouped(7) == "7");
  CHECK(grouped(12345) == "12,345");
}

TEST_CASE("the processor time of a living process is known, of none it is not") {
  auto mine = cpu_seconds(getpid());
  REQUIRE(mine.has_value());
  CHECK(*mine >= 0);
  CHECK(*mine < 3600);
  CHECK_FALSE(cpu_seconds(-5).has_value());
}

}  // namespace
}  // namespace rowan::bench
