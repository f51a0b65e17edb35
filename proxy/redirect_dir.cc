// READDIR and READDIRPLUS: ".", "..", the image's names that nothing here hides, then the local
// ones. Only what fits one reply is ever in memory.
//
// A listing is not atomic and need not be: cookies are stable, so a name that exists all the time
// is given exactly once; one that comes or goes meanwhile may be given or not.
#include <algorithm>

#include "proxy/dir_pages.h"
#include "proxy/redirect_common.h"

namespace rowan::proxy::redirect {
namespace {

using Phase = DirPosition::Phase;

constexpr std::size_t batch_limit = 512;  // entries fetched at a time

struct Listing {
  const Op& op;
  ObjectId directory{};
  DirPosition position;
  DirPage page;
  bool end = false;
};

struct Found {
  std::string_view name;
  ObjectId id{};
  nfs3::Cookie cookie = 0;
};

// Adds an entry. False: the page is full.
Task<Result<bool>> add(Listing& listing, Found found) {
  nfs3::DirEntry entry;
  entry.fileid = cache::to_number(found.id);
  entry.name = found.name;
  entry.cookie = found.cookie;
  if (listing.page.plus()) {
    Result<Node*> node = co_await listing.op.view.load_node(found.id);
    if (node.failed_with(Errc::stale)) co_return true;  // removed meanwhile
    // Without its attributes an entry is still worth having: the client asks when it needs them.
    if (node) entry.attributes = (*node)->attributes;
    entry.object = listing.op.view.handle(found.id);
  }
  co_return listing.page.add(std::move(entry));
}

Task<Result<bool>> add_dot(Listing& listing) {
  Found found{".", listing.directory, 1};
  CO_TRY(bool added, co_await add(listing, found));
  if (added) listing.position = {Phase::dot_dot, 0};
  co_return added;
}

Task<Result<bool>> add_dot_dot(Listing& listing) {
  MergedView& view = listing.op.view;
  auto step = [&](Facts& facts) { return view.parent(facts, listing.directory); };
  CO_TRY(ObjectId parent, co_await view.attempt(step));
  Found found{"..", parent, 2};
  CO_TRY(bool added, co_await add(listing, found));
  if (added) listing.position = {Phase::image, 0};
  co_return added;
}

// True if the store has its own word on the name.
Task<Result<bool>> is_overridden(Listing& listing, const std::string& name) {
  auto step = [&](Facts&) -> Result<bool> {
    Result<cache::NameRecord> record = listing.op.view.store().name(listing.directory, name);
    if (record.failed_with(Errc::not_found)) return false;
    if (!record) return std::move(record).error();
    return true;
  };
  co_return co_await listing.op.view.attempt(step);
}

Task<Result<bool>> has_local_names(Listing& listing) {
  auto step = [&](Facts&) { return listing.op.view.store().has_names(listing.directory); };
  co_return co_await listing.op.view.attempt(step);
}

Task<Result<bool>> add_image_batch(Listing& listing) {
  if (cache::is_local(listing.directory)) {
    listing.position = {Phase::local, 0};
    co_return true;
  }
  MergedView& view = listing.op.view;
  std::size_t limit = std::min(listing.page.room(), batch_limit);
  std::uint64_t after = listing.position.after;
  CO_TRY(cache::Listing batch, co_await view.image().list(listing.directory, after, limit));
  for (const auto& entry : batch.entries) {
    // Asked for each name: the answer may change while others are waited for.
    CO_TRY(bool some, co_await has_local_names(listing));
    bool hidden = false;
    if (some) {
      CO_TRY(hidden, co_await is_overridden(listing, entry.name));
    }
    if (!hidden) {
      Found found{entry.name, entry.child, image_cookie(entry.position)};
      CO_TRY(bool added, co_await add(listing, found));
      if (!added) co_return false;
    }
    listing.position.after = entry.position;
  }
  if (batch.complete || batch.entries.empty()) listing.position = {Phase::local, 0};
  co_return true;
}

Task<Result<bool>> add_local_batch(Listing& listing) {
  std::size_t limit = std::min(listing.page.room(), batch_limit);
  auto step = [&](Facts&) {
    return listing.op.view.store().names_after(listing.directory, listing.position.after, limit);
  };
  CO_TRY(std::vector<cache::NamedEntry> batch, co_await listing.op.view.attempt(step));
  for (const cache::NamedEntry& entry : batch) {
    Found found{entry.name, entry.record.child, local_cookie(entry.record.sequence)};
    CO_TRY(bool added, co_await add(listing, found));
    if (!added) co_return false;
    listing.position.after = entry.record.sequence;
  }
  listing.end = batch.size() < limit;
  co_return true;
}

Task<Result<bool>> add_batch(Listing& listing) {
  switch (listing.position.phase) {
    case Phase::dot:
      co_return co_await add_dot(listing);
    case Phase::dot_dot:
      co_return co_await add_dot_dot(listing);
    case Phase::image:
      co_return co_await add_image_batch(listing);
    case Phase::local:
      break;
  }
  co_return co_await add_local_batch(listing);
}

// Fills the page: OK, or why not.
Task<Result<Status>> fill(Listing& listing) {
  while (!listing.end) {
    Result<bool> more = co_await add_batch(listing);
    if (!more) {
      // What is there already is a good reply; the rest is asked for again.
      if (listing.page.empty()) co_return std::move(more).error();
      break;
    }
    if (!*more) break;
  }
  co_return listing.page.too_small() ? Status::toosmall : Status::ok;
}

Task<nfs3::ReaddirRes> list(const Op& op, ObjectId directory, nfs3::Cookie cookie, DirPage page) {
  nfs3::ReaddirRes res;
  auto step = [&](Facts& facts) { return op.view.directory(facts, directory); };
  Result<Node*> node = co_await op.view.attempt(step);
  if (!node) {
    res.status = finish(op, directory, node.error());
    co_return res;
  }
  res.dir_attributes = (*node)->attributes;
  std::optional<DirPosition> position = position_of(cookie);
  if (!position) {
    res.status = Status::bad_cookie;
  } else if (!permitted(op.caller, *res.dir_attributes, may_read)) {
    res.status = Status::acces;
  }
  if (res.status != Status::ok) co_return res;
  Listing listing{op, directory, *position, std::move(page), false};
  Result<Status> filled = co_await fill(listing);
  res.status = finish(op, directory, filled);
  if (res.status != Status::ok) co_return res;
  res.verifier = directory_verifier(op.view.settings().id);
  res.entries = listing.page.take();
  res.eof = listing.end;
  co_return res;
}

}  // namespace

Task<nfs3::ReaddirRes> readdir(const Op& op, ObjectId directory, const nfs3::ReaddirArgs& args) {
  DirPage page = DirPage::readdir(args.count);
  co_return co_await list(op, directory, args.cookie, std::move(page));
}

Task<nfs3::ReaddirRes> readdirplus(const Op& op, ObjectId directory,
                                   const nfs3::ReaddirplusArgs& args) {
  DirPage page = DirPage::readdirplus(args.dircount, args.maxcount);
  co_return co_await list(op, directory, args.cookie, std::move(page));
}

}  // namespace rowan::proxy::redirect
