// When bytes that enter a link leave it: the arithmetic of rowan-link, without sockets and clocks.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <string>

#include "rpc/base/clock.h"

namespace rowan::link {

// Sent bytes are cut into pieces of this size, each with its own time of arrival, so that a slow
// link trickles instead of delivering a large write at once.
inline constexpr std::size_t segment_bytes = 4096;

// What makes a link rough. TCP repairs it, so a connection sees it as time: everything behind a
// late or lost segment waits for it.
struct Roughness {
  Duration jitter{};          // each segment takes up to this much longer
  double loss = 0;            // share of segments that are lost, 0 to 1
  Duration retransmission{};  // how much later a lost one arrives
  std::uint64_t seed = 1;     // the same seed, the same luck
};

// One direction of a link. All connections share it: bytes are put on the wire one after the other
// at the link's rate, then travel for `delay`.
class Wire {
 public:
  // 0 bits per second: no limit.
  Wire(Duration delay, std::uint64_t bits_per_second, Roughness roughness = {})
      : delay_(delay),
        bits_per_second_(bits_per_second),
        roughness_(roughness),
        luck_(roughness.seed) {}

  // Bytes are ready to be sent at `now` (which never goes back): when the last of them arrives. On
  // a rough wire later bytes may arrive earlier.
  MonotonicTime send(MonotonicTime now, std::size_t bytes);

 private:
  Duration mishap();

  Duration delay_;
  std::uint64_t bits_per_second_;
  Roughness roughness_;
  std::mt19937_64 luck_;
  MonotonicTime idle_at_{};
  std::uint64_t remainder_ =
      0;  // bit-nanoseconds that division left over, so that no rate error adds up
};

// Bytes of one connection on their way in one direction, in order; bounded by the window.
class Pipe {
 public:
  explicit Pipe(std::size_t window_bytes) : window_(window_bytes) {}

  std::size_t room() const { return queued_ < window_ && !ended_ ? window_ - queued_ : 0; }
  void push(Wire& wire, MonotonicTime now, std::string_view bytes);  // at most room() bytes
  void end(Wire& wire, MonotonicTime now);                           // the sender closed

  // The bytes that have arrived by `now` and can be delivered in one go; empty when there are none.
  std::string_view arrived(MonotonicTime now) const;
  void consume(std::size_t bytes);  // delivered: the first of what arrived() gave
  // All bytes are delivered and the sender's end has arrived.
  bool end_arrived(MonotonicTime now) const;
  // When the next bytes, or the end, arrive; nothing when nothing is under way.
  std::optional<MonotonicTime> next_arrival() const;

 private:
  struct Segment {
    MonotonicTime due;
    std::string bytes;
  };
  std::size_t window_;
  std::size_t queued_ = 0;
  std::size_t consumed_of_first_ = 0;
  MonotonicTime last_due_{};
  std::deque<Segment> segments_;
  bool ended_ = false;
  MonotonicTime end_due_{};
};

}  // namespace rowan::link
