// Latencies in buckets of about three per cent, from a nanosecond to hours, in fixed memory.
#pragma once

#include <array>
#include <cstdint>

namespace rowan::bench {

class Histogram {
 public:
  void add(std::uint64_t nanoseconds);
  void clear();
  std::uint64_t count() const { return count_; }

  // The upper edge, in nanoseconds, of the bucket that holds the given share of the values (0 <
  // share <= 1); 0 when nothing was added.
  std::uint64_t quantile(double share) const;

 private:
  static constexpr unsigned sub_bits = 5;  // 32 buckets for each power of two
  static constexpr std::size_t bucket_count = (64 - sub_bits + 1) << sub_bits;
  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t upper_edge(std::size_t bucket);

  std::array<std::uint64_t, bucket_count> buckets_{};
  std::uint64_t count_ = 0;
};

}  // namespace rowan::bench
