// The store of an appliance that never changed anything: over it a merged view shows the image.
#pragma once

#include "cache/store.h"

namespace rowan::proxy {

class EmptyStore final : public cache::Store {
 public:
  Result<cache::ObjectRecord> object(cache::ObjectId) override { return Errc::not_found; }
  Result<cache::NameRecord> name(cache::ObjectId, std::string_view) override {
    return Errc::not_found;
  }
  Result<std::vector<cache::NamedEntry>> names_after(cache::ObjectId, std::uint64_t,
                                                     std::size_t) override {
    return std::vector<cache::NamedEntry>();
  }
  Result<bool> has_names(cache::ObjectId) override { return false; }
  Result<std::vector<cache::Extent>> extents(cache::ObjectId, const cache::ObjectRecord&,
                                             std::uint64_t, std::uint64_t) override {
    return std::vector<cache::Extent>();
  }
  Result<void> read(const cache::Extent&, ByteSpan) override { return Errc::not_found; }
  cache::ObjectId next_object() override { return cache::no_object; }
  std::uint64_t next_sequence() override { return 0; }
  Result<cache::Ticket> apply(cache::Transaction&) override { return Errc::read_only; }

  void want_durable(cache::Ticket) override {}
  cache::Ticket applied() const override { return 0; }
  cache::Ticket durable() const override { return 0; }
  const std::optional<Error>& failure() const override { return none_; }
  std::unique_ptr<Job> take_load() override { return nullptr; }
  std::unique_ptr<Job> next_job() override { return nullptr; }
  void complete(std::unique_ptr<Job>) override {}
  bool busy() const override { return false; }
  void prepare_close() override {}
  const std::optional<Error>& stalled() const override { return none_; }

  std::array<std::byte, 8> write_verifier() const override { return {}; }
  cache::StoreUsage usage() const override { return {}; }
  void set_quota(std::uint64_t) override {}
  Result<cache::DiskSpace> disk_space() const override { return cache::DiskSpace(); }

 private:
  std::optional<Error> none_;
};

}  // namespace rowan::proxy
