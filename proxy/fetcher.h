// The data of an image's files: from the block cache, and what is not there from the source, in
// runs of 16 KiB units. A unit is fetched once however many wait for it, and those who wait are
// served from the fetched bytes whether the cache takes them or not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "cache/block_cache.h"
#include "proxy/job_runner.h"
#include "proxy/read_ahead.h"
#include "proxy/recent_map.h"
#include "rpc/base/buffer.h"
#include "rpc/base/loop.h"

namespace rowan::proxy {

struct FetchOptions {
  ReadAheadOptions read_ahead;
  // on their way at the same time; 0: none is read ahead
  std::uint64_t read_ahead_bytes = 8u << 20;
};

struct FetchStats {
  std::uint64_t bytes_served = 0;        // given to readers
  std::uint64_t bytes_fetched = 0;       // from the source, those read ahead included
  std::uint64_t bytes_read_ahead = 0;
  std::uint64_t hits = 0, misses = 0;    // units of reads that were in the cache, and that were not
  std::uint64_t joined = 0;              // of the misses: units that were on their way already
  std::uint64_t fetches = 0;             // reads of the source
};

class Fetcher {
 public:
  // Reads exactly [offset, offset + into.size()) of an object from the source, or fails.
  using ReadSource = std::function<Task<Result<void>>(cache::ObjectId, std::uint64_t, ByteSpan)>;

  // `tasks` owns the fetches: its owner waits for them before the fetcher goes.
  Fetcher(Loop& loop, cache::BlockCache& blocks, JobRunner<cache::BlockCache>& jobs,
          cache::VersionId version, TaskGroup& tasks)
      : loop_(loop), blocks_(blocks), jobs_(jobs), version_(version), tasks_(tasks) {}

  // Before the first read. `fetch_bytes`: of one read of the source, at most.
  void start(const FetchOptions& options, ReadSource read_source) {
    options_ = options;
    read_source_ = std::move(read_source);
  }
  void set_fetch_bytes(std::uint32_t bytes);

  // The range lies below `size`, that of the file. `may_fetch`: false for a file that has drifted,
  // of which only cached bytes are served.
  Task<Result<void>> read(cache::ObjectId file, std::uint64_t size, std::uint64_t offset,
                          ByteSpan into, bool may_fetch);
  const FetchStats& stats() const { return stats_; }
  std::uint64_t read_ahead_in_flight() const { return read_ahead_in_flight_; }

 private:
  struct UnitId {
    cache::ObjectId file;
    std::uint32_t index;
    friend bool operator==(const UnitId&, const UnitId&) = default;
  };
  struct UnitHash {
    std::size_t operator()(const UnitId& id) const noexcept {
      return std::hash<cache::ObjectId>()(id.file) ^ id.index * 0x9e3779b97f4a7c15u;
    }
  };
  // A run of units on its way.
  struct Fetch {
    Fetch(Loop& loop, cache::ObjectId of, std::uint32_t index, std::uint64_t bytes)
        : file(of), first(index), data(bytes), done(loop) {}
    cache::ObjectId file;
    std::uint32_t first;
    Buffer data;
    bool ahead = false;
    Shared<Result<void>> done;
  };
  using FetchPtr = std::shared_ptr<Fetch>;
  // The part of one unit that a read wants.
  struct Piece {
    std::uint32_t index = 0, skip = 0;
    ByteSpan into;
  };

  cache::BlockKey key(cache::ObjectId file, std::uint32_t index) const {
    return {version_, file, index};
  }
  Task<void> load(cache::ObjectId file, Piece piece, std::vector<Piece>& missing,
                  std::optional<Error>& failure);
  Task<void> load_cold(cache::ObjectId file, std::vector<Piece> cold, std::vector<Piece>& missing,
                       std::optional<Error>& failure);
  struct UnitRange {
    std::uint32_t first = 0, end = 0;
    bool ahead = false;
  };
  std::vector<FetchPtr> start_missing(cache::ObjectId file, std::uint64_t size,
                                      const std::vector<Piece>& missing);
  Task<Result<void>> copy_fetched(std::vector<Piece> missing, std::vector<FetchPtr> awaited);
  void plan_fetches(cache::ObjectId file, std::uint64_t size, UnitRange range,
                    std::vector<FetchPtr>& planned);
  Task<void> run_fetch(FetchPtr fetch);
  void keep(const Fetch& fetch, cache::BlockCache::Generation seen);
  void read_ahead(cache::ObjectId file, std::uint64_t size, std::uint64_t offset,
                  std::uint64_t length);

  Loop& loop_;
  cache::BlockCache& blocks_;
  JobRunner<cache::BlockCache>& jobs_;
  cache::VersionId version_;
  TaskGroup& tasks_;
  FetchOptions options_;
  ReadSource read_source_;
  std::uint32_t units_per_fetch_ = 1;
  std::unordered_map<UnitId, FetchPtr, UnitHash> in_flight_;
  RecentMap<cache::ObjectId, ReadAhead> streams_{4096};
  std::uint64_t read_ahead_in_flight_ = 0;
  // reads for which nothing is read ahead: the cache did not keep it
  std::uint32_t read_ahead_pause_ = 0;
  FetchStats stats_;
};

}  // namespace rowan::proxy
