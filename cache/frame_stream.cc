#include "cache/frame_stream.h"

#include <zstd.h>

#include <utility>

#include "cache/digest.h"
#include "cache/disk_codec.h"
#include "rpc/base/check.h"

namespace rowan::cache {
namespace {

constexpr std::uint64_t magic = 0x5254534e41574f52;  // "ROWANSTR"
constexpr std::uint32_t format = 1;
constexpr std::size_t head_size = 16;
constexpr std::size_t summed_size = 16, frame_head_size = 24;
constexpr std::uint8_t plain = 0, packed = 1;
// Fast enough not to be what a send waits for.
constexpr int level = 1;

std::uint64_t link(std::uint64_t chain, std::string_view head, std::string_view stored) {
  return checksum64(as_bytes(stored), checksum64(as_bytes(head.substr(0, summed_size)), chain));
}

// The content in its smaller form, and which that is.
std::pair<std::uint8_t, std::string> pack(std::string_view content) {
  std::string out(ZSTD_compressBound(content.size()), '\0');
  const std::size_t size =
      ZSTD_compress(out.data(), out.size(), content.data(), content.size(), level);
  if (ZSTD_isError(size) != 0 || size >= content.size()) return {plain, std::string(content)};
  out.resize(size);
  return {packed, std::move(out)};
}

std::optional<std::string> unpack(std::uint8_t packing, std::string_view stored,
                                  std::size_t size) {
  if (packing == plain && stored.size() == size) return std::string(stored);
  if (packing != packed) return {};
  std::string content(size, '\0');
  const std::size_t got =
      ZSTD_decompress(content.data(), content.size(), stored.data(), stored.size());
  if (ZSTD_isError(got) != 0 || got != size) return {};
  return content;
}

}  // namespace

std::string FrameWriter::head() {
  std::string out;
  DiskWriter writer(out);
  writer.u64(magic);
  writer.u32(format);
  writer.u32(0);
  chain_ = checksum64(as_bytes(out));
  return out;
}

std::string FrameWriter::frame(std::uint8_t type, std::string_view content) {
  CHECK_LE(content.size(), max_frame_bytes);
  const auto [packing, stored] = pack(content);
  std::string out;
  DiskWriter writer(out);
  writer.u8(type);
  writer.u8(packing);
  writer.u16(0);
  writer.u32(static_cast<std::uint32_t>(stored.size()));
  writer.u32(static_cast<std::uint32_t>(content.size()));
  writer.u32(number_++);
  chain_ = link(chain_, out, stored);
  writer.u64(chain_);
  writer.raw(stored);
  return out;
}

void FrameReader::feed(std::string_view bytes) {
  buffer_.erase(0, std::exchange(taken_, 0));
  buffer_.append(bytes);
}

void FrameReader::take(std::size_t count) {
  taken_ += count;
  offset_ += count;
}

Error FrameReader::damaged(std::string_view what) const {
  return Error(Errc::corrupt, "the stream is damaged at byte " + std::to_string(offset_) +
                                  " (frame " + std::to_string(number_) + "): " + std::string(what));
}

Error FrameReader::cut_short() const {
  const std::uint64_t arrived = offset_ + rest().size();
  if (arrived == 0) return Error(Errc::corrupt, "the stream is empty: nothing arrived");
  return Error(Errc::corrupt, "the stream ends at byte " + std::to_string(arrived) +
                                  ", in the middle (frame " + std::to_string(number_) + ")");
}

Result<bool> FrameReader::take_head() {
  if (rest().size() < head_size) return false;
  DiskReader in(rest().substr(0, head_size));
  if (in.u64() != magic) return damaged("it is not what 'rowan send' writes");
  const std::uint32_t found = in.u32();
  if (found != format)
    return Error(Errc::not_supported, "the stream is of format " + std::to_string(found) +
                                          "; this program reads format 1, a newer one is needed");
  if (in.u32() != 0) return damaged("bits that must be zero are not");
  chain_ = checksum64(as_bytes(rest().substr(0, head_size)));
  take(head_size);
  headed_ = true;
  return true;
}

Result<std::optional<Frame>> FrameReader::take_frame() {
  if (rest().size() < frame_head_size) return std::optional<Frame>();
  const std::string_view head = rest().substr(0, frame_head_size);
  DiskReader in(head);
  const std::uint8_t type = in.u8(), packing = in.u8();
  const std::uint16_t zero = in.u16();
  const std::uint32_t stored_size = in.u32(), size = in.u32(), number = in.u32();
  const std::uint64_t chain = in.u64();
  if (zero != 0 || number != number_ || size > max_frame_bytes || stored_size > size)
    return damaged("a frame's head says what cannot be");
  if (rest().size() < frame_head_size + stored_size) return std::optional<Frame>();
  const std::string_view stored = rest().substr(frame_head_size, stored_size);
  if (link(chain_, head, stored) != chain) return damaged("wrong checksum");
  auto content = unpack(packing, stored, size);
  if (!content) return damaged("its content cannot be unpacked");
  chain_ = chain;
  take(frame_head_size + stored_size);
  ++number_;
  ended_ = type == end_frame;
  return std::optional<Frame>(Frame{type, std::move(*content)});
}

Result<std::optional<Frame>> FrameReader::next() {
  if (failure_) return *failure_;
  if (ended_ && !rest().empty()) failure_ = damaged("something follows the end");
  if (failure_) return *failure_;
  if (ended_) return std::optional<Frame>();
  Result<bool> headed = headed_ ? Result<bool>(true) : take_head();
  if (headed && !*headed) return std::optional<Frame>();
  Result<std::optional<Frame>> frame =
      headed ? take_frame() : Result<std::optional<Frame>>(headed.error());
  if (!frame) failure_ = frame.error();
  return frame;
}

}  // namespace rowan::cache
