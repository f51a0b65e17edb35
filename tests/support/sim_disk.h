// A disk in memory that forgets what a real one may forget: at crashed(), bytes written and not
// synced are kept, lost or torn at 512 bytes each for itself, in no order; names not synced are
// kept up to some point. It can also be full, fail any one call, answer cached reads with
// needs_load, and have its bits flipped.
//
// Copies are deep and cheap (blocks are shared until written), so a test can crash at every step of
// a run. One thread only. Everything random comes from the seed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/file.h"

namespace rowan::test {

struct SimState;

enum class Loss : std::uint8_t { all, none, random };   // of what was not synced

class SimDisk {
 public:
  explicit SimDisk(std::uint64_t seed = 1);
  ~SimDisk();
  SimDisk(SimDisk&&) noexcept;
  SimDisk& operator=(SimDisk&&) noexcept;

  // The root directory; the disk must outlive it and all that is opened in it.
  std::unique_ptr<cache::Directory> root();

  // The disk as the machine finds it after a power cut now, without locks, limits and failures.
  SimDisk crashed(std::uint64_t seed, Loss loss = Loss::random) const;
  // The same after kill -9: everything written is there, what was not synced may still be lost
  // later.
  SimDisk killed() const;

  // Called before each call that changes the disk or syncs; may copy the disk.
  void on_step(std::function<void()> hook);
  std::uint64_t steps() const;            // such calls so far
  // The step with this number fails with `code`; a failed write may have put down a part. A failed
  // sync forgets that there was something to sync, as Linux does.
  void fail_step(std::uint64_t step, Errc code);
  // From then on every step fails.
  void fail_from(std::uint64_t step, Errc code);
  void no_more_failures();

  void limit(std::uint64_t bytes);        // size of the disk; 0: no limit
  std::uint64_t used_bytes() const;
  void slow_reads(double probability);    // cached reads that say needs_load
  std::uint64_t reads() const;            // so far, cached ones included

  // Damage, durable. Paths are relative to the root.
  void flip(const std::string& path, std::uint64_t offset, int bit);
  void cut(const std::string& path, std::uint64_t size);
  std::vector<std::string> files() const; // paths, sorted
  std::uint64_t file_size(const std::string& path) const;
  // True if a block was ever written there and not punched.
  bool has_block(const std::string& path, std::uint64_t offset) const;

 private:
  explicit SimDisk(std::unique_ptr<SimState> state);
  std::unique_ptr<SimState> state_;
};

}  // namespace rowan::test
