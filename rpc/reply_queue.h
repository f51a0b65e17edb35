// Replies on their way out of one connection, as the pieces of a gathering write. Small ones are
// copied together, large bodies go out from where they are.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <deque>
#include <span>

#include "rpc/base/buffer.h"
#include "rpc/record_handler.h"

namespace rowan::rpc {

class ReplyQueue {
 public:
  // Adds the record mark, the reply and its padding.
  void push(Reply reply);
  // Bytes not yet sent.
  std::size_t bytes() const { return bytes_; }
  // Bytes of memory held: a buffer of which a single byte is not sent yet counts whole.
  std::size_t memory() const { return memory_; }
  bool empty() const { return bytes_ == 0; }
  // The next bytes in order, in as many of `out` as there are pieces; returns how many were filled.
  std::size_t gather(std::span<iovec> out) const;
  // The first `count` bytes were sent.
  void consume(std::size_t count);

 private:
  struct Piece {
    Buffer buffer;
    std::size_t begin = 0;
    bool open = false;  // made by append(): has room behind its size
  };
  void append(ByteView bytes);
  void add(Buffer buffer, std::size_t size);
  void push_piece(Piece piece);

  std::deque<Piece> pieces_;
  std::size_t bytes_ = 0;
  std::size_t memory_ = 0;
};

}  // namespace rowan::rpc
