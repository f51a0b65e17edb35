// Shared by the catalogue's .cc files; nobody else includes this.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/catalog.h"
#include "cache/catalog_records.h"
#include "cache/table.h"

namespace rowan::cache {

// The changes of one batch over the table: reads see them, and nothing happens before apply(). So a
// call that stops half-way (needs_load) has changed nothing and can be made again.
class CatalogDraft {
 public:
  explicit CatalogDraft(Table& table) : table_(table) {}
  // Absent is a value here: nothing.
  Result<std::optional<std::string>> get(const std::string& key) const;
  void put(std::string key, std::string value) { changes_[std::move(key)] = std::move(value); }
  void erase(std::string key) { changes_[std::move(key)] = std::nullopt; }
  std::size_t size() const { return changes_.size(); }
  bool empty() const { return changes_.empty(); }
  Result<Ticket> apply();

 private:
  Table& table_;
  std::map<std::string, std::optional<std::string>> changes_;
};

class CatalogImpl final : public Catalog {
 public:
  CatalogImpl(std::unique_ptr<Table> table) : table_(std::move(table)) {}
  Result<void> load_counters();

  Result<ImageObject> object(VersionId version, ObjectId id) override;
  Result<ObjectId> lookup(VersionId version, ObjectId directory, std::string_view name) override;
  Result<Listing> list(VersionId version, ObjectId directory, std::uint64_t after_position,
                       std::size_t limit) override;
  Result<std::string> path(ObjectId id) override;

  Result<Ticket> add_root(VersionId version, const SourceEntry& root) override;
  Result<Ticket> add_entry(VersionId version, ObjectId directory,
                           const SourceEntry& entry) override;
  Result<Ticket> add_absent(VersionId version, ObjectId directory, std::string_view name) override;
  Result<Ticket> add_page(VersionId version, ObjectId directory,
                          const std::vector<SourceEntry>& entries, std::string cursor,
                          bool last) override;
  Result<Ticket> add_target(VersionId version, ObjectId symlink, std::string target) override;
  Result<Ticket> set_handle(VersionId version, ObjectId id, std::string source_handle,
                            std::uint64_t source_fileid) override;
  Result<Ticket> set_drifted(VersionId version, ObjectId id) override;
  Result<std::vector<ObjectId>> drifted(VersionId version, std::size_t limit) override;
  std::vector<Contradiction> take_contradictions() override;

  Result<KnownName> origin(ObjectId id) override;
  Result<std::vector<KnownName>> known_names(VersionId version, const KnownName& behind,
                                             std::size_t limit) override;
  Result<Ticket> take_names(VersionId version, const std::vector<KnownName>& names) override;

  Ticket shown_after(ObjectId id) const override;
  Ticket listing_shown_after(ObjectId directory) const override;
  std::uint64_t object_count(VersionId version) const override;
  std::uint64_t known_bytes(VersionId version) const override;
  Result<Ticket> remove_version(VersionId version) override;

  void want_durable(Ticket ticket) override { table_->want_durable(ticket); }
  Ticket applied() const override { return table_->applied(); }
  Ticket durable() const override { return table_->durable(); }
  const std::optional<Error>& failure() const override { return table_->failure(); }
  std::unique_ptr<Job> take_load() override { return table_->take_load(); }
  std::unique_ptr<Job> next_job() override { return table_->next_job(); }
  void complete(std::unique_ptr<Job> job) override;
  bool busy() const override { return table_->busy(); }
  void prepare_close() override { table_->prepare_close(); }
  std::uint64_t memory_bytes() const override { return table_->usage().memory_bytes; }

 private:
  // One call that adds: its draft, and what becomes known to the outside once it is applied.
  struct Adding {
    Adding(Table& table, VersionId of) : draft(table), version(of) {}
    CatalogDraft draft;
    VersionId version;
    catalog::Counters counters;
    std::vector<ObjectId> fresh;
    std::vector<Contradiction> contradictions;
  };

  Result<catalog::DirectoryState> directory_state(const CatalogDraft& draft, VersionId version,
                                                  ObjectId directory);
  Result<std::optional<ImageObject>> attributes(const CatalogDraft& draft, VersionId version,
                                                ObjectId id);
  Result<ObjectId> intern(Adding& adding, ObjectId directory, const SourceEntry& entry);
  Result<ObjectId> intern_link(Adding& adding, ObjectId directory, const SourceEntry& entry);
  Result<ObjectId> intern_path(Adding& adding, ObjectId directory, const SourceEntry& entry);
  Result<void> take_name(Adding& adding, const KnownName& known);
  Result<void> put_new(Adding& adding, ObjectId id, const SourceEntry& entry);
  Result<void> compare(Adding& adding, ObjectId directory, ObjectId known, const SourceEntry& seen);
  Result<void> list_entry(Adding& adding, ObjectId directory, catalog::DirectoryState& state,
                          const SourceEntry& entry);
  Result<bool> list_unlisted(Adding& adding, ObjectId directory, catalog::DirectoryState& state);
  Result<Ticket> finish(Adding& adding, ObjectId listed);
  Result<void> move_link(Adding& adding, ObjectId id, std::uint64_t from, std::uint64_t to);

  std::unique_ptr<Table> table_;
  std::unordered_map<std::uint64_t, catalog::Counters> counters_;   // by version
  // Ids and listings that the disk does not have yet, each with its ticket; and the order of the
  // tickets.
  std::unordered_map<ObjectId, Ticket> fresh_, fresh_listings_;
  std::deque<std::pair<Ticket, ObjectId>> fresh_order_;
  std::deque<Contradiction> contradictions_;
};

}  // namespace rowan::cache
