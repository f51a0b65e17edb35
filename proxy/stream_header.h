// What a stream begins with: whose state it is, and which. Secret: the appliance's key is in it,
// with which anybody could make handles that are believed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/checkpoint_label.h"
#include "proxy/records.h"
#include "rpc/base/result.h"

namespace rowan::proxy {

struct StreamHeader {
  ApplianceRecord appliance;   // with its image version as in the checkpoint
  CheckpointLabel checkpoint;
  std::uint64_t base = 0;      // guid of the checkpoint it begins from; 0: from nothing
  std::string base_name;       // for messages
  std::string source;          // of the image version, at the sender's
};

std::string encode_header(const StreamHeader& header);
// corrupt: not such a header; not_supported: of a later format.
Result<StreamHeader> decode_header(std::string_view text);

// The label of a running state that is being received: how far it is.
struct ReceiveMark {
  std::uint64_t guid = 0;    // of the checkpoint that is being received
  std::int64_t touched = 0;  // seconds since 1970: when something was received
  std::string reached;       // key of the last change that was made
};
std::string encode_mark(const ReceiveMark& mark);
std::optional<ReceiveMark> decode_mark(std::string_view label);
// A receive that nobody went on with for so long is given up.
inline constexpr std::int64_t receive_patience_seconds = 7 * 86'400;

// Bytes as hexadecimal digits, and back.
std::string hex_text(std::string_view bytes);
Result<std::string> parse_hex_text(std::string_view text);   // malformed

}  // namespace rowan::proxy
