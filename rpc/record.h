// Record marking (RFC 5531, section 11) without a socket: bytes go in, whole records come out.
//
//   for (;;) {
//     wait until the socket is readable          // an idle connection holds no memory here
//     n = read(socket, reader.space())           // large records are read in place
//     reader.commit(n)
//     while (auto record = next()) serve it      // stop here to push back: nothing is read then
//   }
//
// A length that was only announced takes no memory: 64 KiB until half of that has come, then what
// the fragment needs, within the limit. The first error is final: the stream has lost its frame, so
// the connection must go.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "rpc/base/buffer.h"
#include "rpc/base/result.h"

namespace rowan::rpc {

// A payload of 1 MiB and its headers.
inline constexpr std::size_t max_record_size = (1u << 20) + 4096;

struct RecordLimits {
  std::size_t record_size = max_record_size;
  // Fragments of one record, so that tiny ones end; a megabyte in pieces of 16 bytes passes.
  std::size_t fragments = 1u << 16;
  // Fragments without a byte in one record. No sender has a reason for any.
  std::size_t empty_fragments = 16;
};

// The mark before a record that is sent as one fragment.
std::array<std::byte, 4> record_mark(std::size_t size);

class RecordReader {
 public:
  explicit RecordReader(RecordLimits limits = {}) : limits_(limits) {}

  // Where the stream's next bytes go; never empty. Valid until commit(). Call it only when next()
  // has said that there is no whole record.
  ByteSpan space();
  // The first `count` bytes of space() were filled; with 0 its memory is given back.
  void commit(std::size_t count);

  // The next whole record without its marks; nothing if more bytes are needed; Errc::limit if the
  // peer exceeds a limit. The error stays.
  Result<std::optional<Buffer>> next();

  // Large records to come shall lie in memory so that the byte at `offset` starts a page: it and
  // those behind it may then go to disk without another copy.
  void align(std::size_t offset) { aligned_at_ = offset; }

  // True in the middle of a record or a mark: a peer that stops here may be timed out.
  bool inside_record() const { return in_fragment_ || fragments_ != 0 || staged() != 0; }
  // Bytes of memory held now.
  std::size_t memory() const { return staging_.capacity() + record_.capacity(); }

 private:
  std::size_t staged() const { return end_ - begin_; }
  Result<void> accept_mark(std::size_t length);
  Error refuse(Error error);
  void make_room(std::size_t wanted);
  void append_staged();
  Buffer finish_record();
  void consume(std::size_t count);

  RecordLimits limits_;
  Buffer staging_;  // bytes [begin_, end_) have come and are not parsed
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  Buffer record_;  // what has come of a record that does not fit the staging buffer
  std::size_t remaining_ = 0;  // of the current fragment
  std::size_t fragments_ = 0;  // of the current record, when it is put together in record_
  std::size_t empty_fragments_ = 0;
  bool in_fragment_ = false;
  bool last_ = false;
  bool direct_ = false;  // space() lies in record_
  std::size_t aligned_at_ = 0;
  std::optional<Error> error_;
};

}  // namespace rowan::rpc
