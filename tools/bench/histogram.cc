#include "tools/bench/histogram.h"

#include <bit>
#include <cmath>

namespace rowan::bench {

// Values below 2^sub_bits have a bucket each. Above, a value with its highest bit at e lies in one
// of 32 equal parts of [2^e, 2^(e+1)).
std::size_t Histogram::bucket_of(std::uint64_t value) {
  constexpr std::uint64_t linear = std::uint64_t{1} << sub_bits;
  if (value < linear) return value;
  unsigned exponent = static_cast<unsigned>(std::bit_width(value)) - 1;
  unsigned shift = exponent - sub_bits;
  return (std::size_t{shift} + 1) * linear + ((value >> shift) - linear);
}

std::uint64_t Histogram::upper_edge(std::size_t bucket) {
  constexpr std::size_t linear = std::size_t{1} << sub_bits;
  if (bucket < linear) return bucket;
  unsigned shift = static_cast<unsigned>(bucket / linear) - 1;
  std::uint64_t first = (linear + bucket % linear) << shift;
  return first + ((std::uint64_t{1} << shift) - 1);
}

void Histogram::add(std::uint64_t nanoseconds) {
  ++buckets_[bucket_of(nanoseconds)];
  ++count_;
}

void Histogram::clear() {
  buckets_.fill(0);
  count_ = 0;
}

std::uint64_t Histogram::quantile(double share) const {
  if (count_ == 0) return 0;
  auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < bucket_count; ++i) {
    seen += buckets_[i];
    if (seen >= wanted) return upper_edge(i);
  }
  return upper_edge(bucket_count - 1);
}

}  // namespace rowan::bench
