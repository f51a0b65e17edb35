// What a status command shows of the wire: calls, errors and latencies per procedure. Pure counters
// of one strand; a reader on another thread asks the strand for a copy.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "rpc/base/clock.h"
#include "rpc/nfs3.h"

namespace rowan::rpc {

// Counts by powers of two of nanoseconds: bucket i holds [2^i, 2^(i+1)), bucket 0 also zero.
class LatencyHistogram {
 public:
  static constexpr std::size_t bucket_count = 40;  // the last: 9 minutes and more

  void add(Duration latency) {
    std::uint64_t nanoseconds =
        latency.count() > 0 ? static_cast<std::uint64_t>(latency.count()) : 0;
    std::size_t bucket = nanoseconds == 0 ? 0 : std::bit_width(nanoseconds) - 1;
    ++buckets_[bucket < bucket_count ? bucket : bucket_count - 1];
    total_ += nanoseconds;
    longest_ = std::max(longest_, nanoseconds);
    ++count_;
  }
  std::uint64_t count() const { return count_; }
  const std::array<std::uint64_t, bucket_count>& buckets() const { return buckets_; }
  Duration mean() const { return Duration(count_ == 0 ? 0 : total_ / count_); }
  Duration longest() const { return Duration(longest_); }
  // The upper end of the bucket that holds the `percent`-th percentile, or the longest if that is
  // less; zero without values.
  Duration percentile(unsigned percent) const {
    if (count_ == 0) return Duration(0);
    std::uint64_t wanted = (count_ * percent + 99) / 100;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < bucket_count; ++i) {
      seen += buckets_[i];
      bool last = i + 1 == bucket_count;
      if (seen >= wanted && seen != 0 && !last)
        return std::min(Duration(std::int64_t{1} << (i + 1)), longest());
    }
    return longest();
  }
  void merge(const LatencyHistogram& other) {
    for (std::size_t i = 0; i < bucket_count; ++i) buckets_[i] += other.buckets_[i];
    total_ += other.total_;
    longest_ = std::max(longest_, other.longest_);
    count_ += other.count_;
  }

 private:
  std::array<std::uint64_t, bucket_count> buckets_{};
  std::uint64_t total_ = 0, longest_ = 0;
  std::uint64_t count_ = 0;
};

struct ProcedureStats {
  std::uint64_t errors = 0;     // answered with a status other than NFS3_OK
  std::uint64_t retries = 0;    // of which NFS3ERR_JUKEBOX
  std::uint64_t garbage = 0;    // arguments that could not be decoded; not in the histogram
  std::uint64_t repeated = 0;   // answered from the reply cache; not in the histogram
  LatencyHistogram latency;     // its count() is the number of calls served

  void served(nfs3::Status status, Duration took) {
    latency.add(took);
    if (status == nfs3::Status::ok) return;
    ++errors;
    if (status == nfs3::Status::jukebox) ++retries;
  }
};

struct CallStats {
  std::array<ProcedureStats, nfs3::procedure_count> procedures;
  std::uint64_t mount_calls = 0;
  std::uint64_t portmap_calls = 0;
  std::uint64_t not_calls = 0;       // records that could not be answered
  std::uint64_t rpc_mismatch = 0;
  std::uint64_t auth_errors = 0;
  std::uint64_t prog_unavail = 0;
  std::uint64_t prog_mismatch = 0;
  std::uint64_t proc_unavail = 0;
  std::uint64_t garbage_args = 0;    // all programs
  std::uint64_t system_err = 0;      // replies that did not fit a record

  ProcedureStats& of(nfs3::Procedure procedure) {
    return procedures[static_cast<std::size_t>(procedure)];
  }
  const ProcedureStats& of(nfs3::Procedure procedure) const {
    return procedures[static_cast<std::size_t>(procedure)];
  }
  void served(nfs3::Procedure procedure, nfs3::Status status, Duration latency) {
    of(procedure).served(status, latency);
  }
};

}  // namespace rowan::rpc
