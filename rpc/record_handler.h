// The seam between sockets (rpc/server) and meaning (rpc/dispatcher): a call record goes in, a
// reply comes out.
#pragma once

#include <optional>

#include "rpc/base/buffer.h"
#include "rpc/base/task.h"
#include "rpc/service.h"

namespace rowan::rpc {

// A reply without its record mark: `head`, then `body` and zero bytes up to a multiple of four.
// Only a READ has a body, which goes out by scatter write.
struct Reply {
  Buffer head;
  Buffer body;
  std::size_t size() const { return head.size() + body.size() + padding(); }
  std::size_t padding() const { return (4 - body.size() % 4) % 4; }
};

class RecordHandler {
 public:
  virtual ~RecordHandler() = default;
  // Serves one call. Nothing means: no reply can be given; over TCP the connection is closed (what
  // came is not a call), over UDP the datagram is dropped.
  virtual Task<std::optional<Reply>> handle(Buffer record, PeerAddress peer,
                                            MonotonicTime received) = 0;
  // About how many bytes the reply to this call will hold, as far as the call tells (the count of a
  // READ): what the server reserves before it starts the call. The record is unchecked input.
  virtual std::size_t expected_reply_size(ByteView record) const {
    return record.empty() ? 0 : 512;
  }
  // Where in the record of a call its bulk begins (a WRITE's data); 0: it has none. The server lets
  // that of the connection's next large record start a page.
  virtual std::size_t bulk_offset(ByteView /*record*/) const { return 0; }
};

}  // namespace rowan::rpc
