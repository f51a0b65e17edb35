// What the frames of a stream between hosts hold (frame_stream.h has the frames themselves;
// FORMAT.md, "streams"). In this order:
//
//   header    JSON: whose state it is and which (proxy/stream_header.h)
//   names     the names that clients may have handles of; as many frames as it takes
//   changes   in the order of their keys; the same
//   totals    what all frames of changes say, added up
//   end
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cache/catalog.h"
#include "cache/change_walk.h"
#include "rpc/base/result.h"

namespace rowan::cache {

enum class StreamFrame : std::uint8_t { end = 0, header = 1, names = 2, changes = 3, totals = 4 };

std::string encode_names(const std::vector<KnownName>& names);
Result<std::vector<KnownName>> decode_names(std::string_view content);   // corrupt

struct ChangesFrame {
  std::string reached;    // every change up to this key is in this frame or in one before
  ChangeTotals totals;    // of this frame
  std::string changes;    // portable_change.h
  friend bool operator==(const ChangesFrame&, const ChangesFrame&) = default;
};
// A frame of about so many bytes of changes keeps within max_frame_bytes.
inline constexpr std::size_t changes_frame_bytes = 1u << 20;
std::string encode(const ChangesFrame& frame);
Result<ChangesFrame> decode_changes(std::string_view content);   // corrupt

std::string encode(const ChangeTotals& totals);
Result<ChangeTotals> decode_totals(std::string_view content);    // corrupt

}  // namespace rowan::cache
