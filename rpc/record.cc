#include "rpc/record.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "rpc/base/bytes.h"
#include "rpc/base/check.h"

// Small records: many come with one read into the staging buffer and each is copied once into a
// buffer of its own size (a call's arguments borrow from its record, so every call owns one). A
// record whose beginning is small enough stays in the staging buffer until it is whole.
//
// Large records, and records in several fragments, are put together in `record_`; once it is known
// that many bytes of the fragment are still to come, space() lies inside `record_` and nothing is
// copied any more.

namespace rowan::rpc {
namespace {

constexpr std::size_t staging_size = 64u << 10;
// Up to here a record waits in the staging buffer, and a fragment's rest is read through it.
constexpr std::size_t small_size = 16u << 10;
// Room for a record of which less than `trusted_size` has come.
constexpr std::size_t first_capacity = 64u << 10;
constexpr std::size_t trusted_size = 32u << 10;
constexpr std::size_t page_size = 4096;

constexpr std::uint32_t last_fragment = 0x8000'0000u;

}  // namespace

std::array<std::byte, 4> record_mark(std::size_t size) {
  CHECK_LT(size, std::size_t{last_fragment});
  std::array<std::byte, 4> mark;
  store_be(mark.data(), last_fragment | static_cast<std::uint32_t>(size));
  return mark;
}

ByteSpan RecordReader::space() {
  direct_ = in_fragment_ && remaining_ > small_size;
  if (direct_) {
    CHECK(staged() == 0);
    make_room(record_.size() + small_size);
    std::size_t room = std::min(record_.capacity() - record_.size(), remaining_);
    return {record_.data() + record_.size(), room};
  }
  if (staging_.capacity() == 0) staging_ = Buffer(staging_size);
  if (begin_ != 0) {
    std::memmove(staging_.data(), staging_.data() + begin_, staged());
    end_ -= begin_;
    begin_ = 0;
  }
  CHECK_LT(end_, staging_.size());  // next() was drained: what it leaves is shorter than small_size
  return staging_.span().subspan(end_);
}

void RecordReader::commit(std::size_t count) {
  if (direct_) {
    CHECK_LE(count, remaining_);
    record_.resize_within(record_.size() + count);
    remaining_ -= count;
    direct_ = false;
    return;
  }
  CHECK_LE(count, staging_.size() - end_);
  end_ += count;
  consume(0);
}

Result<std::optional<Buffer>> RecordReader::next() {
  if (error_) return *error_;
  for (;;) {
    if (in_fragment_) {
      append_staged();
      if (remaining_ != 0) return std::optional<Buffer>();
      in_fragment_ = false;
      if (last_) return std::optional<Buffer>(finish_record());
    }
    if (staged() < 4) return std::optional<Buffer>();
    auto mark = load_be<std::uint32_t>(staging_.data() + begin_);
    std::size_t length = mark & ~last_fragment;
    last_ = (mark & last_fragment) != 0;
    if (fragments_ == 0 && last_ && length <= limits_.record_size) {
      if (staged() - 4 >= length) {
        auto record = Buffer::copy_of({staging_.data() + begin_ + 4, length});
        consume(4 + length);
        return std::optional<Buffer>(std::move(record));
      }
      if (length <= small_size) return std::optional<Buffer>();
    }
    TRY_VOID(accept_mark(length));
    consume(4);
    in_fragment_ = true;
    remaining_ = length;
  }
}

Result<void> RecordReader::accept_mark(std::size_t length) {
  if (length > limits_.record_size - record_.size()) {
    return refuse(Error(Errc::limit, "a record of " + std::to_string(record_.size() + length) +
                                         " bytes is over the limit of " +
                                         std::to_string(limits_.record_size)));
  }
  if (++fragments_ > limits_.fragments) {
    return refuse(Error(Errc::limit, "a record has more than " +
                                         std::to_string(limits_.fragments) + " fragments"));
  }
  if (length == 0 && !last_ && ++empty_fragments_ > limits_.empty_fragments) {
    return refuse(Error(Errc::limit, "a record has more than " +
                                         std::to_string(limits_.empty_fragments) +
                                         " empty fragments"));
  }
  return {};
}

Error RecordReader::refuse(Error error) {
  error_ = std::move(error);
  staging_ = Buffer();
  record_ = Buffer();
  begin_ = end_ = 0;
  return *error_;
}

// Room for `wanted` bytes. A peer that has sent a good part is believed what it announced, so that
// a large record is not copied from buffer to buffer as it grows.
void RecordReader::make_room(std::size_t wanted) {
  if (wanted <= record_.capacity()) return;
  std::size_t announced = record_.size() + remaining_;
  if (wanted < trusted_size) return record_.reserve(std::min(announced, first_capacity));
  std::size_t skip = (page_size - aligned_at_ % page_size) % page_size;
  Buffer whole(skip + announced);  // starts on a page
  whole.trim_front(skip);
  whole.resize_within(record_.size());
  if (!record_.empty()) std::memcpy(whole.data(), record_.data(), record_.size());
  record_ = std::move(whole);
}

void RecordReader::append_staged() {
  std::size_t count = std::min(staged(), remaining_);
  if (count == 0) return;
  make_room(record_.size() + count);
  std::size_t size = record_.size();
  record_.resize_within(size + count);
  std::memcpy(record_.data() + size, staging_.data() + begin_, count);
  remaining_ -= count;
  consume(count);
}

Buffer RecordReader::finish_record() {
  fragments_ = empty_fragments_ = 0;
  return std::move(record_);
}

// An empty staging buffer goes back to the pool, so that an idle connection holds nothing.
void RecordReader::consume(std::size_t count) {
  begin_ += count;
  if (begin_ != end_) return;
  begin_ = end_ = 0;
  staging_ = Buffer();
}

}  // namespace rowan::rpc
