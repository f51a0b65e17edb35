// The duplicate request cache: a call that must not be done twice is done once, and whoever sends
// it again gets the first reply. Bounded by entries, bytes and age; time is passed in. A client
// that holds its share of the entries or more makes room by its own oldest: however much it asks,
// other clients' replies stay for their time. Belongs to one strand.
//
//   arrive() -> fresh:        do the call, then finish()
//               in_progress:  join(), wait for the signal, read reply(), leave()
//               done:         send reply() again
//               full:         do the call; it is not remembered
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "rpc/base/buffer.h"
#include "rpc/base/clock.h"
#include "rpc/base/loop.h"
#include "rpc/nfs3.h"
#include "rpc/service.h"

namespace rowan::rpc {

// The procedures whose repetition is not harmless: a second CREATE, REMOVE, RENAME fails, a second
// guarded SETATTR or EXCLUSIVE create may. WRITE is among them as in Linux' server: one sent again
// over a new connection may come after a later WRITE to the same bytes, which it would undo. COMMIT
// only syncs once more.
constexpr bool is_remembered(nfs3::Procedure procedure) {
  using enum nfs3::Procedure;
  switch (procedure) {
    case setattr:
    case write:
    case create:
    case mkdir:
    case symlink:
    case mknod:
    case remove:
    case rmdir:
    case rename: case link: return true;
    default: return false;
  }
}

// What makes two calls the same: the xid alone is not enough, clients reuse them. The port is left
// out, because relays and address translation change it when a client connects anew; so is the
// stamp in the credentials, which some clients renew for a retransmission.
struct CallKey {
  std::uint32_t xid = 0;
  std::uint32_t length = 0;    // of the arguments
  // Of procedure, credentials and arguments; of long arguments, their first and last 2 KiB (XXH3).
  std::uint64_t checksum = 0;
  std::array<std::byte, 16> ip{};
  friend bool operator==(const CallKey&, const CallKey&) = default;
};
static_assert(std::has_unique_object_representations_v<CallKey>);  // its bytes are hashed
CallKey call_key(const CallContext& context, nfs3::Procedure procedure, ByteView arguments);

struct ReplyCacheLimits {
  std::size_t entries = 16'384;
  std::size_t bytes = 8u << 20;                      // of replies
  Duration keep = std::chrono::seconds(120);  // longer than any client waits before it asks again
};

class ReplyCache {
 public:
  enum class State : std::uint8_t { fresh, in_progress, done, full };
  using Ticket = std::uint32_t;
  struct Arrival {
    State state = State::full;
    Ticket ticket = 0;
  };
  struct Counters {
    std::uint64_t repeated = 0;      // arrivals answered with a remembered reply
    std::uint64_t joined = 0;        // arrivals while the first was in progress
    std::uint64_t unremembered = 0;  // arrivals with every entry in progress
  };

  ReplyCache(Loop& loop, ReplyCacheLimits limits);
  ReplyCache(const ReplyCache&) = delete;

  Arrival arrive(const CallKey& key, MonotonicTime now);
  // Ends a fresh call and wakes who joined it. With `keep` false the reply goes to them only, and
  // the same call later is fresh: for NFS3ERR_JUKEBOX, which asks for exactly that.
  void finish(Ticket ticket, ByteView reply, bool keep, MonotonicTime now);
  // A joined entry stays until leave(), which must follow the wait.
  Signal& join(Ticket ticket);
  void leave(Ticket ticket);
  // Of an entry that is done. Borrowed until the next call of arrive(), finish() or leave().
  ByteView reply(Ticket ticket) const;

  std::size_t size() const { return used_; }
  std::size_t bytes() const { return bytes_; }
  const Counters& counters() const { return counters_; }

 private:
  static constexpr Ticket none = ~Ticket{0};
  struct Entry {
    CallKey key;
    Buffer reply;
    MonotonicTime done_at;
    std::unique_ptr<Signal> finished;  // made for the first who joins
    std::uint32_t joined = 0;
    Ticket next_in_bucket = none;  // or the next free entry
    Ticket older = none, newer = none;  // among those done
    Ticket clients_older = none, clients_newer = none;  // among those of the same client
    bool done = false;
    bool forgotten = false;  // out of its bucket, waits for leave()
  };

  struct Chain {  // of entries that are done and kept
    Ticket oldest = none, newest = none;
  };
  using Address = std::array<std::byte, 16>;
  struct Client {
    std::size_t entries = 0;  // those in progress included
    Chain done;
  };
  struct AddressHash {
    std::uint64_t secret;
    std::size_t operator()(const Address& address) const noexcept;
  };

  Ticket& bucket_of(const CallKey& key);
  Ticket find(const CallKey& key);
  void expire(MonotonicTime now);
  bool make_room_for(const Address& client);
  bool evict(Ticket ticket);
  void append_to(Chain& chain, Ticket Entry::*older, Ticket Entry::*newer, Ticket ticket);
  void take_from(Chain& chain, Ticket Entry::*older, Ticket Entry::*newer, Ticket ticket);
  void take_from_bucket(Ticket ticket);
  void release(Ticket ticket);

  Loop* loop_;
  ReplyCacheLimits limits_;
  std::uint64_t secret_;  // keeps peers from choosing calls that share a bucket
  std::vector<Ticket> buckets_;
  std::vector<Entry> entries_;
  Ticket free_ = none;
  Chain done_;
  std::unordered_map<Address, Client, AddressHash> clients_;  // that have an entry
  std::size_t used_ = 0;
  std::size_t bytes_ = 0;
  Counters counters_;
};

}  // namespace rowan::rpc
