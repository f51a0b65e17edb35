// Strong types for the identities of the store. See FORMAT.md for how each is made.
#pragma once

#include <cstdint>
#include <functional>

namespace rowan::cache {

// An object of an appliance, as clients see it (fileid). Top bit clear: an image object, whose id
// is a digest of its path (the same on every host and in every version); top bit set: made by a
// client, counted up per appliance, never reused.
enum class ObjectId : std::uint64_t {};
inline constexpr ObjectId no_object{0};
inline constexpr ObjectId image_root{1};
inline constexpr std::uint64_t local_object_bit = std::uint64_t{1} << 63;
constexpr std::uint64_t to_number(ObjectId id) { return static_cast<std::uint64_t>(id); }
constexpr bool is_local(ObjectId id) { return (to_number(id) & local_object_bit) != 0; }

enum class ApplianceId : std::uint64_t {};  // random, never zero
enum class VersionId : std::uint64_t {
};  // one version of one image on this host; random, never zero

// The moment of a change: batches of a table are numbered from 1, across restarts. Ticket 0 is
// always durable.
using Ticket = std::uint64_t;

// One version of a table's records (table_versions.h); never given out twice by a table.
enum class StateId : std::uint64_t {};
inline constexpr StateId no_state{0};
inline constexpr StateId first_state{1};  // the head that a new table begins with
constexpr std::uint64_t to_number(StateId id) { return static_cast<std::uint64_t>(id); }

}  // namespace rowan::cache

template <>
struct std::hash<rowan::cache::ObjectId> {
  std::size_t operator()(rowan::cache::ObjectId id) const noexcept {
    // Image ids are digests already; local ids count up. One multiplication spreads both.
    return static_cast<std::size_t>(rowan::cache::to_number(id) * 0x9e3779b97f4a7c15u);
  }
};
