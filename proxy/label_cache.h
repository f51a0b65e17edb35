// What is written on the checkpoints of a pool, decoded once: an appliance may have a thousand, and
// each operation on one looks for it among all.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>

#include "cache/store_family.h"
#include "proxy/checkpoint_label.h"

namespace rowan::proxy {

class LabelCache {
 public:
  // Null: not a checkpoint's label. Until the next call.
  const CheckpointLabel* label_of(const cache::StateInfo& info);
  // Forgets states that are none of these, once they outnumber them.
  void keep(std::span<const cache::StateInfo> states);
  std::size_t size() const { return known_.size(); }

 private:
  struct Entry {
    std::uint64_t digest = 0;  // of the text: a label can be written anew
    std::optional<CheckpointLabel> label;
  };
  std::unordered_map<std::uint64_t, Entry> known_;  // by state
};

}  // namespace rowan::proxy
