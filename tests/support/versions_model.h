// A small scheme of records with data for tests of tables with several states: files of 16 blocks,
// whose records are runs of blocks that a write cuts and replaces, as a store's extents are.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cache/table_check.h"
#include "cache/table_versions.h"

namespace rowan::test {

using TableContent = std::map<std::string, std::string>;

inline constexpr int model_file_blocks = 16;

// The TableOptions::find_data of these records.
Result<cache::RecordData> find_model_data(std::string_view key, std::string_view value);

// A state's records; data pointers in them are replaced by what the blocks hold, so that contents
// of different states can be compared.
Result<TableContent> content_of(cache::Table& view);

// Writes runs of blocks. Every block is unlike any other one.
class ModelWriter {
 public:
  explicit ModelWriter(std::uint64_t first_mark = 1) : next_mark_(first_mark) {}
  // Blocks [from, to) of a file, in one batch; waits for the disk if it has to. Fails as
  // Table::apply() does, try_later included.
  Result<cache::Ticket> try_write(cache::Table& view, int file, int from, int to);
  void write(cache::VersionedTable& table, cache::StateId state, int file, int from, int to);
  // The same in a content as content_of() gives it, with the marks that the last write used.
  void model_write(TableContent& content, int file, int from, int to) const;

 private:
  std::uint64_t next_mark_, last_mark_ = 0;
};

std::string name_of(cache::StateId id);

// Empty: every dropped state that could be given back was.
std::string leftovers(const std::vector<cache::StateInfo>& states);

// Empty, or the first finding of check_table().
std::string check_versions(cache::Directory& directory);

}  // namespace rowan::test
