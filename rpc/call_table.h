// The client's side of a connection without a socket: which calls are outstanding, which reply
// belongs to which, which have waited too long. Time is passed in. Belongs to one strand.
//
// `Call` is what the caller wants back with the reply: a pointer to its waiter, say. It is moved in
// by add() and moved out exactly once: by take(), expire() or take_all().
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rpc/base/clock.h"
#include "rpc/base/result.h"

namespace rowan::rpc {

template <class Call>
class CallTable {
 public:
  struct Counters {
    std::uint64_t matched = 0;
    std::uint64_t unmatched = 0;  // late, repeated or invented replies: dropped
    std::uint64_t expired = 0;
  };

  // Xids count up from `first_xid`: a random one, so that calls after a restart do not meet the
  // answers that a server remembers for the calls before it. At most `limit` calls are outstanding.
  CallTable(std::uint32_t first_xid, std::size_t limit) : next_xid_(first_xid), limit_(limit) {}

  // The new call's xid, or Errc::limit with the table full.
  Result<std::uint32_t> add(Call call, MonotonicTime deadline) {
    if (calls_.size() >= limit_) return Error(Errc::limit, "too many calls are outstanding");
    while (calls_.contains(next_xid_)) ++next_xid_;  // ends: fewer calls than xids
    std::uint32_t xid = next_xid_++;
    calls_.emplace(xid, Entry{std::move(call), deadline});
    deadlines_.push({deadline, xid});
    return xid;
  }

  // The call that a reply with `xid` answers. Nothing: no such call is outstanding; drop the reply.
  std::optional<Call> take(std::uint32_t xid) {
    auto found = calls_.find(xid);
    if (found == calls_.end()) {
      ++counters_.unmatched;
      return std::nullopt;
    }
    ++counters_.matched;
    std::optional<Call> call(std::move(found->second.call));
    calls_.erase(found);
    trim();
    return call;
  }

  // The calls whose deadline is not after `now`, earliest first.
  std::vector<Call> expire(MonotonicTime now) {
    std::vector<Call> due;
    for (trim(); !deadlines_.empty() && deadlines_.top().when <= now; trim()) {
      auto found = calls_.find(deadlines_.top().xid);
      due.push_back(std::move(found->second.call));
      calls_.erase(found);
      ++counters_.expired;
    }
    return due;
  }

  // When expire() has work next.
  std::optional<MonotonicTime> next_deadline() const {
    if (deadlines_.empty()) return std::nullopt;
    return deadlines_.top().when;
  }

  // All outstanding calls in the order of their xids' allocation, for a connection that is gone.
  std::vector<Call> take_all() {
    std::vector<std::uint32_t> xids;
    for (const auto& [xid, entry] : calls_) xids.push_back(xid);
    // By age: the distance to the next xid survives the wrap.
    std::sort(xids.begin(), xids.end(), [this](std::uint32_t a, std::uint32_t b) {
      return next_xid_ - a > next_xid_ - b;
    });
    std::vector<Call> all;
    for (std::uint32_t xid : xids) all.push_back(std::move(calls_.find(xid)->second.call));
    calls_.clear();
    deadlines_ = {};
    return all;
  }

  std::size_t size() const { return calls_.size(); }
  bool full() const { return calls_.size() >= limit_; }
  const Counters& counters() const { return counters_; }

 private:
  struct Entry {
    Call call;
    MonotonicTime deadline;
  };
  struct Deadline {
    MonotonicTime when;
    std::uint32_t xid;
    friend bool operator<(const Deadline& a, const Deadline& b) { return a.when > b.when; }
  };

  bool is_live(const Deadline& deadline) const {
    auto found = calls_.find(deadline.xid);
    return found != calls_.end() && found->second.deadline == deadline.when;
  }

  // Drops the deadlines of answered calls: from the front always, all of them once they are the
  // most.
  void trim() {
    while (!deadlines_.empty() && !is_live(deadlines_.top())) deadlines_.pop();
    if (deadlines_.size() <= 2 * calls_.size() + 64) return;
    std::vector<Deadline> live;
    for (const auto& [xid, entry] : calls_) live.push_back({entry.deadline, xid});
    deadlines_ = std::priority_queue<Deadline>(std::less<Deadline>(), std::move(live));
  }

  std::uint32_t next_xid_;
  std::size_t limit_;
  std::unordered_map<std::uint32_t, Entry> calls_;
  std::priority_queue<Deadline>
      deadlines_;  // the earliest on top; may hold answered calls further down
  Counters counters_;
};

}  // namespace rowan::rpc
