// Listings: fetched page by page, in the order of the source, and kept.
#include <algorithm>

#include "proxy/cached_image.h"
#include "rpc/base/log.h"

namespace rowan::proxy {
namespace {

using cache::Listing;
using cache::ObjectId;

// Pages in a row that tell nothing new: then the source goes round in circles.
constexpr int max_idle_pages = 16;
constexpr std::size_t max_page_entries = 65536;

}  // namespace

Task<Result<Listing>> CachedImage::list(ObjectId directory, std::uint64_t after_position,
                                        std::size_t limit) {
  Result<Known> known = co_await known_directory(directory);
  if (!known) co_return std::move(known).error();
  auto question = [this, directory, after_position, limit] {
    return parts_.catalog.list(version_, directory, after_position, limit);
  };
  std::size_t before = 0;
  for (int idle = 0; idle < max_idle_pages;) {
    Result<Listing> listing = co_await parts_.catalog_jobs.with_loads(question);
    if (!listing) co_return for_client(listing.error());
    if (listing->complete || listing->entries.size() >= limit) {
      cache::Ticket ticket = parts_.catalog.listing_shown_after(directory);
      for (const Listing::Entry& entry : listing->entries) {
        ticket = std::max(ticket, parts_.catalog.shown_after(entry.child));
      }
      CO_TRY_VOID(co_await shown(ticket));
      co_return listing;
    }
    if (known->drifted)
      co_return Error(Errc::io, "the source does not show this directory as it was");
    idle = listing->entries.size() == before ? idle + 1 : 0;
    before = listing->entries.size();
    auto fetch = [this](Directory id) { return fetch_page(id); };
    Result<void> fetched = co_await page_flights_.run(to_number(directory), fetch);
    if (!fetched) co_return std::move(fetched).error();
  }
  log(Level::error, "source.endless_listing",
      {{"source", parts_.source.describe()}, {"path", path(directory)},
       {"remedy", "the server repeats itself; look at its log, or serve the tree from a copy"}});
  co_return Error(Errc::io, "the source's listing does not end");
}

Task<Result<SourcePage>> CachedImage::ask_page(ObjectId directory, std::string cursor) {
  SourceCall<SourcePage> call = [this, &cursor](const SourceRef& ref) {
    return parts_.source.list(ref, cursor);
  };
  Result<SourcePage> page = co_await ask_source(directory, call);
  // The source has forgotten where it was: from the start, names that are known are not listed
  // twice.
  if (page.failed_with(Errc::bad_cookie) && !cursor.empty()) {
    cursor.clear();
    page = co_await ask_source(directory, call);
  }
  if (page && (page->entries.size() > max_page_entries || (page->entries.empty() && !page->last))) {
    co_return Error(Errc::malformed,
                    "a page of " + std::to_string(page->entries.size()) + " entries");
  }
  co_return page;
}

// Fetches the next page of a listing that is not complete.
Task<Result<void>> CachedImage::fetch_page(Directory id) {
  ObjectId directory{id};
  auto question = [this, directory] { return parts_.catalog.list(version_, directory, ~0ull, 1); };
  Result<Listing> at = co_await parts_.catalog_jobs.with_loads(question);
  if (!at) co_return for_client(at.error());
  if (at->complete) co_return Result<void>();
  Result<SourcePage> page = co_await ask_page(directory, at->source_cursor);
  if (!page) {
    Error shown_error = for_client(page.error());
    if (shown_error.code != Errc::try_later) unlistable_.put(directory, true);
    co_return shown_error;
  }
  auto step = [this, directory, &page] {
    return parts_.catalog.add_page(version_, directory, page->entries, page->cursor, page->last);
  };
  Result<cache::Ticket> added = co_await add(step);
  if (!added) co_return std::move(added).error();
  co_return Result<void>();
}

// True while look-ups have not fetched any of the listing.
Task<bool> CachedImage::may_learn(ObjectId directory) {
  if (unlistable_.find(directory) != nullptr || options_.learned_entries == 0) co_return false;
  auto question = [this, directory] { return parts_.catalog.list(version_, directory, 0, 1); };
  Result<Listing> at = co_await parts_.catalog_jobs.with_loads(question);
  co_return at && !at->complete && at->entries.empty();
}

// A further miss: the next page comes meanwhile, until look-ups have fetched their share.
Task<void> CachedImage::learn_more(ObjectId directory) {
  if (options_.learned_entries == 0 || unlistable_.find(directory) != nullptr) co_return;
  if (page_flights_.under_way(to_number(directory))) co_return;
  auto question = [this, directory] {
    return parts_.catalog.list(version_, directory, options_.learned_entries, 1);
  };
  Result<Listing> beyond = co_await parts_.catalog_jobs.with_loads(question);
  if (!beyond || beyond->complete || !beyond->entries.empty() || closing_) co_return;
  auto fetch = [this](Directory id) { return fetch_page(id); };
  // only to learn: a failure costs nothing
  (void)co_await page_flights_.run(to_number(directory), fetch);
}

}  // namespace rowan::proxy
