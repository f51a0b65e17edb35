// Rows with 40 ms and 50 Mbit/s between Rowan and its source.
#include <fstream>
#include <nlohmann/json.hpp>

#include "tools/bench/comparison.h"

namespace rowan::bench {
namespace {

constexpr unsigned link_rtt_milliseconds = 40, link_megabits = 50;
constexpr std::uint64_t cold_bytes = 16u << 20;  // read once over the slow link
constexpr double greatest_excess = 1.1;          // of bytes fetched, and of time when warm

Plan link_read() {
  Plan read;
  read.name = "64k sequential read, 40 ms / 50 Mbit/s link";
  read.unit = "MB/s";
  read.work = "read";
  read.size = 64u << 10;
  read.count = cold_bytes / read.size;
  read.connections = 1;
  read.depth = 8;
  return read;
}

// What the link carried towards its client: the last line of its log, once it has ended.
Result<double> bytes_to_client(const std::filesystem::path& log) {
  std::ifstream file(log);
  std::string line, last;
  while (std::getline(file, line)) last = line;
  auto json = nlohmann::json::parse(last, nullptr, false);
  if (!json.is_object() || !json.contains("bytes_to_client")) {
    return Error(Errc::io, log.string() + " holds no statistics of the link");
  }
  return json["bytes_to_client"].get<double>();
}

struct LinkFigures {
  double direct = 0, cold = 0, warm = 0;  // MB/s
  double fetched = 0;                     // bytes over the link for the cold read
};

Result<LinkFigures> measure_link(Comparison& c, Lab& lab, const Side& image) {
  LinkFigures figures;
  auto read = link_read();
  {
    TRY(auto link, lab.start_link(link_rtt_milliseconds, link_megabits));
    TRY(auto direct, c.once(read, {lab.ganesha_through_link(), image.pid}, nullptr));
    figures.direct = direct;
  }
  TRY(auto link, lab.start_link(link_rtt_milliseconds, link_megabits));
  TRY(auto serve,
      lab.start_rowan("linked", lab.ganesha_through_link().url(), ports::rowan_behind_link));
  Side rowan{Lab::rowan("linked", ports::rowan_behind_link), serve.pid()};
  TRY(auto cold, c.once(read, rowan, nullptr));
  TRY(auto warm, c.once(read, rowan, nullptr));
  serve.stop();
  link.stop();
  TRY(auto fetched, bytes_to_client(lab.log("link")));
  figures.cold = cold;
  figures.warm = warm;
  figures.fetched = fetched;
  return figures;
}

}  // namespace

// A proxy with an empty cache in front of a server 40 ms away, beside that server over the same
// link; then the same read again, from the cache, beside the server on the local network.
Result<void> link_rows(Comparison& c, Lab& lab, const Side& image) {
  auto read = link_read();
  if (!c.wanted(read.name)) return {};
  TRY(auto figures, measure_link(c, lab, image));
  TRY(auto near, c.once(read, image, nullptr));
  auto cold = simple_row(read.name + ", cold", read.unit, "ganesha over the link");
  cold.baseline = figures.direct;
  cold.rowan = figures.cold;
  c.print(cold);
  auto warm = simple_row(read.name + ", warm", read.unit, "local ganesha");
  warm.baseline = near;
  warm.rowan = figures.warm;
  warm.target = 1 / greatest_excess;
  c.print(warm);
  auto fetched = simple_row("bytes fetched by that cold read", "MB", "bytes that the client read");
  fetched.baseline = static_cast<double>(cold_bytes) / 1e6;
  fetched.rowan = figures.fetched / 1e6;
  fetched.target = greatest_excess;
  fetched.at_most = true;
  c.print(fetched);
  return {};
}

}  // namespace rowan::bench
