// The image of a catalogue, a block cache and a source: what is known is served from here, the rest
// is asked for once, kept, and shown when it is durable.
//
//   names     the first miss in a directory fetches the first page of its listing, as most
//             directories fit one; each further miss looks one name up and lets the next page come,
//             up to a bound. A complete listing answers for every name.
//   data      fetcher.h
//   drift     an object that the source shows with another kind, size or mtime is marked for ever
//             and reported: its cached blocks stay, nothing new of it is taken. In a marked
//             directory only known names are served.
//   STALE     the path is walked again from the root, and the object must be the same that is
//             known. Under another number (the tree was copied to another disk) it is, if some of
//             what is cached of it is there as well.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cache/block_cache.h"
#include "cache/catalog.h"
#include "proxy/fetcher.h"
#include "proxy/image.h"
#include "proxy/job_runner.h"
#include "proxy/recent_map.h"
#include "proxy/single_flight.h"
#include "proxy/source.h"
#include "rpc/base/loop.h"

namespace rowan::proxy {

// What an image is made of; all of it outlives the image. Catalogue and block cache may be shared
// with other images of the same loop, but each has exactly one runner.
struct ImageParts {
  Loop& loop;
  cache::Catalog& catalog;
  JobRunner<cache::Catalog>& catalog_jobs;
  cache::BlockCache& blocks;
  JobRunner<cache::BlockCache>& block_jobs;
  Source& source;
};

struct ImageOptions {
  FetchOptions fetch;
  std::size_t objects_in_memory = 200'000;   // about 200 bytes each
  // of a directory's listing that look-ups alone may fetch
  std::uint64_t learned_entries = 2048;
};

inline constexpr std::size_t max_path_depth = 4096;   // of directories below the root

struct ImageStats {
  FetchStats data;
  std::uint64_t source_calls = 0;       // all of them; reads are counted in `data` as well
  std::uint64_t source_errors = 0;
  std::uint64_t stale_recoveries = 0;
  std::uint64_t drifted = 0;            // objects found to differ since the start
  std::vector<std::string> drifted_paths;   // the first few of them
  std::string trouble;                  // the source's last error, until it answers again
};

class CachedImage final : public Image {
 public:
  CachedImage(const ImageParts& parts, cache::VersionId version, const ImageOptions& options);
  CachedImage(const CachedImage&) = delete;
  CachedImage& operator=(const CachedImage&) = delete;
  ~CachedImage() override;   // close() first

  const cache::ImageAttributes* cached_attributes(cache::ObjectId id) override;
  Task<Result<cache::ImageAttributes>> attributes(cache::ObjectId id) override;
  Task<Result<cache::ObjectId>> lookup(cache::ObjectId directory, std::string_view name) override;
  Task<Result<cache::Listing>> list(cache::ObjectId directory, std::uint64_t after_position,
                                    std::size_t limit) override;
  Task<Result<std::string>> readlink(cache::ObjectId symlink) override;
  Task<Result<void>> read(cache::ObjectId file, std::uint64_t offset, ByteSpan into) override;
  Task<Result<cache::ObjectId>> parent(cache::ObjectId directory) override;
  Task<Result<ImagePlace>> place(cache::ObjectId id) override;
  std::string path(cache::ObjectId id) override;

  // Closes the source and waits for everything under way. Once; answers try_later afterwards.
  Task<void> close();

  ImageStats stats() const;
  std::uint64_t object_count() const { return parts_.catalog.object_count(version_); }
  std::uint64_t known_bytes() const { return parts_.catalog.known_bytes(version_); }

 private:
  struct Known {
    cache::ImageAttributes attributes;
    bool drifted = false;
  };
  using Directory = std::uint64_t;   // an ObjectId, as a key
  struct Name {
    Directory directory;
    std::string name;
    auto operator<=>(const Name&) const = default;
  };

  // From the catalogue, or the root from the source (cached_image.cc).
  Task<Result<cache::ImageObject>> object(cache::ObjectId id);
  Task<Result<void>> find_again(cache::ObjectId id);
  Task<Result<Known>> known(cache::ObjectId id);
  Task<Result<Known>> known_directory(cache::ObjectId id);
  Task<Result<void>> fetch_root(int);
  Task<Result<void>> shown(cache::Ticket ticket);
  Task<Result<cache::ObjectId>> ask_name(Name name);
  Task<Result<cache::ObjectId>> known_name(cache::ObjectId directory, const std::string& name);
  Task<Result<std::string>> fetch_target(Directory symlink);
  Task<Result<void>> read_from_source(cache::ObjectId file, std::uint64_t offset, ByteSpan into);

  // Listings (cached_image_list.cc).
  Task<Result<void>> fetch_page(Directory directory);
  Task<Result<SourcePage>> ask_page(cache::ObjectId directory, std::string cursor);
  Task<void> learn_more(cache::ObjectId directory);
  Task<bool> may_learn(cache::ObjectId directory);

  // The source, drift and STALE (cached_image_source.cc).
  template <class Answer>
  using SourceCall = std::function<Task<Result<Answer>>(const SourceRef&)>;
  Task<Result<SourceRef>> source_ref(cache::ObjectId id);
  template <class Answer>
  Task<Result<Answer>> ask_source(cache::ObjectId id, SourceCall<Answer> call);
  template <class Answer>
  Result<Answer> noted(Result<Answer> answer);
  Task<Result<void>> recover(Directory id);
  Task<Result<void>> keep_handles(std::vector<cache::ImageObject> steps,
                                  std::vector<cache::SourceEntry> found, SourceRef last);
  Task<Result<void>> follow(cache::ObjectId id, const std::string& handle, std::uint64_t fileid);
  Task<Result<std::optional<std::string>>> describe_change(cache::ObjectId id,
                                                           cache::ImageAttributes known,
                                                           const SourceRef& ref,
                                                           cache::ImageAttributes seen);
  // Nothing: the unit is not cached any more (evicted, or found damaged and dropped).
  Task<Result<std::optional<bool>>> shows_cached(cache::BlockKey unit, std::uint64_t size,
                                                 const SourceRef& ref);
  Task<Result<void>> expect_same(cache::ObjectId file, cache::ImageAttributes known,
                                 cache::ImageAttributes seen);
  Task<void> mark_drifted(cache::ObjectId id, std::string what);
  Task<void> report_contradictions();
  Task<Result<cache::Ticket>> add(std::function<Result<cache::Ticket>()> step);
  static Error for_client(const Error& error);

  ImageParts parts_;
  cache::VersionId version_;
  ImageOptions options_;
  TaskGroup tasks_;
  bool closing_ = false;
  RecentMap<cache::ObjectId, Known> objects_;
  SingleFlight<int, Result<void>> root_flight_;
  SingleFlight<Name, Result<cache::ObjectId>> name_flights_;
  SingleFlight<Directory, Result<void>> page_flights_, recover_flights_;
  SingleFlight<Directory, Result<std::string>> target_flights_;
  // Directories whose listing the source refuses: their names are looked up one by one. Bounded.
  RecentMap<cache::ObjectId, bool> unlistable_{4096};
  ImageStats stats_;
  Fetcher fetcher_;
};

}  // namespace rowan::proxy
