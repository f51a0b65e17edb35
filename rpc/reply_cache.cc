#include "rpc/reply_cache.h"

#include <bit>
#include <random>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "rpc/base/check.h"

// Entries live in one vector and are chained: by hash of their key, and, once done, from oldest to
// newest, all and those of each client. So remembering a call of a client that is known costs no
// allocation but the pooled buffer of its reply.

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

std::size_t ReplyCache::AddressHash::operator()(const Address& address) const noexcept {
  return XXH3_64bits_withSeed(address.data(), address.size(), secret);
}

ReplyCache::ReplyCache(Loop& loop, ReplyCacheLimits limits)
    : loop_(&loop),
      limits_(limits),
      secret_(std::random_device()()),
      buckets_(std::bit_ceil(limits.entries + 1), none),
      clients_(0, AddressHash{secret_}) {
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
  if (used_ >= limits_.entries && !make_room_for(key.ip)) {
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
  ++clients_[key.ip].entries;
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
  const Address client = entry.key.ip;
  if (keep) {
    append_to(done_, &Entry::older, &Entry::newer, ticket);
    append_to(clients_[client].done, &Entry::clients_older, &Entry::clients_newer, ticket);
  }
  while (bytes_ > limits_.bytes && make_room_for(client)) {}
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
  while (done_.oldest != none && now - entries_[done_.oldest].done_at >= limits_.keep) {
    if (!evict(done_.oldest)) return;
  }
}

bool ReplyCache::make_room_for(const Address& client) {
  const auto known = clients_.find(client);
  const bool has_its_share =
      known != clients_.end() && known->second.entries * clients_.size() >= used_;
  if (has_its_share && evict(known->second.done.oldest)) return true;
  return evict(done_.oldest);
}

// False if there is none, or those who joined it have not read its reply yet (they do within one
// turn of the loop, so an entry in their hands delays eviction by no more than that).
bool ReplyCache::evict(Ticket ticket) {
  if (ticket == none || entries_[ticket].joined != 0) return false;
  take_from(done_, &Entry::older, &Entry::newer, ticket);
  Chain& of_client = clients_[entries_[ticket].key.ip].done;
  take_from(of_client, &Entry::clients_older, &Entry::clients_newer, ticket);
  take_from_bucket(ticket);
  release(ticket);
  return true;
}

void ReplyCache::append_to(Chain& chain, Ticket Entry::*older, Ticket Entry::*newer,
                           Ticket ticket) {
  entries_[ticket].*older = std::exchange(chain.newest, ticket);
  const Ticket before = entries_[ticket].*older;
  (before == none ? chain.oldest : entries_[before].*newer) = ticket;
}

void ReplyCache::take_from(Chain& chain, Ticket Entry::*older, Ticket Entry::*newer,
                           Ticket ticket) {
  const Ticket before = entries_[ticket].*older, after = entries_[ticket].*newer;
  (before == none ? chain.oldest : entries_[before].*newer) = after;
  (after == none ? chain.newest : entries_[after].*older) = before;
}

void ReplyCache::take_from_bucket(Ticket ticket) {
  Ticket* at = &bucket_of(entries_[ticket].key);
  while (*at != ticket) at = &entries_[*at].next_in_bucket;
  *at = entries_[ticket].next_in_bucket;
}

void ReplyCache::release(Ticket ticket) {
  Entry& entry = entries_[ticket];
  bytes_ -= entry.reply.capacity();
  const auto client = clients_.find(entry.key.ip);
  if (--client->second.entries == 0) clients_.erase(client);
  entry = Entry();
  entry.next_in_bucket = std::exchange(free_, ticket);
  --used_;
}

}  // namespace rowan::rpc
