// What differs between two states of an appliance in the terms of files: from names and objects
// that differ to lines as `zfs diff` has them. Pure; who asks has looked everything up.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/ids.h"
#include "cache/store.h"

namespace rowan::proxy {

// A name that leads elsewhere; no_object: it is not there.
struct NameChange {
  cache::ObjectId directory = cache::no_object;
  std::string name;
  cache::ObjectId before = cache::no_object, after = cache::no_object;
};

// What a client can see of an object and cares about. Times are left out: every write moves them.
struct FileFacts {
  cache::FileKind kind = cache::FileKind::regular;
  std::uint32_t mode = 0, uid = 0, gid = 0;
  std::uint64_t size = 0;
  std::uint32_t rdev_major = 0, rdev_minor = 0;
  std::string target;  // of a symlink
  friend bool operator==(const FileFacts&, const FileFacts&) = default;
};

struct ObjectChange {
  std::optional<FileFacts> before, after;  // nothing: it has no name there
  std::uint64_t content_bytes = 0;         // local bytes that differ, in whole blocks
};

struct DirectoryPlace {
  cache::ObjectId parent = cache::no_object;
  std::string name;
};
// Of all directories above the changes, up to the root, which is not in it.
using DirectoryPlaces = std::map<cache::ObjectId, DirectoryPlace>;

struct StateChanges {
  cache::ObjectId root = cache::no_object;
  std::vector<NameChange> names;
  // those that differ, and those that the names lead to
  std::map<cache::ObjectId, ObjectChange> objects;
  // where an object has a name in the second state, for those that are in no NameChange; without a
  // parent: somewhere
  std::map<cache::ObjectId, DirectoryPlace> places;
  DirectoryPlaces before, after;
};

struct FileChange {
  enum class What : std::uint8_t { added, removed, renamed, linked, modified };
  What what = What::modified;
  std::string path;       // as it is now; of a removed one: as it was
  std::string old_path;   // renamed: as it was; linked: another name
  cache::FileKind kind = cache::FileKind::regular;
  bool content = false, mode = false, owner = false, target = false;
  const ObjectChange* object = nullptr;  // one of StateChanges::objects
};

// By path; of one path what was removed first. Names that lead to the same object as before are
// nothing; nor is an object that looks as before. The lines refer to `changes`.
std::vector<FileChange> file_changes(const StateChanges& changes);

// An object that is there before and after, looks otherwise, and so has a line even if its names
// are the same.
bool looks_changed(const ObjectChange& object);

// "/srv/data"; "?" stands for a directory whose place is not known.
std::string path_of(const DirectoryPlaces& places, cache::ObjectId root, cache::ObjectId directory,
                    std::string_view name);

}  // namespace rowan::proxy
