#include "rpc/base/buffer.h"

#include <string>
#include <thread>

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

}  // namespace
}  // namespace rowan
