#include "cache/eviction.h"

#include <algorithm>
#include <bit>

#include "rpc/base/check.h"

namespace rowan::cache {
namespace {

constexpr std::uint32_t max_uses = 3;
// A unit of the small queue with at least so many uses moves to the main queue when its turn comes.
// The read for which it was fetched is none (`recent_`); one use may be the tail of that same read.
constexpr std::uint32_t uses_to_stay = 2;
constexpr std::size_t small_share = 10;      // the small queue is to hold 1/10 of the units
// Second chances given before someone must leave: bounds the work of one eviction when all are in
// use.
constexpr std::size_t max_second_chances = 256;
constexpr std::size_t ghost_bucket = 4;
constexpr std::uint64_t ghost_ages = 256;

}  // namespace

void Eviction::push(Queue queue, Slot slot, std::uint32_t uses) {
  List& to = list(queue);
  Node& node = nodes_[slot];
  node = Node();
  node.set_newer(no_slot);
  node.set_older(to.newest);
  node.set_queue(queue);
  node.set_uses(uses);
  if (to.newest != no_slot) nodes_[to.newest].set_newer(slot);
  to.newest = slot;
  if (to.oldest == no_slot) to.oldest = slot;
  ++to.count;
}

void Eviction::unlink(Slot slot) {
  Node& node = nodes_[slot];
  List& from = list(node.queue());
  Slot newer = node.newer();
  Slot older = node.older();
  if (newer == no_slot) from.newest = older;
  else nodes_[newer].set_older(older);
  if (older == no_slot) from.oldest = newer;
  else nodes_[older].set_newer(newer);
  --from.count;
  node = Node();
}

void Eviction::insert(Slot slot, std::uint64_t hash) {
  CHECK_LT(slot, max_slots);
  nodes_.grow(slot + 1);
  CHECK(!contains(slot));
  push(take_remembered(hash) ? Queue::main : Queue::small, slot, 0);
  recent_[slot % recent_.size()] = slot;
}

void Eviction::insert_main(Slot slot) {
  CHECK_LT(slot, max_slots);
  nodes_.grow(slot + 1);
  CHECK(!contains(slot));
  push(Queue::main, slot, 0);
}

void Eviction::touch(Slot slot) {
  Slot& recent = recent_[slot % recent_.size()];
  if (recent == slot) return;
  recent = slot;
  Node& node = nodes_[slot];
  if (node.uses() < max_uses) node.set_uses(node.uses() + 1);
}

void Eviction::erase(Slot slot) {
  if (contains(slot)) unlink(slot);
}

bool Eviction::small_is_due() const {
  const List& small = queues_[0];
  return small.count > 0 && (queues_[1].count == 0 || small.count * small_share >= size());
}

Eviction::Slot Eviction::take_victim(const std::function<bool(Slot)>& pinned,
                                     const std::function<std::uint64_t(Slot)>& hash_of) {
  std::size_t chances = 0;
  // Every turn moves one slot; pinned ones come back once at most, as nothing is evicted in
  // between.
  for (std::size_t turns = size() + max_second_chances; turns > 0 && size() > 0; --turns) {
    Queue queue = small_is_due() ? Queue::small : Queue::main;
    Slot slot = list(queue).oldest;
    std::uint32_t uses = nodes_[slot].uses();
    unlink(slot);
    if (pinned(slot)) {
      push(queue, slot, uses);
      // A small queue of pinned slots only must not hide the main one.
      if (queue == Queue::small && queues_[1].count > 0 && chances++ < max_second_chances) {
        unlink(slot);
        push(Queue::main, slot, uses);
      }
      continue;
    }
    bool stays = queue == Queue::small ? uses >= uses_to_stay : uses > 0;
    if (stays && chances < max_second_chances) {
      ++chances;
      push(Queue::main, slot, queue == Queue::small ? 0 : uses - 1);
      continue;
    }
    remember(hash_of(slot));
    return slot;
  }
  return no_slot;
}

void Eviction::remember(std::uint64_t hash) {
  std::size_t wanted = std::bit_ceil(std::max<std::size_t>(size(), 64));
  if (ghost_.size() < wanted) {
    ghost_.assign(wanted, 0);
    remembered_ = 0;
  }
  ++remembered_;
  std::uint64_t step = std::max<std::uint64_t>(1, ghost_.size() / ghost_ages);
  auto age = static_cast<std::uint16_t>(remembered_ / step);
  std::size_t bucket = (hash >> 16) % (ghost_.size() / ghost_bucket) * ghost_bucket;
  auto fingerprint = static_cast<std::uint16_t>(hash | 1);  // never zero: zero is an empty entry
  std::uint32_t* oldest = &ghost_[bucket];
  for (std::size_t i = 1; i < ghost_bucket; ++i) {
    std::uint32_t* entry = &ghost_[bucket + i];
    auto entry_age = static_cast<std::uint16_t>(age - static_cast<std::uint16_t>(*entry >> 16));
    auto worst_age = static_cast<std::uint16_t>(age - static_cast<std::uint16_t>(*oldest >> 16));
    bool empty = *entry == 0;
    if (*oldest != 0 && (empty || entry_age > worst_age)) oldest = entry;
  }
  *oldest = static_cast<std::uint32_t>(age) << 16 | fingerprint;
}

bool Eviction::take_remembered(std::uint64_t hash) {
  if (ghost_.empty()) return false;
  std::uint64_t step = std::max<std::uint64_t>(1, ghost_.size() / ghost_ages);
  auto age = static_cast<std::uint16_t>(remembered_ / step);
  std::size_t bucket = (hash >> 16) % (ghost_.size() / ghost_bucket) * ghost_bucket;
  auto fingerprint = static_cast<std::uint16_t>(hash | 1);
  for (std::size_t i = 0; i < ghost_bucket; ++i) {
    std::uint32_t& entry = ghost_[bucket + i];
    if (entry == 0 || static_cast<std::uint16_t>(entry) != fingerprint) continue;
    auto entry_age = static_cast<std::uint16_t>(age - static_cast<std::uint16_t>(entry >> 16));
    entry = 0;
    return entry_age <= ghost_ages;
  }
  return false;
}

std::size_t Eviction::memory_bytes() const {
  return nodes_.memory_bytes() + ghost_.capacity() * sizeof(ghost_[0]);
}

}  // namespace rowan::cache
