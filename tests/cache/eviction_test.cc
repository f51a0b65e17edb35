#include "cache/eviction.h"

#include <catch2/catch.hpp>
#include <random>
#include <unordered_map>
#include <unordered_set>

namespace rowan::cache {
namespace {

std::uint64_t mix(std::uint64_t value) {
  value *= 0x9e3779b97f4a7c15u;
  return value ^ value >> 29;
}

// A cache of numbers, as small as can be: what the policy is for.
class TraceCache {
 public:
  explicit TraceCache(std::size_t capacity) : capacity_(capacity), keys_(capacity) {}

  // True on a hit.
  bool use(std::uint64_t key) {
    if (auto found = slots_.find(key); found != slots_.end()) {
      policy_.touch(found->second);
      return true;
    }
    Eviction::Slot slot = static_cast<Eviction::Slot>(slots_.size());
    if (slots_.size() == capacity_) {
      slot = policy_.take_victim([this](Eviction::Slot s) { return pinned.contains(s); },
                                 [this](Eviction::Slot s) { return mix(keys_[s]); });
      if (slot == Eviction::no_slot) return false;
      slots_.erase(keys_[slot]);
    }
    keys_[slot] = key;
    slots_[key] = slot;
    policy_.insert(slot, mix(key));
    return false;
  }
  bool contains(std::uint64_t key) const { return slots_.contains(key); }
  Eviction::Slot slot_of(std::uint64_t key) const { return slots_.at(key); }
  Eviction& policy() { return policy_; }
  std::size_t size() const { return slots_.size(); }

  std::unordered_set<Eviction::Slot> pinned;

 private:
  std::size_t capacity_;
  std::vector<std::uint64_t> keys_;
  std::unordered_map<std::uint64_t, Eviction::Slot> slots_;
  Eviction policy_;
};

constexpr std::uint64_t scan_base = 1'000'000'000;

}  // namespace

TEST_CASE("a scan of ten times the cache does not evict the hot set") {
  TraceCache cache(1000);
  for (int round = 0; round < 20; ++round) {
    for (std::uint64_t key = 0; key < 700; ++key) cache.use(key);
  }
  for (std::uint64_t key = 0; key < 10'000; ++key) cache.use(scan_base + key);
  std::size_t kept = 0;
  for (std::uint64_t key = 0; key < 700; ++key) kept += cache.contains(key) ? 1 : 0;
  REQUIRE(kept >= 690);
}

TEST_CASE("a scan that reads every unit in four steps is still a scan") {
  TraceCache cache(1000);
  for (int round = 0; round < 20; ++round) {
    for (std::uint64_t key = 0; key < 700; ++key) cache.use(key);
  }
  for (std::uint64_t key = 0; key < 10'000; ++key) {
    for (int step = 0; step < 4; ++step) cache.use(scan_base + key);
  }
  std::size_t kept = 0;
  for (std::uint64_t key = 0; key < 700; ++key) kept += cache.contains(key) ? 1 : 0;
  REQUIRE(kept >= 690);
}

TEST_CASE("the hot set moves when the work moves") {
  TraceCache cache(1000);
  for (int round = 0; round < 20; ++round) {
    for (std::uint64_t key = 0; key < 800; ++key) cache.use(key);
  }
  std::size_t hits = 0;
  for (int round = 0; round < 20; ++round) {
    hits = 0;
    for (std::uint64_t key = 0; key < 800; ++key) hits += cache.use(5000 + key) ? 1 : 0;
  }
  REQUIRE(hits >= 790);
}

TEST_CASE("skewed use with scans mixed in hits more often than first in, first out") {
  std::mt19937_64 random(20240607);
  TraceCache cache(1000);
  std::unordered_set<std::uint64_t> fifo_set;
  std::vector<std::uint64_t> fifo(1000, ~0ull);
  std::size_t fifo_next = 0, hits = 0, fifo_hits = 0;
  std::uint64_t scan = scan_base;
  for (int i = 0; i < 200'000; ++i) {
    double u = std::uniform_real_distribution<>(0, 1)(random);
    std::uint64_t key = i % 3 == 0 ? scan++ : static_cast<std::uint64_t>(20'000 * u * u * u * u);
    hits += cache.use(key) ? 1 : 0;
    if (fifo_set.contains(key)) {
      ++fifo_hits;
    } else {
      fifo_set.erase(fifo[fifo_next]);
      fifo[fifo_next] = key;
      fifo_set.insert(key);
      fifo_next = (fifo_next + 1) % fifo.size();
    }
  }
  INFO("hits " << hits << ", first in first out " << fifo_hits);
  REQUIRE(hits > fifo_hits * 115 / 100);
}

TEST_CASE("a pinned slot never leaves, and when all are pinned none does") {
  TraceCache cache(100);
  for (std::uint64_t key = 0; key < 100; ++key) cache.use(key);
  for (std::uint64_t key = 0; key < 50; ++key) cache.pinned.insert(cache.slot_of(key));
  for (std::uint64_t key = 0; key < 5000; ++key) cache.use(scan_base + key);
  for (std::uint64_t key = 0; key < 50; ++key) REQUIRE(cache.contains(key));
  for (Eviction::Slot slot = 0; slot < 100; ++slot) cache.pinned.insert(slot);
  REQUIRE_FALSE(cache.use(scan_base + 9000));
  REQUIRE_FALSE(cache.contains(scan_base + 9000));
  REQUIRE(cache.policy().size() == 100);
  cache.pinned.clear();
  cache.use(scan_base + 9000);
  REQUIRE(cache.contains(scan_base + 9000));
}

TEST_CASE("one eviction does bounded work although everything is in use") {
  Eviction policy;
  constexpr Eviction::Slot count = 100'000;
  for (Eviction::Slot slot = 0; slot < count; ++slot) policy.insert_main(slot);
  for (int round = 0; round < 3; ++round) {
    for (Eviction::Slot slot = 0; slot < count; ++slot) policy.touch(slot);
  }
  std::size_t looked_at = 0;
  auto pinned = [&looked_at](Eviction::Slot) { ++looked_at; return false; };
  auto hash = [](Eviction::Slot slot) { return mix(slot); };
  REQUIRE(policy.take_victim(pinned, hash) != Eviction::no_slot);
  REQUIRE(looked_at <= 300);
}

TEST_CASE("slots that are erased, inserted and evicted at random stay counted") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    Eviction policy;
    std::unordered_set<Eviction::Slot> present;
    for (int step = 0; step < 5000; ++step) {
      auto slot = static_cast<Eviction::Slot>(random() % 200);
      switch (random() % 4) {
        case 0:
          if (present.insert(slot).second) policy.insert(slot, random());
          break;
        case 1:
          policy.erase(slot);
          present.erase(slot);
          break;
        case 2:
          if (present.contains(slot)) policy.touch(slot);
          break;
        default: {
          auto victim = policy.take_victim([](Eviction::Slot) { return false; }, mix);
          REQUIRE((victim == Eviction::no_slot) == present.empty());
          if (victim != Eviction::no_slot) REQUIRE(present.erase(victim) == 1);
        }
      }
      REQUIRE(policy.size() == present.size());
      REQUIRE(policy.contains(slot) == present.contains(slot));
    }
  }
}

}  // namespace rowan::cache
