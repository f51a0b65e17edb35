// Which unit leaves the block cache when room is needed: S3-FIFO (Yang et al., "FIFO queues are all
// you need for cache eviction", SOSP 2023). Pure: slots in, slots out; no time, no disk.
//
// New units enter a small queue (a tenth of all); those that are read again before they reach its
// end move to the main queue, the others leave at once and only a fingerprint of them is remembered
// (the ghost). A unit that returns while it is remembered enters the main queue directly. So one
// pass over ten times the cache passes through the small queue and leaves the main one alone.
//
// Reads of the same unit that follow each other closely are one use: a scan in 4 KiB steps touches
// each unit four times, and that says nothing about whether it is needed again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "cache/chunked.h"

namespace rowan::cache {

class Eviction {
 public:
  using Slot = std::uint32_t;                           // below max_slots
  static constexpr Slot max_slots = (1u << 30) - 1;
  static constexpr Slot no_slot = max_slots;

  // `hash` identifies what the slot holds now, for the memory of what has left.
  void insert(Slot slot, std::uint64_t hash);
  // Enters the main queue: for what was there before a restart, whose history is lost.
  void insert_main(Slot slot);
  void touch(Slot slot);
  // Left for another reason than room: not remembered.
  void erase(Slot slot);
  // Takes the slot that is to leave out of its queue and remembers hash_of(slot). Slots for which
  // pinned() is true are passed over. no_slot if none may leave.
  Slot take_victim(const std::function<bool(Slot)>& pinned,
                   const std::function<std::uint64_t(Slot)>& hash_of);

  bool contains(Slot slot) const {
    return slot < nodes_.size() && nodes_[slot].queue() != Queue::none;
  }
  std::size_t size() const { return queues_[0].count + queues_[1].count; }
  std::size_t memory_bytes() const;

 private:
  enum class Queue : std::uint8_t { none = 0, small = 1, main = 2 };
  // Neighbours in the queue, with the use count and the queue's name in their top bits.
  struct Node {
    std::uint32_t newer_and_uses = 0;
    std::uint32_t older_and_queue = 0;

    Slot newer() const { return newer_and_uses & max_slots; }
    Slot older() const { return older_and_queue & max_slots; }
    std::uint32_t uses() const { return newer_and_uses >> 30; }
    Queue queue() const { return static_cast<Queue>(older_and_queue >> 30); }
    void set_newer(Slot slot) { newer_and_uses = (newer_and_uses & ~max_slots) | slot; }
    void set_older(Slot slot) { older_and_queue = (older_and_queue & ~max_slots) | slot; }
    void set_uses(std::uint32_t uses) { newer_and_uses = newer() | uses << 30; }
    void set_queue(Queue queue) {
      older_and_queue = older() | static_cast<std::uint32_t>(queue) << 30;
    }
  };
  struct List {
    Slot newest = no_slot, oldest = no_slot;
    std::size_t count = 0;
  };

  List& list(Queue queue) { return queues_[static_cast<std::size_t>(queue) - 1]; }
  void push(Queue queue, Slot slot, std::uint32_t uses);
  void unlink(Slot slot);
  bool small_is_due() const;
  void remember(std::uint64_t hash);
  bool take_remembered(std::uint64_t hash);

  Chunked<Node> nodes_;
  std::array<List, 2> queues_;
  // The ghost: buckets of four entries, each a fingerprint (16 bits) and the age at which it came
  // (16 bits, counted in 1/256ths of the ghost's size). As large as there are units; forgotten when
  // it grows, which happens only while the cache fills and nothing leaves it.
  std::vector<std::uint32_t> ghost_;
  std::uint64_t remembered_ = 0;
  // slots touched lately, by slot number modulo its size
  std::array<Slot, 64> recent_ = make_recent();

  static constexpr std::array<Slot, 64> make_recent() {
    std::array<Slot, 64> slots{};
    slots.fill(no_slot);
    return slots;
  }
};

}  // namespace rowan::cache
