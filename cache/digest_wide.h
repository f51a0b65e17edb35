// The same checksum for processors with wider vectors than the compiler may assume of all.
// digest_avx2.cc is compiled for such processors only, so it includes nothing whose inline
// functions the linker could share with the rest of the program.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rowan::cache {

std::uint64_t checksum64_avx2(const void* bytes, std::size_t size, std::uint64_t seed);

}  // namespace rowan::cache
