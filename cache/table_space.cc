// Room on the disk: what may be admitted, and when stopped work is tried again; and the table's
// small caches.
#include <algorithm>
#include <utility>

#include "cache/table_impl.h"

namespace rowan::cache {
namespace {

constexpr std::size_t max_open_segments = 192;
constexpr std::size_t max_loaded_runs = 32;
constexpr std::uint64_t smallest_margin = 64u << 10;

}  // namespace

SpaceWatch::SpaceWatch(Directory& directory, std::uint64_t reserve_bytes, bool reserve_present)
    : directory_(&directory),
      reserve_bytes_(reserve_bytes),
      margin_(std::max(reserve_bytes / 8, smallest_margin)),
      reserve_(reserve_present || reserve_bytes == 0 ? Reserve::present : Reserve::untouched) {}

std::uint64_t SpaceWatch::free_bytes() {
  auto space = directory_->space();
  // If the system does not say, the write will.
  return space ? space->free_bytes : ~std::uint64_t{0} / 2;
}

Result<void> SpaceWatch::admit(std::uint64_t bytes, bool urgent, bool small) {
  const bool first = reserve_ == Reserve::untouched && !small;
  const std::uint64_t new_reserve = first ? reserve_bytes_ : 0;
  if (credit_ < bytes + 2 * margin_ + new_reserve) credit_ = free_bytes();
  pressure_ = credit_ < bytes + 2 * margin_;
  if (credit_ >= bytes + margin_ + new_reserve) {
    if (first) reserve_ = Reserve::due;
    took(new_reserve);
    return {};
  }
  if (urgent && credit_ + reserved_bytes() >= bytes) return {};
  const std::uint64_t needed = bytes + margin_ + new_reserve;
  return Error(Errc::no_space, directory_->path() + ": " + std::to_string(credit_) +
                                   " bytes are free on its disk and " + std::to_string(needed) +
                                   " are needed; free " + std::to_string(needed - credit_) +
                                   " or more");
}

void SpaceWatch::took(std::uint64_t bytes) { credit_ -= std::min(credit_, bytes); }

void SpaceWatch::reserve_used() {
  reserve_ = Reserve::missing;
  reserve_failed_at_ = 0;
  pressure_ = true;
  credit_ = 0;
}

void SpaceWatch::reserve_made(bool success) {
  // A write in need may have removed it meanwhile.
  reserve_ = success && reserve_ == Reserve::making ? Reserve::present : Reserve::missing;
  credit_ = 0;
  if (!success) reserve_failed_at_ = free_bytes();
}

bool SpaceWatch::reserve_wanted() {
  if (reserve_ != Reserve::missing) return false;
  const std::uint64_t free = free_bytes();
  return free >= 2 * (reserve_bytes_ + margin_) && free >= reserve_failed_at_ + margin_;
}

void Stall::set(Error error, std::uint64_t free_bytes) {
  error_ = std::move(error);
  free_bytes_ = free_bytes;
  poked_ = false;
}

bool Stall::may_run(SpaceWatch& space) const {
  return !error_ || poked_ || space.free_bytes() > free_bytes_ + smallest_margin;
}

void LoadedData::insert(const WantedData& wanted, Result<Buffer> bytes) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.wanted.first == wanted.first; });
  entries_.push_back({wanted, std::move(bytes)});
  if (entries_.size() > max_loaded_runs) entries_.pop_front();
}

const Result<Buffer>* LoadedData::find(const WantedData& wanted) {
  for (auto at = entries_.begin(); at != entries_.end(); ++at) {
    if (!(at->wanted.first == wanted.first) || at->wanted.blocks != wanted.blocks) continue;
    if (at->told) {
      entries_.erase(at);
      return nullptr;
    }
    at->told = !at->bytes.has_value();
    return &at->bytes;
  }
  return nullptr;
}

SharedFile SegmentFiles::find(std::uint32_t segment) {
  const auto at = files_.find(segment);
  if (at == files_.end()) return nullptr;
  at->second.used = ++uses_;
  return at->second.file;
}

void SegmentFiles::insert(std::uint32_t segment, SharedFile file) {
  files_[segment] = {std::move(file), ++uses_};
  if (files_.size() <= max_open_segments) return;
  files_.erase(std::min_element(files_.begin(), files_.end(), [](const auto& a, const auto& b) {
    return a.second.used < b.second.used;
  }));
}

}  // namespace rowan::cache
