#include "cache/change_parcels.h"

#include <utility>

namespace rowan::cache {
namespace {

// A window's edits are at most as many as its blocks, three times; the bounds of a batch
// (table.h) are met with room to spare.
constexpr std::size_t most_windows = 16, most_changes = 512;

struct Take {
  Transaction& into;
  void operator()(PutRecord& record) {
    into.take_record(std::move(record.key), std::move(record.value));
  }
  void operator()(EraseRecord& record) { into.take_record(std::move(record.key), std::nullopt); }
  void operator()(const PortableWindow& window) { into.take_window(window); }
};

}  // namespace

Result<bool> ChangeParcels::next(Transaction& into) {
  changes_.clear();
  for (std::size_t windows = 0; windows < most_windows && changes_.size() < most_changes;) {
    TRY(auto change, reader_.next());
    if (!change) break;
    windows += std::holds_alternative<PortableWindow>(*change) ? 1 : 0;
    changes_.push_back(std::move(*change));
  }
  for (PortableChange& change : changes_) std::visit(Take{into}, change);
  return !changes_.empty();
}

}  // namespace rowan::cache
