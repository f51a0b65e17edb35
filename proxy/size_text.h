// Sizes, durations and shares as people write and read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "rpc/base/clock.h"
#include "rpc/base/result.h"

namespace rowan::proxy {

// "512", "64K", "10G", "10GiB", "1.5T" (units are powers of 1024, in either case) to bytes. usage:
// not a size, or beyond 2^63 - 1.
Result<std::uint64_t> parse_size(std::string_view text);

// "0 B", "512 B", "1.5 KiB", "10.0 GiB".
std::string size_text(std::uint64_t bytes);

// "850 ns", "12 us", "3.4 ms", "1.2 s".
std::string duration_text(std::uint64_t nanoseconds);
// "90s", "1h", "7d": the largest unit that it is a whole number of; "off": zero.
std::string period_text(Duration period);

// "90s", "15m", "1h", "1d", "2w" to seconds. usage: anything else, nothing, or beyond 100 years.
Result<std::uint64_t> parse_duration(std::string_view text);

// part / whole as "12.3 %"; "-" when there is no whole.
std::string share_text(std::uint64_t part, std::uint64_t whole);

// "1234567" as "1,234,567".
std::string count_text(std::uint64_t count);

}  // namespace rowan::proxy
