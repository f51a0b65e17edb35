// Clean image blocks of this host, shared by all appliances of a strand: bounded, checksummed,
// disposable. It never holds redirected data. Losing it costs time.
//
// Belongs to one strand; reads that miss memory and all writes are handed out as jobs
// (rpc/base/loop.h). A directory belongs to one open cache (a lock says so). Bytes are counted in 4
// KiB blocks of the disk; the limit holds at every moment, also while jobs are out. A limit below
// about 128 KiB keeps nothing.
#pragma once

#include <cstdint>
#include <memory>

#include "cache/file.h"
#include "cache/ids.h"
#include "rpc/base/buffer.h"
#include "rpc/base/loop.h"
#include "rpc/base/result.h"

namespace rowan::cache {

inline constexpr std::uint32_t unit_size = 16u << 10;  // fetch unit and leaf of the hash tree

struct BlockKey {
  VersionId version{};
  ObjectId object{};
  std::uint32_t index = 0;   // unit number in the file: files up to 64 TiB
  friend bool operator==(const BlockKey&, const BlockKey&) = default;
};

struct BlockCacheOptions {
  std::uint64_t limit_bytes = 10ull << 30;   // disk blocks used, index included
  // offered but not yet written; offers beyond are refused
  std::uint64_t pending_bytes = 32ull << 20;
};

struct BlockCacheUsage {
  std::uint64_t units = 0, bytes = 0, limit_bytes = 0;
  std::uint64_t hits = 0, misses = 0, evictions = 0, damaged = 0, refused_offers = 0;
  // units that the disk did not take (full, broken); never an error
  std::uint64_t write_failures = 0;
  std::uint64_t memory_bytes = 0;     // of the index, and of units that are in memory
};

class BlockCache {
 public:
  // Opens or makes the cache; synchronous, for a start-up thread. Damage is dropped, never fatal;
  // only a directory that cannot be used is an error (busy: another process has it). It outlives
  // the cache.
  static Result<std::unique_ptr<BlockCache>> open(Directory& directory,
                                                  const BlockCacheOptions& options);
  virtual ~BlockCache() = default;

  virtual bool contains(const BlockKey& key) const = 0;
  // Copies bytes [skip, skip + into.size()) of a unit. not_found: absent (or found damaged and
  // dropped just now: counted). needs_load: on disk but not in memory; run take_load() and ask
  // again (the unit is pinned meanwhile). invalid: the unit is shorter than that.
  virtual Result<void> read(const BlockKey& key, std::uint32_t skip, ByteSpan into) = 0;
  // The same from byte `skip` of a unit on and into the file's next units, as far as they can be
  // had at one go. Returns the bytes copied, at least what `into` wants of the first unit; the
  // errors are that one's.
  virtual Result<std::size_t> read_run(const BlockKey& first, std::uint32_t skip,
                                       ByteSpan into) = 0;
  virtual std::unique_ptr<Job> take_load() = 0;

  // What a miss saw; an offer is taken only if nothing was dropped since and the unit is still
  // absent.
  using Generation = std::uint64_t;
  virtual Generation generation(const BlockKey& key) const = 0;
  // Offers a fetched unit (16 KiB, or less at the end of the file; 1 byte at least). The bytes are
  // copied; they can be read at once, from memory until the write job is done. A refused offer is
  // only counted.
  virtual void offer(const BlockKey& key, ByteView bytes, Generation seen) = 0;

  virtual void drop(VersionId version) = 0;                        // the whole version
  virtual void drop(VersionId version, ObjectId object) = 0;       // one file

  virtual std::unique_ptr<Job> next_job() = 0;
  virtual void complete(std::unique_ptr<Job> job) = 0;
  virtual bool busy() const = 0;
  virtual BlockCacheUsage usage() const = 0;
};

}  // namespace rowan::cache
