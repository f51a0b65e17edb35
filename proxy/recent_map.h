// A map that keeps what was used lately, at most `limit` entries: two generations, and the older
// one is forgotten whole when the younger is half the limit. Cheaper than a list of uses, and as
// good for caches that are much larger than what one request touches.
//
// A pointer to a value is good until `limit / 2` other keys have been found or put, or the key is
// erased.
#pragma once

#include <cstddef>
#include <unordered_map>
#include <utility>

namespace rowan::proxy {

template <class Key, class Value, class Hash = std::hash<Key>, class Equal = std::equal_to<>>
class RecentMap {
 public:
  explicit RecentMap(std::size_t limit) : half_(limit / 2) {}

  // Null if it is not (or no longer) known. `key` is anything that Hash and Equal take.
  template <class Probe>
  Value* find(const Probe& key) {
    auto young = young_.find(key);
    if (young != young_.end()) return &young->second;
    auto old = old_.find(key);
    if (old == old_.end()) return nullptr;
    return &adopt(old_.extract(old));
  }

  Value& put(Key key, Value value) {
    old_.erase(key);
    auto [at, inserted] = young_.insert_or_assign(std::move(key), std::move(value));
    Value* result = &at->second;  // a rotation moves the nodes, not the values
    rotate_if_full();
    return *result;
  }

  template <class Probe>
  void erase(const Probe& key) {
    for (Map* map : {&young_, &old_}) {
      auto at = map->find(key);
      if (at != map->end()) map->erase(at);
    }
  }

  std::size_t size() const { return young_.size() + old_.size(); }

 private:
  using Map = std::unordered_map<Key, Value, Hash, Equal>;

  Value& adopt(typename Map::node_type node) {
    Value* result = &young_.insert(std::move(node)).position->second;
    rotate_if_full();
    return *result;
  }

  void rotate_if_full() {
    if (young_.size() < half_) return;
    old_ = std::move(young_);
    young_ = Map();
  }

  std::size_t half_;
  Map young_, old_;
};

}  // namespace rowan::proxy
