#include "rpc/reply_queue.h"

#include <algorithm>
#include <cstring>

#include "rpc/base/check.h"
#include "rpc/record.h"

namespace rowan::rpc {
namespace {

// Copying this much costs less than another piece does in the kernel.
constexpr std::size_t copied_size = 2048;
// A piece for copies: small beside bodies, larger the more small replies follow each other.
constexpr std::size_t smallest_open = 512;
constexpr std::size_t largest_open = 64u << 10;
constexpr std::byte zeros[4] = {};

}  // namespace

void ReplyQueue::push(Reply reply) {
  std::size_t padding = reply.padding();
  auto mark = record_mark(reply.size());
  append(mark);
  std::size_t head = reply.head.size(), body = reply.body.size();
  if (head <= copied_size) {
    append(reply.head.view());
  } else {
    add(std::move(reply.head), head);
  }
  if (body <= copied_size) {
    append(reply.body.view());
  } else {
    add(std::move(reply.body), body);
  }
  append({zeros, padding});
}

void ReplyQueue::append(ByteView bytes) {
  if (bytes.empty()) return;
  if (pieces_.empty() || !pieces_.back().open ||
      pieces_.back().buffer.capacity() - pieces_.back().buffer.size() < bytes.size()) {
    bool follows_open = !pieces_.empty() && pieces_.back().open;
    std::size_t size = follows_open ? 4 * pieces_.back().buffer.capacity() : smallest_open;
    Piece piece;
    piece.buffer = Buffer(std::max(bytes.size(), std::min(size, largest_open)));
    piece.buffer.resize_within(0);
    piece.open = true;
    push_piece(std::move(piece));
  }
  Buffer& to = pieces_.back().buffer;
  std::size_t size = to.size();
  to.resize_within(size + bytes.size());
  std::memcpy(to.data() + size, bytes.data(), bytes.size());
  bytes_ += bytes.size();
}

void ReplyQueue::add(Buffer buffer, std::size_t size) {
  Piece piece;
  piece.buffer = std::move(buffer);
  push_piece(std::move(piece));
  bytes_ += size;
}

void ReplyQueue::push_piece(Piece piece) {
  memory_ += piece.buffer.capacity();
  pieces_.push_back(std::move(piece));
}

std::size_t ReplyQueue::gather(std::span<iovec> out) const {
  std::size_t count = std::min(out.size(), pieces_.size());
  for (std::size_t i = 0; i < count; ++i) {
    const Piece& piece = pieces_[i];
    out[i].iov_base = const_cast<std::byte*>(piece.buffer.data() + piece.begin);
    out[i].iov_len = piece.buffer.size() - piece.begin;
  }
  return count;
}

void ReplyQueue::consume(std::size_t count) {
  CHECK_LE(count, bytes_);
  bytes_ -= count;
  while (count != 0) {
    Piece& first = pieces_.front();
    std::size_t left = first.buffer.size() - first.begin;
    if (count < left) {
      first.begin += count;
      return;
    }
    count -= left;
    memory_ -= first.buffer.capacity();
    pieces_.pop_front();
  }
}

}  // namespace rowan::rpc
