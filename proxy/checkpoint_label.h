// What is written on a state of a redirect store: whose it is and, of a checkpoint, what the
// operator knows it by. Opaque to the store, which keeps it with the state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cache/ids.h"
#include "rpc/base/result.h"

namespace rowan::proxy {

// Escaped in JSON a byte takes up to six, and a label has its limit.
inline constexpr std::size_t max_message_bytes = 512;

// Why a checkpoint was made; a schedule thins only its own.
enum class CheckpointReason : std::uint8_t {
  asked,     // rowan checkpoint
  schedule,  // --every
  rollback,  // what a roll-back left behind
  send,      // what a stream of the running state ends with; the next increment begins there
};

struct CheckpointLabel {
  cache::ApplianceId appliance{};  // whose state it was
  std::string name;                // unique among that appliance's
  std::string message;             // one line or several, UTF-8 or not; at most max_message_bytes
  std::int64_t created = 0;        // seconds since 1970, UTC
  std::string image, version;      // what it was above
  CheckpointReason reason = CheckpointReason::asked;
  std::uint64_t guid = 0;          // random: the same checkpoint on another host has the same
  friend bool operator==(const CheckpointLabel&, const CheckpointLabel&) = default;
};

// At most cache::max_label_bytes for fields within their limits.
std::string encode_label(const CheckpointLabel& label);
// corrupt: not such a label.
Result<CheckpointLabel> decode_label(std::string_view text);

std::string_view to_string(CheckpointReason reason);

// "20261121-150405", UTC: the name of a checkpoint that was not given one.
std::string name_from_time(std::int64_t seconds);

// "vm1" or "vm1@before-upgrade"; an empty checkpoint is the running state. usage: not that.
struct StateName {
  std::string appliance, checkpoint;
};
Result<StateName> parse_state_name(std::string_view text);

}  // namespace rowan::proxy
