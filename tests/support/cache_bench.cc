#include "tests/support/cache_bench.h"

#include <algorithm>

#include "rpc/base/check.h"
#include "rpc/base/log.h"

namespace rowan::test {
namespace {

using cache::File;

class FaultyFile final : public File {
 public:
  FaultyFile(std::unique_ptr<File> inner, DiskFaults& faults)
      : inner_(std::move(inner)), faults_(faults) {}

  Result<std::size_t> read_at(std::uint64_t offset, ByteSpan into) const override {
    return inner_->read_at(offset, into);
  }
  Result<std::size_t> read_cached(std::uint64_t offset, ByteSpan into) const override {
    if (faults_.cold) return Errc::needs_load;
    return inner_->read_at(offset, into);
  }
  Result<void> write_at(std::uint64_t offset, ByteView bytes) override {
    if (faults_.disk_full) return Error(Errc::no_space, "test disk");
    if (faults_.lose_writes && bytes.size() % 4096 == 0) {
      std::vector<std::byte> zeros(bytes.size());
      return inner_->write_at(offset, zeros);
    }
    return inner_->write_at(offset, bytes);
  }
  Result<void> write_gather(std::uint64_t offset, std::span<const ByteView> pieces) override {
    for (ByteView piece : pieces) {
      TRY_VOID(write_at(offset, piece));
      offset += piece.size();
    }
    return {};
  }
  Result<void> sync() override { return inner_->sync(); }
  Result<std::uint64_t> size() const override { return inner_->size(); }
  Result<void> truncate(std::uint64_t size) override { return inner_->truncate(size); }
  Result<void> punch(std::uint64_t offset, std::uint64_t length) override {
    if (faults_.no_punch) return Error(Errc::not_supported, "test disk");
    return inner_->punch(offset, length);
  }
  Result<void> allocate(std::uint64_t size) override { return inner_->allocate(size); }
  Result<std::uint64_t> allocated_bytes() const override { return inner_->allocated_bytes(); }

 private:
  std::unique_ptr<File> inner_;
  DiskFaults& faults_;
};

}  // namespace

std::vector<std::byte> unit_bytes(std::uint64_t seed, std::uint32_t length) {
  std::vector<std::byte> bytes(length);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
  for (std::byte& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<std::byte>(state >> 56);
  }
  return bytes;
}

Result<std::unique_ptr<File>> FaultyDirectory::open(std::string_view name, cache::OpenMode mode) {
  TRY(std::unique_ptr<File> file, inner_->open(name, mode));
  return std::unique_ptr<File>(std::make_unique<FaultyFile>(std::move(file), faults_));
}

Result<std::unique_ptr<cache::Directory>> FaultyDirectory::directory(std::string_view name,
                                                                     bool create) {
  TRY(std::unique_ptr<cache::Directory> child, inner_->directory(name, create));
  return std::unique_ptr<cache::Directory>(
      std::make_unique<FaultyDirectory>(std::move(child), faults_));
}

Result<void> FaultyDirectory::rename(std::string_view from, std::string_view to) {
  if (faults_.no_rename) return Error(Errc::io, "test disk does not rename");
  return inner_->rename(from, to);
}

CacheBench::CacheBench(const cache::BlockCacheOptions& options)
    : directory_(std::make_unique<FaultyDirectory>(temp_.open(), faults_)),
      cache_(*cache::BlockCache::open(*directory_, options)) {
  set_log_level(Level::error);   // damage is what these tests make
}

CacheBench::~CacheBench() { finish_jobs(); }

void CacheBench::reopen(const cache::BlockCacheOptions& options) {
  cache_.reset();
  cache_ = *cache::BlockCache::open(*directory_, options);
}

void CacheBench::offer(const cache::BlockKey& key, ByteView bytes) {
  cache_->offer(key, bytes, cache_->generation(key));
}

Result<std::vector<std::byte>> CacheBench::read(const cache::BlockKey& key) {
  // The longest prefix that is there: units may be short.
  for (;;) {
    std::vector<std::byte> bytes(cache::unit_size);
    Result<void> done = cache_->read(key, 0, bytes);
    if (done.failed_with(Errc::invalid)) {
      auto words = done.error().detail;
      bytes.resize(std::stoul(words.substr(words.find("has ") + 4)));
      done = cache_->read(key, 0, bytes);
    }
    if (done) return bytes;
    if (!done.failed_with(Errc::needs_load)) return done.error();
    std::unique_ptr<Job> job = cache_->take_load();
    CHECK(job != nullptr);
    job->run();
    cache_->complete(std::move(job));
  }
}

void CacheBench::finish_jobs() {
  while (std::unique_ptr<Job> job = cache_->next_job()) {
    job->run();
    cache_->complete(std::move(job));
  }
}

void CacheBench::flip_bit_of_block(std::uint64_t block) {
  auto file = *directory_->open("blocks", cache::OpenMode::write);
  std::byte byte;
  CHECK(file->read_at(block * 4096 + 17, {&byte, 1}).has_value());
  byte ^= std::byte{0x10};
  CHECK(file->write_at(block * 4096 + 17, {&byte, 1}).has_value());
}

void CacheBench::damage_files(std::mt19937_64& random) {
  cache_.reset();
  for (const char* name : {"blocks", "index"}) {
    auto file = *directory_->open(name, cache::OpenMode::write);
    std::uint64_t size = *file->size();
    switch (random() % 4) {
      case 0:
        CHECK(file->truncate(random() % (size + 1)).has_value());
        break;
      case 1:
        for (std::uint64_t i = 0; i < 20 && size > 0; ++i) {
          std::byte byte{static_cast<std::uint8_t>(random())};
          CHECK(file->write_at(random() % size, {&byte, 1}).has_value());
        }
        break;
      case 2:
        if (random() % 4 == 0) CHECK(directory_->remove(name).has_value());
        break;
      default:
        break;
    }
  }
}

std::uint64_t CacheBench::allocated_bytes() const {
  std::uint64_t sum = 0;
  for (const char* name : {"blocks", "index", "index.new"}) {
    auto file = directory_->open(name, cache::OpenMode::read);
    if (file) sum += *(*file)->allocated_bytes();
  }
  return sum;
}

std::uint64_t CacheBench::index_bytes() const {
  return *(*directory_->open("index", cache::OpenMode::read))->size();
}

}  // namespace rowan::test
