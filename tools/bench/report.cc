#include "tools/bench/report.h"

#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace rowan::bench {
namespace {

std::string format(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

}  // namespace

void print_header(std::ostream& out) {
  char line[160];
  std::snprintf(line, sizeof line, "%-12s %6s %5s %6s %12s %10s %9s %9s %12s\n", "work", "size",
                "conns", "depth", "calls/s", "MB/s", "p50 us", "p99 us", "cpu us/call");
  out << line;
}

void print_row(std::ostream& out, const NamedResult& row) {
  bool data = moves_data(row.load.work);
  const auto& result = row.result;
  auto cpu = result.server_cpu_us_per_call;
  char line[200];
  std::snprintf(line, sizeof line, "%-12s %6s %5u %6u %12.0f %10s %9.0f %9.0f %12s\n",
                row.load.work.c_str(), data ? size_text(row.load.size).c_str() : "-",
                row.run.connections, row.run.depth, result.calls_per_second,
                data ? format("%.1f", result.megabytes_per_second).c_str() : "-", result.p50_us,
                result.p99_us, cpu ? format("%.1f", *cpu).c_str() : "-");
  out << line;
}

std::string to_json(const NamedResult& row) {
  nlohmann::json json = {
      {"target", row.target},
      {"work", row.load.work},
      {"connections", row.run.connections},
      {"depth", row.run.depth},
      {"seconds", row.result.seconds},
      {"calls", row.result.calls},
      {"bytes", row.result.bytes},
      {"calls_per_second", row.result.calls_per_second},
      {"megabytes_per_second", row.result.megabytes_per_second},
      {"p50_us", row.result.p50_us},
      {"p99_us", row.result.p99_us},
  };
  if (moves_data(row.load.work)) json["size"] = row.load.size;
  if (row.result.server_cpu_us_per_call) {
    json["server_cpu_us_per_call"] = *row.result.server_cpu_us_per_call;
  }
  return json.dump();
}

Result<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  unsigned shift = unit.empty() ? 0 : unit == "k" ? 10 : unit == "m" ? 20 : unit == "g" ? 30 : 64;
  if (code != std::errc() || shift == 64 || value > (std::uint64_t{1} << 40 >> shift)) {
    return Error(Errc::usage,
                 "'" + std::string(text) + "' is no size; examples: 4096, 64k, 1m, 2g");
  }
  return value << shift;
}

std::string size_text(std::uint64_t bytes) {
  for (unsigned shift : {30u, 20u, 10u}) {
    if (bytes != 0 && bytes % (std::uint64_t{1} << shift) == 0) {
      return std::to_string(bytes >> shift) + (shift == 30 ? "g" : shift == 20 ? "m" : "k");
    }
  }
  return std::to_string(bytes);
}

}  // namespace rowan::bench
