// Pure: cookies, verifier and paging of a merged directory.
//
// A listing goes through three phases, and a cookie says where in them it stands:
//
//   0            the start                    1      after "."        2      after ".."
//   2 + p        after the image's entry at position p (positions start at 1 and never change)
//   2^62 | s     after the local name with sequence number s (never reused)
//
// Both counts only grow at their ends and no entry ever moves, so every cookie stays good for ever,
// whatever changes in between. Cookies stay below 2^63: Linux keeps them in a signed file position.
#pragma once

#include <cstdint>
#include <optional>

#include "cache/ids.h"
#include "rpc/nfs3.h"

namespace rowan::proxy {

struct DirPosition {
  enum class Phase : std::uint8_t { dot, dot_dot, image, local };
  Phase phase = Phase::dot;  // what comes next
  std::uint64_t after = 0;   // image: position, local: sequence number of the last entry given
  friend bool operator==(const DirPosition&, const DirPosition&) = default;
};

// Nothing: no cookie of ours (BAD_COOKIE).
std::optional<DirPosition> position_of(nfs3::Cookie cookie);
nfs3::Cookie image_cookie(std::uint64_t position);
nfs3::Cookie local_cookie(std::uint64_t sequence);

// The same for all directories of an appliance and for ever: cookies never go bad. So a verifier
// that a client brings is not compared: a wrong one could only turn a good listing away.
nfs3::Verifier directory_verifier(cache::ApplianceId appliance);

// Fills one reply within the client's limits, with the exact size of each entry on the wire.
class DirPage {
 public:
  static DirPage readdir(std::uint32_t count);
  static DirPage readdirplus(std::uint32_t dircount, std::uint32_t maxcount);

  // False if the entry does not fit: the page is full.
  bool add(nfs3::DirEntry entry);
  bool full() const { return full_; }
  bool empty() const { return entries_.empty(); }
  // Not even one entry fitted: TOOSMALL.
  bool too_small() const { return full_ && entries_.empty(); }
  // Entries that may still be worth fetching, from the smallest that an entry can be.
  std::size_t room() const;
  bool plus() const { return plus_; }
  std::vector<nfs3::DirEntry> take() { return std::move(entries_); }

 private:
  DirPage(bool plus, std::uint32_t dircount, std::uint32_t maxcount);

  bool plus_;
  bool full_ = false;
  std::uint32_t names_left_;  // dircount: fileid, name and cookie alone
  std::uint32_t bytes_left_;  // of the whole result
  std::vector<nfs3::DirEntry> entries_;
};

}  // namespace rowan::proxy
