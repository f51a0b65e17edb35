// Rows with both servers on the local disk: null calls, warm reads, writes, creates.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>

#include "tools/bench/comparison.h"

namespace rowan::bench {
namespace {

namespace fs = std::filesystem;
using SteadyClock = std::chrono::steady_clock;

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

}  // namespace

Result<void> null_row(Comparison& c, Lab& lab, const Side& rowan) {
  Plan plan{.name = "null RPC", .unit = "calls/s", .work = "null", .target = 0.8};
  if (!c.wanted(plan.name)) return {};
  TRY(auto responder, lab.start_responder());
  Side cheapest{Lab::responder(), responder.pid()};
  TRY_VOID(c.row(plan, cheapest, rowan, "cheapest responder"));
  plan.name = "null RPC, 16 connections";
  plan.connections = 16;
  return c.row(plan, cheapest, rowan, "cheapest responder");
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
  TRY_VOID(c.row({.name = "4k random read of written data",
                  .unit = "calls/s",
                  .work = "randreadback",
                  .target = 1.5},
                 writable, rowan));
  Plan sequential{.name = "1m sequential write + COMMIT",
                  .unit = "MB/s",
                  .work = "write",
                  .size = max_io_size,
                  .target = 1.2};
  sequential.count = c.shape().file_size / max_io_size;
  sequential.depth = 4;
  TRY_VOID(c.row(sequential, writable, rowan));
  Plan back{.name = "1m sequential read of written data",
            .unit = "MB/s",
            .work = "readback",
            .size = max_io_size,
            .target = 1.2};
  back.depth = 4;
  TRY_VOID(c.row(back, writable, rowan));
  // Overwriting in place needs no fresh room on the disk; redirecting always does. A new file needs
  // it on both sides.
  sequential.name = "1m sequential write of a new file + COMMIT";
  sequential.work = "writenew";
  TRY_VOID(c.row(sequential, writable, rowan));
  return create_row(c, writable, rowan);
}

}  // namespace rowan::bench
