#include "proxy/dir_pages.h"

#include <algorithm>
#include <utility>

namespace rowan::proxy {
namespace {

constexpr nfs3::Cookie local_bit = nfs3::Cookie{1} << 62;
constexpr nfs3::Cookie after_dot = 1, after_dot_dot = 2;
// Entry flag, fileid, a name of one byte, cookie; with READDIRPLUS attributes and a handle as well.
constexpr std::uint32_t least_entry_size = 4 + 8 + 8 + 8;
constexpr std::uint32_t least_plus_size = least_entry_size + 4 + 84 + 4 + 4 + 36;

}  // namespace

std::optional<DirPosition> position_of(nfs3::Cookie cookie) {
  using Phase = DirPosition::Phase;
  if (cookie == 0) return DirPosition{Phase::dot, 0};
  if (cookie == after_dot) return DirPosition{Phase::dot_dot, 0};
  if (cookie < local_bit) return DirPosition{Phase::image, cookie - after_dot_dot};
  std::uint64_t sequence = cookie - local_bit;
  if (sequence == 0 || sequence >= local_bit) return std::nullopt;
  return DirPosition{Phase::local, sequence};
}

nfs3::Cookie image_cookie(std::uint64_t position) { return position + after_dot_dot; }
nfs3::Cookie local_cookie(std::uint64_t sequence) { return sequence | local_bit; }

nfs3::Verifier directory_verifier(cache::ApplianceId appliance) {
  nfs3::Verifier verifier;
  store_be(verifier.data(), static_cast<std::uint64_t>(appliance));
  return verifier;
}

DirPage::DirPage(bool plus, std::uint32_t dircount, std::uint32_t maxcount)
    : plus_(plus), names_left_(dircount) {
  std::uint32_t overhead = nfs3::encoded_overhead(true);
  std::uint32_t limit = std::min(maxcount, nfs3::max_transfer_size);
  bytes_left_ = limit > overhead ? limit - overhead : 0;
}

DirPage DirPage::readdir(std::uint32_t count) { return {false, count, count}; }

DirPage DirPage::readdirplus(std::uint32_t dircount, std::uint32_t maxcount) {
  return {true, dircount, maxcount};
}

bool DirPage::add(nfs3::DirEntry entry) {
  std::uint32_t bytes = nfs3::encoded_size(entry, plus_);
  std::uint32_t name_bytes = plus_ ? nfs3::encoded_size(entry, false) : bytes;
  // dircount is a hint about the client's buffer for names; a listing goes on with one entry at a
  // time where it is too small even for that.
  bool names_full = name_bytes > names_left_ && !entries_.empty();
  full_ = full_ || names_full || bytes > bytes_left_;
  if (full_) return false;
  bytes_left_ -= bytes;
  names_left_ -= std::min(name_bytes, names_left_);
  entries_.push_back(std::move(entry));
  return true;
}

std::size_t DirPage::room() const {
  if (full_) return 0;
  std::uint32_t by_bytes = bytes_left_ / (plus_ ? least_plus_size : least_entry_size);
  std::uint32_t by_names = names_left_ / least_entry_size;
  return std::min(by_bytes, by_names) + 1;
}

}  // namespace rowan::proxy
