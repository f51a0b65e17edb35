// A plain model of a redirect store: files as bytes that are either local or not, names, objects.
// And the comparison of a real store with it, through the store's public interface only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cache/store.h"

namespace rowan::test {

struct ModelFile {
  // local bytes; shorter than the file: nothing local there
  std::vector<std::optional<char>> bytes;
  cache::ObjectRecord record;
};

struct StoreModel {
  std::map<std::uint64_t, ModelFile> files;
  std::map<std::pair<std::uint64_t, std::string>, cache::NameRecord> names;

  void write(std::uint64_t id, std::uint64_t offset, const std::string& bytes);
  void truncate(std::uint64_t id, std::uint64_t size);
  // Data blocks that hold at least one local byte.
  std::uint64_t data_blocks() const;
};

// The local bytes of [0, size) as the store has them. Empty and `problem` set on an error.
std::vector<std::optional<char>> local_bytes(cache::Store& store, cache::ObjectId id,
                                             std::uint64_t size, std::string& problem);

// Empty if the store shows exactly the model; else the first difference. `objects`: ids that are
// looked at even if the model has them not. `purging`: what is dead may still be counted as used.
std::string difference(cache::Store& store, const StoreModel& model,
                       const std::vector<std::uint64_t>& objects, std::uint64_t file_size,
                       bool purging = false);

// Empty, or the first finding of check_store(), which looks at the data as well.
std::string check_whole(cache::Directory& directory);

}  // namespace rowan::test
