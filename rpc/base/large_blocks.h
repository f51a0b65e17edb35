// Memory for large buffers, in huge pages where the system has them: a megabyte is then copied
// without a miss of the TLB at every 4 KiB, and fresh memory costs one page fault instead of 512.
// From any thread.
#pragma once

#include <cstddef>

namespace rowan::large_blocks {

// Sizes served: multiples of 64 KiB in this range.
inline constexpr std::size_t smallest = 128u << 10, largest = 2u << 20, step = 64u << 10;

// Starts on a page; not cleared. Throws std::bad_alloc.
std::byte* take(std::size_t size);
// `size` is that of its taking. Its memory goes back to the system.
void give(std::byte* block, std::size_t size);

}  // namespace rowan::large_blocks
