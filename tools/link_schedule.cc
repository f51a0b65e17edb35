#include "tools/link_schedule.h"

#include <algorithm>

#include "rpc/base/check.h"

namespace rowan::link {

namespace {
constexpr std::uint64_t nanoseconds_per_second = 1'000'000'000;
}

// How much longer than others a segment takes.
Duration Wire::mishap() {
  Duration more{};
  if (roughness_.jitter > Duration{}) {
    std::uniform_int_distribution<Duration::rep> range(0, roughness_.jitter.count());
    more += Duration(range(luck_));
  }
  if (std::bernoulli_distribution(roughness_.loss)(luck_)) more += roughness_.retransmission;
  return more;
}

MonotonicTime Wire::send(MonotonicTime now, std::size_t bytes) {
  auto begin = std::max(now, idle_at_);
  if (bits_per_second_ == 0) {
    idle_at_ = begin;
    return begin + delay_ + mishap();
  }
  if (begin > idle_at_) remainder_ = 0;  // the wire was idle
  CHECK(bytes <= segment_bytes);         // keeps the product within 64 bits
  std::uint64_t product = bytes * 8 * nanoseconds_per_second + remainder_;
  remainder_ = product % bits_per_second_;
  idle_at_ = begin + Duration(static_cast<std::int64_t>(product / bits_per_second_));
  return idle_at_ + delay_ + mishap();
}

void Pipe::push(Wire& wire, MonotonicTime now, std::string_view bytes) {
  CHECK(bytes.size() <= room());
  queued_ += bytes.size();
  while (!bytes.empty()) {
    auto piece = bytes.substr(0, segment_bytes);
    last_due_ = std::max(last_due_, wire.send(now, piece.size()));
    segments_.push_back({last_due_, std::string(piece)});
    bytes.remove_prefix(piece.size());
  }
}

void Pipe::end(Wire& wire, MonotonicTime now) {
  ended_ = true;
  end_due_ = std::max(last_due_, wire.send(now, 0));
}

std::string_view Pipe::arrived(MonotonicTime now) const {
  if (segments_.empty() || segments_.front().due > now) return {};
  return std::string_view(segments_.front().bytes).substr(consumed_of_first_);
}

void Pipe::consume(std::size_t bytes) {
  CHECK(!segments_.empty());
  CHECK(consumed_of_first_ + bytes <= segments_.front().bytes.size());
  consumed_of_first_ += bytes;
  queued_ -= bytes;
  if (consumed_of_first_ == segments_.front().bytes.size()) {
    segments_.pop_front();
    consumed_of_first_ = 0;
  }
}

bool Pipe::end_arrived(MonotonicTime now) const {
  return ended_ && segments_.empty() && end_due_ <= now;
}

std::optional<MonotonicTime> Pipe::next_arrival() const {
  if (!segments_.empty()) return segments_.front().due;
  if (ended_) return end_due_;
  return std::nullopt;
}

}  // namespace rowan::link
