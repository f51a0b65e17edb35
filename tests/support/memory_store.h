// A redirect store in memory: what cache::Store promises, without a disk. Faults are asked for;
// with a seed, answers need loads and transactions are put off at random, as a real store does when
// memory is short.
//
// crash() gives what a machine keeps that loses power now: everything that was durable, and of the
// rest, a prefix.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "cache/store.h"

namespace rowan::test {

struct MemoryStoreOptions {
  std::optional<std::uint64_t> seed;  // random needs_load and try_later
  std::uint64_t quota_bytes = 0;
  bool keep_history = true;  // needed for crash()
};

class MemoryStore final : public cache::Store {
 public:
  explicit MemoryStore(const MemoryStoreOptions& options = {});
  ~MemoryStore() override;

  // The store after a power cut, with `extra` transactions beyond the durable ones (as far as there
  // are).
  std::unique_ptr<MemoryStore> crash(std::size_t extra) const;
  std::size_t undurable() const;
  // The next sync fails: sticky (P2, faults 10).
  void fail_sync() { fail_sync_ = true; }
  // What every apply() that adds data answers from now on; none: works again.
  void refuse(std::optional<Errc> code) { refuse_ = code; }
  // A local extent of this object reads as damaged from now on.
  void damage(cache::ObjectId id) { damaged_.push_back(id); }
  void set_disk_space(const cache::DiskSpace& space) { space_ = space; }
  std::uint64_t questions() const { return questions_; }  // answered by the store so far

  Result<cache::ObjectRecord> object(cache::ObjectId id) override;
  Result<cache::NameRecord> name(cache::ObjectId directory, std::string_view name) override;
  Result<std::vector<cache::NamedEntry>> names_after(cache::ObjectId directory,
                                                     std::uint64_t sequence,
                                                     std::size_t limit) override;
  Result<bool> has_names(cache::ObjectId directory) override;
  Result<std::vector<cache::Extent>> extents(cache::ObjectId id, const cache::ObjectRecord& record,
                                             std::uint64_t offset, std::uint64_t length) override;
  Result<void> read(const cache::Extent& extent, ByteSpan into) override;
  cache::ObjectId next_object() override;
  std::uint64_t next_sequence() override { return next_sequence_++; }
  Result<cache::Ticket> apply(cache::Transaction& transaction) override;
  void want_durable(cache::Ticket ticket) override;
  cache::Ticket applied() const override { return applied_; }
  cache::Ticket durable() const override { return durable_; }
  const std::optional<Error>& failure() const override { return failure_; }
  std::unique_ptr<Job> take_load() override;
  std::unique_ptr<Job> next_job() override;
  void complete(std::unique_ptr<Job> job) override;
  bool busy() const override { return jobs_out_ > 0 || wanted_ > durable_; }
  void prepare_close() override { want_durable(applied_); }
  const std::optional<Error>& stalled() const override { return stalled_; }
  std::array<std::byte, 8> write_verifier() const override { return verifier_; }
  cache::StoreUsage usage() const override;
  void set_quota(std::uint64_t bytes) override { options_.quota_bytes = bytes; }
  Result<cache::DiskSpace> disk_space() const override { return space_; }

 private:
  struct Piece {  // one run of local bytes
    std::string bytes;
    cache::ObjectId owner{};
  };
  struct Run {  // where a run of a file's bytes lies
    std::uint32_t piece = 0;
    std::uint64_t skip = 0, length = 0;
  };
  using Runs = std::map<std::uint64_t, Run>;  // by offset, not overlapping
  struct Directory {
    std::map<std::string, cache::NameRecord, std::less<>> names;
    std::map<std::uint64_t, std::string> order;
  };
  // A step with its bytes, to be replayed.
  struct KeptStep {
    cache::Transaction::Step step;
    std::string bytes;
  };

  bool must_load();
  std::uint64_t data_blocks(cache::ObjectId id) const;
  void play(const cache::Transaction::Step& step);
  void play(const cache::Transaction::PutObject& step);
  void play(const cache::Transaction::RemoveObject& step);
  void play(const cache::Transaction::PutName& step);
  void play(const cache::Transaction::EraseName& step);
  void play(const cache::Transaction::Write& step);
  void play(const cache::Transaction::Truncate& step);
  static void cut(Runs& runs, std::uint64_t from, std::uint64_t to);
  void new_verifier();

  MemoryStoreOptions options_;
  std::optional<std::mt19937_64> random_;
  std::map<cache::ObjectId, cache::ObjectRecord> objects_;
  std::map<cache::ObjectId, Directory> directories_;
  std::map<cache::ObjectId, Runs> runs_;
  std::vector<Piece> pieces_;
  std::vector<std::vector<KeptStep>> history_;  // by ticket - 1
  std::vector<cache::ObjectId> damaged_;
  std::uint64_t next_object_ = 1, next_sequence_ = 1;
  cache::Ticket applied_ = 0, durable_ = 0, wanted_ = 0, syncing_ = 0;
  std::size_t jobs_out_ = 0;
  std::uint64_t lives_ = 1;
  std::uint64_t questions_ = 0;
  bool load_wanted_ = false, load_done_ = false;
  bool fail_sync_ = false;
  std::optional<Errc> refuse_;
  std::optional<Error> failure_, stalled_;
  std::array<std::byte, 8> verifier_{};
  cache::DiskSpace space_{1ull << 40, 1ull << 39, 1u << 20, 1u << 19};
};

}  // namespace rowan::test
