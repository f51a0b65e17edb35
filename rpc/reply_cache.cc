#include "rpc/reply_cache.h"

#include <bit>
#include <random>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "rpc/base/check.h"

// Entries live in one vector and are chained twice: by hash of their key, and, once done, from
// oldest to newest. So remembering a call costs no allocation but the pooled buffer of its reply.

namespace rowan::rpc {
namespace {

// Longer arguments (the data of a WRITE) count by both ends: with the same xid, length, file and
// offset those tell two calls apart, and a megabyte is not read once more.
constexpr std::size_t sampled_end = 2048;

std::uint64_t hash_of(ByteView arguments) {
  if (arguments.size() <= 2 * sampled_end) {
    return XXH3_64bits(arguments.data(), arguments.size());
  }
  ByteView last = arguments.last(sampled_end);
  std::uint64_t of_first = XXH3_64bits(arguments.data(), sampled_end);
  return XXH3_64bits_withSeed(last.data(), last.size(), of_first);
}

}  // namespace

CallKey call_key(const CallContext& context, nfs3::Procedure procedure, ByteView arguments) {
  const Credentials& who = context.credentials;
  std::array<std::uint32_t, 6 + max_groups> words{};
  std::uint64_t of_arguments = hash_of(arguments);
  std::size_t count = 0;
  words[count++] = static_cast<std::uint32_t>(of_arguments);
  words[count++] = static_cast<std::uint32_t>(of_arguments >> 32);
  words[count++] = static_cast<std::uint32_t>(procedure);
  words[count++] = who.uid;
  words[count++] = who.gid;
  words[count++] = who.authenticated ? 1 : 0;
  for (std::uint32_t group : who.groups) words[count++] = group;

  CallKey key;
  key.xid = context.xid;
  key.length = static_cast<std::uint32_t>(arguments.size());
  key.checksum = XXH3_64bits(words.data(), count * sizeof words[0]);
  key.ip = context.peer.ip;
  return key;
}

ReplyCache::ReplyCache(Loop& loop, ReplyCacheLimits limits)
    : loop_(&loop),
      limits_(limits),
      secret_(std::random_device()()),
      buckets_(std::bit_ceil(limits.entries + 1), none) {
  CHECK_LT(limits.entries, std::size_t{none});
}

ReplyCache::Arrival ReplyCache::arrive(const CallKey& key, MonotonicTime now) {
  expire(now);
  Ticket known = find(key);
  if (known != none) {
    bool done = entries_[known].done;
    ++(done ? counters_.repeated : counters_.joined);
    return {done ? State::done : State::in_progress, known};
  }
  if (used_ >= limits_.entries && !evict_oldest()) {
    ++counters_.unremembered;
    return {};
  }
  Ticket ticket = free_;
  if (ticket == none) {
    ticket = static_cast<Ticket>(entries_.size());
    entries_.emplace_back();
  } else {
    free_ = entries_[ticket].next_in_bucket;
  }
  ++used_;
  Ticket& bucket = bucket_of(key);
  entries_[ticket].key = key;
  entries_[ticket].next_in_bucket = std::exchange(bucket, ticket);
  return {State::fresh, ticket};
}

void ReplyCache::finish(Ticket ticket, ByteView reply, bool keep, MonotonicTime now) {
  Entry& entry = entries_[ticket];
  CHECK(!entry.done);
  entry.done = true;
  entry.done_at = now;
  if (entry.finished) entry.finished->set();
  if (!keep) {
    take_from_bucket(ticket);
    entry.forgotten = true;
    if (entry.joined == 0) return release(ticket);
  }
  entry.reply = Buffer::copy_of(reply);
  bytes_ += entry.reply.capacity();
  if (keep) {
    entry.older = std::exchange(newest_, ticket);
    (entry.older == none ? oldest_ : entries_[entry.older].newer) = ticket;
  }
  while (bytes_ > limits_.bytes && evict_oldest()) {}
}

Signal& ReplyCache::join(Ticket ticket) {
  Entry& entry = entries_[ticket];
  CHECK(!entry.done);
  if (!entry.finished) entry.finished = std::make_unique<Signal>(*loop_);
  ++entry.joined;
  return *entry.finished;
}

void ReplyCache::leave(Ticket ticket) {
  Entry& entry = entries_[ticket];
  CHECK(entry.done && entry.joined > 0);
  if (--entry.joined > 0) return;
  entry.finished.reset();
  if (entry.forgotten) release(ticket);
}

ByteView ReplyCache::reply(Ticket ticket) const {
  CHECK(entries_[ticket].done);
  return entries_[ticket].reply.view();
}

ReplyCache::Ticket& ReplyCache::bucket_of(const CallKey& key) {
  return buckets_[XXH3_64bits_withSeed(&key, sizeof key, secret_) & (buckets_.size() - 1)];
}

ReplyCache::Ticket ReplyCache::find(const CallKey& key) {
  Ticket at = bucket_of(key);
  while (at != none && !(entries_[at].key == key)) at = entries_[at].next_in_bucket;
  return at;
}

void ReplyCache::expire(MonotonicTime now) {
  while (oldest_ != none && now - entries_[oldest_].done_at >= limits_.keep) {
    if (!evict_oldest()) return;
  }
}

// False if there is none, or those who joined it have not read its reply yet (they do within one
// turn of the loop, so an entry in their hands delays eviction by no more than that).
bool ReplyCache::evict_oldest() {
  Ticket ticket = oldest_;
  if (ticket == none || entries_[ticket].joined != 0) return false;
  take_from_done(ticket);
  take_from_bucket(ticket);
  release(ticket);
  return true;
}

void ReplyCache::take_from_bucket(Ticket ticket) {
  Ticket* at = &bucket_of(entries_[ticket].key);
  while (*at != ticket) at = &entries_[*at].next_in_bucket;
  *at = entries_[ticket].next_in_bucket;
}

void ReplyCache::take_from_done(Ticket ticket) {
  Entry& entry = entries_[ticket];
  (entry.older == none ? oldest_ : entries_[entry.older].newer) = entry.newer;
  (entry.newer == none ? newest_ : entries_[entry.newer].older) = entry.older;
}

void ReplyCache::release(Ticket ticket) {
  Entry& entry = entries_[ticket];
  bytes_ -= entry.reply.capacity();
  entry = Entry();
  entry.next_in_bucket = std::exchange(free_, ticket);
  --used_;
}

}  // namespace rowan::rpc
