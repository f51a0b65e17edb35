// A tree that an image server would tell of, and a plain model of a catalogue that has been told a
// part of it: what it must answer, no matter what happened in between.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "cache/catalog.h"

namespace rowan::test {

using FileNumber = std::uint64_t;   // the source's fileid
inline constexpr FileNumber root_number = 1;

// Directories, files, symlinks, files with two names; some names are found by looking them up, but
// are not listed.
struct SourceTree {
  struct Node {
    cache::FileKind kind = cache::FileKind::regular;
    std::uint32_t names = 0;
    std::vector<std::pair<std::string, FileNumber>> listed, unlisted;
  };
  std::map<FileNumber, Node> nodes;

  static SourceTree random(std::mt19937_64& random, int objects);
  // Versions of the image differ in sizes only.
  cache::SourceEntry entry(cache::VersionId version, std::string name, FileNumber number) const;
};

struct CatalogModel {
  struct Object {
    cache::ObjectId id = cache::no_object;   // no_object: to be learned
    cache::SourceEntry told;                 // as first told; its name is the first one
    FileNumber directory = 0;                // of that name
    std::optional<std::string> target;
    bool drifted = false;
    friend bool operator==(const Object&, const Object&);
  };
  struct Directory {
    std::vector<std::string> listed;
    bool complete = false;
    std::string cursor;
    friend bool operator==(const Directory&, const Directory&) = default;
  };
  struct Version {
    std::map<FileNumber, Object> objects;
    std::map<std::pair<FileNumber, std::string>, FileNumber> names;   // 0: absent
    std::map<FileNumber, Directory> directories;
    friend bool operator==(const Version&, const Version&) = default;
  };
  std::map<cache::VersionId, Version> versions;
  // Of objects with one name: for ever the same, whatever versions come and go.
  std::map<std::pair<FileNumber, std::string>, cache::ObjectId> ids;
  friend bool operator==(const CatalogModel&, const CatalogModel&) = default;

  void add_root(cache::VersionId version, const cache::SourceEntry& root);
  void add_entry(cache::VersionId version, FileNumber directory, const cache::SourceEntry& entry);
  void add_absent(cache::VersionId version, FileNumber directory, const std::string& name);
  void add_page(cache::VersionId version, FileNumber directory,
                const std::vector<cache::SourceEntry>& entries, const std::string& cursor,
                bool last);

  // Asks for the ids that the last call made. Empty, or what is wrong with one.
  std::string learn_ids(cache::Catalog& catalog, cache::VersionId version);

 private:
  void intern(Version& version, FileNumber directory, const cache::SourceEntry& entry);
};

// Empty if the catalogue answers exactly as the model, for each of `versions`.
std::string difference(cache::Catalog& catalog, const CatalogModel& model,
                       const std::vector<cache::VersionId>& versions);

}  // namespace rowan::test
