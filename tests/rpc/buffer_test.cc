#include "rpc/base/buffer.h"

#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "rpc/base/large_blocks.h"
#include "tests/support/catch.h"

namespace rowan {
namespace {

TEST_CASE("a buffer that outlives its thread's pool is still released") {
  // Thread-locals die in the reverse order of their making: the pool is made by the first buffer,
  // after the holder. Without care, a sanitizer sees the use of a dead pool here.
  std::size_t size = 0;
  std::thread thread([&size] {
    struct Holder {
      Buffer buffer;
      ~Holder() { buffer = Buffer(300); }
    };
    thread_local Holder holder;
    holder.buffer = Buffer(100);
    size = holder.buffer.size();
  });
  thread.join();
  CHECK(size == 100);
}

TEST_CASE("a buffer that grows keeps its bytes") {
  Buffer buffer = Buffer::copy_of(as_bytes("some bytes"));
  buffer.reserve(100'000);
  CHECK(buffer.capacity() >= 100'000);
  CHECK(as_text(buffer.view()) == "some bytes");
  Buffer moved = std::move(buffer);
  CHECK(as_text(moved.view()) == "some bytes");
}

TEST_CASE("a buffer can let its first bytes go") {
  for (std::size_t size : {300u, 5000u, 1u << 20, (2u << 20) + 5}) {
    Buffer buffer(size);
    std::byte* at = buffer.data();
    std::size_t capacity = buffer.capacity();
    buffer.data()[100] = std::byte{7};
    buffer.trim_front(100);
    CHECK(buffer.data() == at + 100);
    CHECK(buffer.data()[0] == std::byte{7});
    CHECK(buffer.size() == size - 100);
    CHECK(buffer.capacity() == capacity - 100);
    buffer.reserve(capacity + 1);  // the old block goes back whole
    CHECK(buffer.data()[0] == std::byte{7});
    Buffer moved = std::move(buffer);
    buffer = Buffer(size);
    moved.trim_front(moved.size());
    CHECK(moved.empty());
  }
}

TEST_CASE("large blocks do not overlap, and can be taken again") {
  constexpr std::size_t size = 192u << 10;
  std::vector<std::byte*> blocks;
  for (int i = 0; i < 400; ++i) {  // more than one region
    blocks.push_back(large_blocks::take(size));
    std::memset(blocks.back(), i % 251, size);
  }
  for (int i = 0; i < 400; ++i) {
    REQUIRE(blocks[i][0] == static_cast<std::byte>(i % 251));
    REQUIRE(blocks[i][size - 1] == static_cast<std::byte>(i % 251));
    large_blocks::give(blocks[i], size);
  }
  std::byte* again = large_blocks::take(size);
  std::memset(again, 1, size);
  large_blocks::give(again, size);
}

// Private writable memory that is mapped, in KiB (what RLIMIT_DATA counts).
std::size_t mapped_data_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmData:", 0) == 0) return std::stoul(line.substr(7));
  }
  return 0;
}

#ifndef __SANITIZE_ADDRESS__
TEST_CASE("blocks of one size leave their addresses to those of another, and then to the system") {
  constexpr std::size_t total = 256u << 20, region_kb = 32u << 10;
  std::size_t before = mapped_data_kb();
  for (std::size_t size : {128u << 10, 1u << 20, 192u << 10, (1u << 20) + (64u << 10), 2u << 20}) {
    std::vector<std::byte*> blocks;
    for (std::size_t bytes = 0; bytes + size <= total; bytes += size) {
      blocks.push_back(large_blocks::take(size));
    }
    // A region may end in less than a block, and one may be left over from the last round.
    REQUIRE(mapped_data_kb() - before < (total >> 10) * 17 / 16 + 2 * region_kb);
    // Freed in an order that joins with the left, the right and both neighbours.
    for (std::size_t start : {0u, 2u, 1u, 3u}) {
      for (std::size_t i = start; i < blocks.size(); i += 4) large_blocks::give(blocks[i], size);
    }
    REQUIRE(mapped_data_kb() < before + 2 * region_kb);
  }
}
#endif

TEST_CASE("a record of a mebibyte and its headers takes little more than that") {
  CHECK(Buffer((1 << 20) + 4096).capacity() < (1 << 20) + (128 << 10));
  CHECK(Buffer(1 << 20).capacity() == 1 << 20);
  CHECK(Buffer((1 << 20) + (64 << 10) + 1).capacity() == 2 << 20);
}

TEST_CASE("every size gives room for itself, again from the pool, and bounds what the pool keeps") {
  for (int round = 0; round < 2; ++round) {
    for (std::size_t size : {1u, 255u, 256u, 257u, 4096u, 131'072u, 131'073u, 1u << 20,
                             (1u << 20) + 1, (2u << 20) - 1, 2u << 20, (2u << 20) + 1}) {
      Buffer buffer(size);
      REQUIRE(buffer.capacity() >= size);
      buffer.data()[0] = buffer.data()[size - 1] = std::byte{1};  // a sanitizer knows its end
      if (size >= 4096) CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 4096 == 0);
    }
  }
  std::vector<Buffer> many;
  for (int i = 0; i < 100; ++i) many.emplace_back(1 << 20);
}

TEST_CASE("a size that is in use is kept though another filled the pool before") {
  std::vector<Buffer> others;
  for (int i = 0; i < 64; ++i) others.emplace_back((1 << 20) + 4096);
  others.clear();
  { Buffer first(1 << 20); }
  for (int round = 0; round < 3; ++round) {
    std::byte mark{static_cast<unsigned char>(7 + round)};
    { std::memset(Buffer(1 << 20).data(), static_cast<int>(mark), 1 << 20); }
    Buffer again(1 << 20);
    // Fresh memory would be zeros.
    CHECK(again.data()[0] == mark);
    CHECK(again.data()[(1 << 20) - 1] == mark);
  }
}

}  // namespace
}  // namespace rowan
