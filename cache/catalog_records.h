// The catalogue's keys and values in its table. Numbers in keys are big-endian, in values
// little-endian.
//
//   key                                    value
//   'o' id                                 identity: parent, name. Shared by all versions, never
//                                          removed
//   'p' natural-id                         id: this path is a hard link of another object (see
//                                          intern())
//   'v' version                            counters: objects, bytes
//   'a' version id                         attributes, flags, source handle
//   't' version id                         target of a symlink
//   'd' version directory                  state of its listing
//   'n' version directory name             child (0: absent), position in the listing (0: not
//                                          listed yet)
//   'l' version directory position         child, name
//   'u' version directory name             nothing: the name was looked up, but is not listed yet
//   'h' version source-fileid              id of a file with several links
//   'm' version id                         nothing: the object has drifted
//
// The id of an object is H(parent's id, name, counter) without its top bit; H is XXH3-64 with a
// fixed seed. The counter is 0 unless that id belongs to another path already, or is reserved. An
// id needs no cryptographic digest, as it proves nothing: two paths that collide are told apart
// here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cache/catalog.h"

namespace rowan::cache::catalog {

std::string identity_key(ObjectId id);
std::string alias_key(ObjectId natural);
std::string version_key(VersionId version);
std::string attributes_key(VersionId version, ObjectId id);
std::string target_key(VersionId version, ObjectId id);
std::string directory_key(VersionId version, ObjectId directory);
std::string name_key(VersionId version, ObjectId directory, std::string_view name);
std::string listing_key(VersionId version, ObjectId directory, std::uint64_t position);
std::string unlisted_key(VersionId version, ObjectId directory, std::string_view name);
std::string link_key(VersionId version, std::uint64_t source_fileid);
std::string drifted_key(VersionId version, ObjectId id);
// The kinds of keys that belong to one version, and the first key of such a kind.
inline constexpr std::string_view version_kinds = "atdnluhmv";
std::string kind_start(char kind, VersionId version);
// The key after all keys that start with `prefix`.
std::string prefix_end(std::string prefix);

ObjectId natural_id(ObjectId parent, std::string_view name, std::uint32_t counter);

struct Identity {
  ObjectId parent = no_object;
  std::string name;
  std::string encode() const;
  static std::optional<Identity> decode(std::string_view value);
};

struct Counters {
  std::uint64_t objects = 0, bytes = 0;
  std::string encode() const;
  static std::optional<Counters> decode(std::string_view value);
};

// What 'a' holds: the object without its identity and target.
std::string encode_attributes(const ImageObject& object);
bool decode_attributes(std::string_view value, ImageObject& object);

struct DirectoryState {
  std::uint64_t next_position = 1;
  std::uint32_t absent_names = 0;   // stored ones
  bool complete = false;
  std::string cursor;               // of the source; at most max_cursor_bytes
  std::string encode() const;
  static std::optional<DirectoryState> decode(std::string_view value);
};

struct NameValue {
  ObjectId child = no_object;
  std::uint64_t position = 0;
  std::string encode() const;
  static std::optional<NameValue> decode(std::string_view value);
};

std::string encode_listed(ObjectId child, std::string_view name);
bool decode_listed(std::string_view value, Listing::Entry& entry);

std::string encode_id(ObjectId id);
std::optional<ObjectId> decode_id(std::string_view value);

}  // namespace rowan::cache::catalog
