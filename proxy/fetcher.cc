// A read goes over its units once: what is in the page cache is copied at once, what is on disk is
// loaded, what is missing is fetched. Nothing of that waits for anything of another file.
#include "proxy/fetcher.h"

#include <algorithm>
#include <cstring>

#include "rpc/base/check.h"

namespace rowan::proxy {
namespace {

using cache::unit_size;

constexpr std::uint32_t max_units_per_fetch = 64;      // 1 MiB
constexpr std::uint32_t reads_without_read_ahead = 256;

std::uint32_t unit_of(std::uint64_t offset) {
  return static_cast<std::uint32_t>(offset / unit_size);
}

}  // namespace

void Fetcher::set_fetch_bytes(std::uint32_t bytes) {
  units_per_fetch_ = std::clamp(bytes / unit_size, std::uint32_t{1}, max_units_per_fetch);
}

Task<Result<void>> Fetcher::read(cache::ObjectId file, std::uint64_t size, std::uint64_t offset,
                                 ByteSpan into, bool may_fetch) {
  std::vector<Piece> cold, missing;
  for (std::size_t at = 0; at < into.size();) {
    auto skip = static_cast<std::uint32_t>((offset + at) % unit_size);
    Piece piece{unit_of(offset + at), skip, into.subspan(at)};
    Result<std::size_t> got = blocks_.read_run(key(file, piece.index), piece.skip, piece.into);
    if (got) {
      stats_.hits += (skip + *got + unit_size - 1) / unit_size;
      at += *got;
      continue;
    }
    piece.into = piece.into.first(std::min<std::size_t>(unit_size - skip, piece.into.size()));
    at += piece.into.size();
    if (got.failed_with(Errc::needs_load)) cold.push_back(piece);
    else if (got.failed_with(Errc::not_found)) missing.push_back(piece);
    else co_return std::move(got).error();
  }
  if (!cold.empty()) {
    std::optional<Error> failure;
    co_await load_cold(file, std::move(cold), missing, failure);
    if (failure) co_return std::move(*failure);
  }
  if (!missing.empty() && !may_fetch) {
    co_return Error(Errc::io, "the source does not show this file as it was");
  }
  std::vector<FetchPtr> awaited;
  if (!missing.empty()) awaited = start_missing(file, size, missing);
  if (may_fetch) read_ahead(file, size, offset, into.size());
  if (!missing.empty()) {
    CO_TRY_VOID(co_await copy_fetched(std::move(missing), std::move(awaited)));
  }
  stats_.bytes_served += into.size();
  co_return Result<void>();
}

Task<void> Fetcher::load(cache::ObjectId file, Piece piece, std::vector<Piece>& missing,
                         std::optional<Error>& failure) {
  auto question = [this, file, &piece] {
    return blocks_.read(key(file, piece.index), piece.skip, piece.into);
  };
  Result<void> done = co_await jobs_.with_loads(question);
  if (done) ++stats_.hits;
  else if (done.failed_with(Errc::not_found)) missing.push_back(piece);
  else failure = std::move(done).error();
}

Task<void> Fetcher::load_cold(cache::ObjectId file, std::vector<Piece> cold,
                              std::vector<Piece>& missing, std::optional<Error>& failure) {
  TaskGroup loads;
  for (const Piece& piece : cold) loads.start(load(file, piece, missing, failure));
  co_await loads.idle();
  std::sort(missing.begin(), missing.end(),
            [](const Piece& a, const Piece& b) { return a.index < b.index; });
}

std::vector<Fetcher::FetchPtr> Fetcher::start_missing(cache::ObjectId file, std::uint64_t size,
                                                      const std::vector<Piece>& missing) {
  stats_.misses += missing.size();
  jobs_.pump();   // of a unit that was found damaged the erasure is due
  std::vector<FetchPtr> started;
  for (std::size_t at = 0; at < missing.size();) {
    std::size_t end = at + 1;
    while (end < missing.size() && missing[end].index == missing[end - 1].index + 1) ++end;
    plan_fetches(file, size, {missing[at].index, missing[end - 1].index + 1, false}, started);
    at = end;
  }
  // Held before any starts: a source that answers at once ends its fetch before anybody waits for
  // it.
  std::vector<FetchPtr> awaited;
  for (const Piece& piece : missing) {
    FetchPtr fetch = in_flight_.at({file, piece.index});
    if (std::find(started.begin(), started.end(), fetch) == started.end()) ++stats_.joined;
    awaited.push_back(std::move(fetch));
  }
  for (const FetchPtr& fetch : started) tasks_.start(run_fetch(fetch));
  return awaited;
}

Task<Result<void>> Fetcher::copy_fetched(std::vector<Piece> missing,
                                         std::vector<FetchPtr> awaited) {
  for (std::size_t i = 0; i < missing.size(); ++i) {
    Fetch& fetch = *awaited[i];
    co_await fetch.done.wait();
    if (!fetch.done.value()) co_return fetch.done.value();
    std::size_t from = std::size_t{missing[i].index - fetch.first} * unit_size + missing[i].skip;
    CHECK_LE(from + missing[i].into.size(), fetch.data.size());
    std::memcpy(missing[i].into.data(), fetch.data.data() + from, missing[i].into.size());
  }
  co_return Result<void>();
}

// Fetches for those units of the range that are not on their way yet.
void Fetcher::plan_fetches(cache::ObjectId file, std::uint64_t size, UnitRange range,
                           std::vector<FetchPtr>& planned) {
  auto skipped = [&](std::uint32_t index) {
    return in_flight_.contains({file, index}) ||
           (range.ahead && blocks_.contains(key(file, index)));
  };
  for (std::uint32_t at = range.first; at < range.end;) {
    if (skipped(at)) {
      ++at;
      continue;
    }
    std::uint32_t stop = at + 1;
    while (stop < range.end && stop - at < units_per_fetch_ && !skipped(stop)) ++stop;
    std::uint64_t offset = std::uint64_t{at} * unit_size;
    std::uint64_t bytes = std::min<std::uint64_t>(size, std::uint64_t{stop} * unit_size) - offset;
    auto fetch = std::make_shared<Fetch>(loop_, file, at, bytes);
    fetch->ahead = range.ahead;
    if (range.ahead) read_ahead_in_flight_ += bytes;
    for (; at < stop; ++at) in_flight_.emplace(UnitId{file, at}, fetch);
    planned.push_back(std::move(fetch));
  }
}

Task<void> Fetcher::run_fetch(FetchPtr fetch) {
  cache::BlockCache::Generation seen = blocks_.generation(key(fetch->file, fetch->first));
  ++stats_.fetches;
  std::uint64_t offset = std::uint64_t{fetch->first} * unit_size;
  Result<void> done = co_await read_source_(fetch->file, offset, fetch->data.span());
  if (done) {
    stats_.bytes_fetched += fetch->data.size();
    if (fetch->ahead) stats_.bytes_read_ahead += fetch->data.size();
    keep(*fetch, seen);
  }
  if (fetch->ahead) read_ahead_in_flight_ -= fetch->data.size();
  std::uint32_t units = unit_of(fetch->data.size() + unit_size - 1);
  for (std::uint32_t i = 0; i < units; ++i) in_flight_.erase({fetch->file, fetch->first + i});
  fetch->done.set(std::move(done));
}

void Fetcher::keep(const Fetch& fetch, cache::BlockCache::Generation seen) {
  ByteView rest = fetch.data.view();
  for (std::uint32_t index = fetch.first; !rest.empty(); ++index) {
    std::size_t count = std::min<std::size_t>(unit_size, rest.size());
    blocks_.offer(key(fetch.file, index), rest.first(count), seen);
    rest = rest.subspan(count);
  }
  if (fetch.ahead && !blocks_.contains(key(fetch.file, fetch.first))) {
    read_ahead_pause_ = reads_without_read_ahead;
  }
  jobs_.pump();
}

void Fetcher::read_ahead(cache::ObjectId file, std::uint64_t size, std::uint64_t offset,
                         std::uint64_t length) {
  ReadAhead* streams = streams_.find(file);
  if (streams == nullptr) streams = &streams_.put(file, ReadAhead());
  ReadAheadRange range = streams->on_read(options_.read_ahead, offset, length, size);
  if (range.length == 0) return;
  if (read_ahead_pause_ > 0) {
    --read_ahead_pause_;
    return;
  }
  if (read_ahead_in_flight_ + range.length > options_.read_ahead_bytes) return;
  std::vector<FetchPtr> planned;
  UnitRange units{unit_of(range.offset + unit_size - 1),
                  unit_of(range.offset + range.length + unit_size - 1), true};
  plan_fetches(file, size, units, planned);
  for (const FetchPtr& fetch : planned) tasks_.start(run_fetch(fetch));
}

}  // namespace rowan::proxy
