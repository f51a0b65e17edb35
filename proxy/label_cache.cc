#include "proxy/label_cache.h"

#include <utility>

#include "cache/digest.h"

namespace rowan::proxy {
namespace {

std::uint64_t key_of(cache::StateId state) { return static_cast<std::uint64_t>(state); }

}  // namespace

const CheckpointLabel* LabelCache::label_of(const cache::StateInfo& info) {
  const std::uint64_t digest = cache::checksum64(as_bytes(info.label));
  auto [found, fresh] = known_.try_emplace(key_of(info.id));
  Entry& entry = found->second;
  if (fresh || entry.digest != digest) {
    entry.digest = digest;
    entry.label.reset();
    if (Result<CheckpointLabel> label = decode_label(info.label)) entry.label = std::move(*label);
  }
  return entry.label ? &*entry.label : nullptr;
}

void LabelCache::keep(std::span<const cache::StateInfo> states) {
  if (known_.size() <= 2 * states.size()) return;
  std::unordered_map<std::uint64_t, Entry> kept;
  for (const cache::StateInfo& info : states) {
    if (auto node = known_.extract(key_of(info.id))) kept.insert(std::move(node));
  }
  known_ = std::move(kept);
}

}  // namespace rowan::proxy
