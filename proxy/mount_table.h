// Who mounted what and did not say that he left, as far as known: clients that vanish never say so.
// For DUMP's eyes, and so that an appliance in use is not removed by mistake. Bounded: the oldest
// go first.
//
// As text it is one line an entry, "ADDRESS PATH", with every byte of the path that is not plain
// written as %XX, after the head line "rowan mounts 1". What cannot be read is left out: it is a
// help, not a promise.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "rpc/service.h"

namespace rowan::proxy {

inline constexpr std::size_t max_mount_entries = 4096;
inline constexpr std::size_t max_mount_bytes = 256 << 10;  // of all addresses and paths

class MountTable {
 public:
  const std::deque<mount3::MountEntry>& entries() const { return entries_; }
  // Called after each change.
  void on_change(std::function<void()> changed) { changed_ = std::move(changed); }

  void add(mount3::MountEntry entry);
  void remove_if(const std::function<bool(const mount3::MountEntry&)>& meant);

  std::string text() const;
  // Takes the place of what is there; not a change.
  void read(std::string_view text);

 private:
  void trim();

  std::deque<mount3::MountEntry> entries_;
  std::size_t bytes_ = 0;
  std::function<void()> changed_;
};

}  // namespace rowan::proxy
