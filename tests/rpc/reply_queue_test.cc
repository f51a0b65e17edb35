#include "rpc/reply_queue.h"

#include <array>
#include <catch2/catch.hpp>
#include <random>

#include "rpc/record.h"

namespace rowan::rpc {
namespace {

Buffer filled(std::size_t size, std::mt19937_64& random) {
  Buffer bytes(size);
  for (std::byte& byte : bytes.span()) byte = static_cast<std::byte>(random());
  return bytes;
}

void add_bytes(std::string& to, ByteView bytes) { to += as_text(bytes); }

// What push() should put on the wire, written the dull way.
std::string on_the_wire(const Reply& reply) {
  std::string wire;
  auto mark = record_mark(reply.size());
  add_bytes(wire, mark);
  add_bytes(wire, reply.head.view());
  add_bytes(wire, reply.body.view());
  wire.append(reply.padding(), '\0');
  return wire;
}

TEST_CASE("replies of any sizes leave in order and whole, however little is taken at a time") {
  std::uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 50; ++round) {
    ReplyQueue queue;
    std::string expected, sent;
    for (int i = 0; i < 40; ++i) {
      std::size_t bodies[] = {0, 1, 5, 2048, 2049, 70'000},
                  heads[] = {4, 24, 128, 2048, 2052, 65'536};
      Reply reply;
      reply.head = filled(heads[random() % 6], random);
      reply.body = filled(bodies[random() % 6], random);
      expected += on_the_wire(reply);
      queue.push(std::move(reply));
      while (random() % 3 != 0 && !queue.empty()) {
        std::array<iovec, 3> pieces;
        std::size_t count = queue.gather(pieces), taken = 0;
        REQUIRE(count > 0);
        for (std::size_t p = 0; p < count; ++p) {
          std::size_t part =
              random() % 2 == 0 ? pieces[p].iov_len : random() % (pieces[p].iov_len + 1);
          sent.append(static_cast<const char*>(pieces[p].iov_base), part);
          taken += part;
          if (part != pieces[p].iov_len) break;
        }
        queue.consume(taken);
      }
      REQUIRE(queue.bytes() == expected.size() - sent.size());
      REQUIRE(queue.memory() >= queue.bytes());
      REQUIRE((queue.memory() == 0) == queue.empty());
    }
    std::array<iovec, 1> piece;
    while (queue.gather(piece) == 1) {
      sent.append(static_cast<const char*>(piece[0].iov_base), piece[0].iov_len);
      queue.consume(piece[0].iov_len);
    }
    REQUIRE(queue.empty());
    REQUIRE(sent == expected);
  }
}

TEST_CASE("a body counts whole as memory until its last byte is sent") {
  ReplyQueue queue;
  Reply reply;
  reply.head = Buffer(128);
  reply.body = Buffer(1 << 20);
  queue.push(std::move(reply));
  queue.consume(queue.bytes() - 1);
  REQUIRE(queue.bytes() == 1);
  REQUIRE(queue.memory() >= 1 << 20);
  queue.consume(1);
  REQUIRE(queue.memory() == 0);
}

TEST_CASE("small replies that are ready together leave as few pieces") {
  ReplyQueue queue;
  for (int i = 0; i < 64; ++i) {
    Reply reply;
    reply.head = Buffer(24);
    queue.push(std::move(reply));
  }
  std::array<iovec, 64> pieces;
  REQUIRE(queue.gather(pieces) <= 2);
  REQUIRE(queue.bytes() == 64 * 28);
}

}  // namespace
}  // namespace rowan::rpc
