// Asking the source, and not trusting it: handles that went stale, objects that changed, answers
// that make no sense.
#include <algorithm>
#include <utility>
#include <vector>

#include "proxy/cached_image.h"
#include "rpc/base/log.h"

namespace rowan::proxy {
namespace {

using cache::ImageAttributes;
using cache::ImageObject;
using cache::ObjectId;

constexpr std::size_t max_drifted_paths = 16;
constexpr int max_add_attempts = 100;
// Of a file under another number: where cached units are looked for, and how many are compared.
constexpr std::uint32_t max_units_looked_at = 65536;
constexpr int max_units_compared = 4;

}  // namespace

// What the source's and the catalogue's errors are to a client. A disk too full to remember what
// was asked, or a source that does not answer, is no property of the image: the client is to ask
// again.
Error CachedImage::for_client(const Error& error) {
  switch (error.code) {
    case Errc::timed_out:
    case Errc::disconnected:
    case Errc::try_later:
    case Errc::limit:
    case Errc::no_space:
      return Error(Errc::try_later, error.detail);
    case Errc::not_permitted:
      return Error(Errc::access, error.detail);
    case Errc::not_found:
    case Errc::not_directory:
    case Errc::access:
    case Errc::stale:
      return error;
    default:
      return Error(Errc::io, to_string(error));
  }
}

template <class Answer>
Result<Answer> CachedImage::noted(Result<Answer> answer) {
  if (answer || answer.failed_with(Errc::not_found)) {
    stats_.trouble.clear();
    return answer;
  }
  ++stats_.source_errors;
  stats_.trouble = to_string(answer.error());
  return answer;
}
template Result<cache::SourceEntry> CachedImage::noted(Result<cache::SourceEntry>);

Task<Result<SourceRef>> CachedImage::source_ref(ObjectId id) {
  Result<ImageObject> known = co_await object(id);
  if (!known) co_return std::move(known).error();
  auto question = [this, id] { return parts_.catalog.path(id); };
  Result<std::string> path = co_await parts_.catalog_jobs.with_loads(question);
  if (!path) co_return for_client(path.error());
  SourceRef ref;
  ref.handle = std::move(known->source_handle);
  ref.path = path->substr(1);
  co_return ref;
}

// call(reference), and once more with a new handle if the old one has gone stale.
template <class Answer>
Task<Result<Answer>> CachedImage::ask_source(ObjectId id, SourceCall<Answer> call) {
  for (bool again = false;; again = true) {
    if (closing_) co_return Errc::try_later;
    Result<SourceRef> ref = co_await source_ref(id);
    if (!ref) co_return std::move(ref).error();
    ++stats_.source_calls;
    Result<Answer> answer = noted(co_await call(*ref));
    if (!answer.failed_with(Errc::stale)) co_return answer;
    if (again) co_return Error(Errc::try_later, "the source's new handle is stale as well");
    auto recovery = [this](Directory lost) { return recover(lost); };
    Result<void> recovered = co_await recover_flights_.run(to_number(id), recovery);
    if (!recovered) co_return std::move(recovered).error();
  }
}
template Task<Result<cache::SourceEntry>> CachedImage::ask_source(ObjectId,
                                                                  SourceCall<cache::SourceEntry>);
template Task<Result<SourcePage>> CachedImage::ask_source(ObjectId, SourceCall<SourcePage>);
template Task<Result<std::string>> CachedImage::ask_source(ObjectId, SourceCall<std::string>);

// Looks an object's path up again, from the root. It must be what is known; so must nothing else on
// the way: a changed directory above it is marked, but leads on.
Task<Result<void>> CachedImage::recover(Directory id) {
  ++stats_.stale_recoveries;
  const ObjectId lost{id};
  std::vector<ImageObject> steps;
  for (ObjectId at = lost;; at = steps.back().parent) {
    Result<ImageObject> step = co_await object(at);
    if (!step) co_return std::move(step).error();
    steps.push_back(std::move(*step));
    if (at == cache::image_root) break;
    if (steps.size() == max_path_depth)
      co_return Error(Errc::io, "the path does not lead to the root");
  }
  std::reverse(steps.begin(), steps.end());
  SourceRef ref;
  std::vector<cache::SourceEntry> found;
  for (const ImageObject& step : steps) {
    if (closing_) co_return Errc::try_later;
    ++stats_.source_calls;
    bool is_root = step.id == cache::image_root;
    Result<cache::SourceEntry> entry = Errc::not_found;
    if (is_root) entry = co_await parts_.source.root();
    else entry = co_await parts_.source.lookup(ref, step.name);
    entry = noted(std::move(entry));
    bool gone = entry.failed_with(Errc::not_found) || entry.failed_with(Errc::not_directory);
    if (gone) co_await mark_drifted(lost, "is gone");
    if (gone) co_return Error(Errc::io, "the source does not have it any more");
    // it changes while it is walked
    if (entry.failed_with(Errc::stale)) co_return Errc::try_later;
    if (!entry) co_return for_client(entry.error());
    if (!is_root && !ref.path.empty()) ref.path += "/";
    ref.path += step.name;
    ref.handle = entry->source_handle;
    found.push_back(std::move(*entry));
  }
  co_return co_await keep_handles(std::move(steps), std::move(found), std::move(ref));
}

// `last`: where the last of them, the object itself, was found.
Task<Result<void>> CachedImage::keep_handles(std::vector<ImageObject> steps,
                                             std::vector<cache::SourceEntry> found,
                                             SourceRef last) {
  bool same = true;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const ObjectId id = steps[i].id;
    const bool is_directory = steps[i].attributes.kind == cache::FileKind::directory;
    auto change = co_await describe_change(id, steps[i].attributes, last, found[i].attributes);
    if (!change) co_return std::move(change).error();
    same = !*change;   // of the last one: the object itself
    if (!same) co_await mark_drifted(id, **change);
    if (!same && !is_directory) continue;
    Result<void> kept = co_await follow(id, found[i].source_handle,
                                        found[i].attributes.source_fileid);
    if (!kept) co_return kept;
  }
  if (!same) co_return Error(Errc::io, "the source shows another object under this name");
  co_return Result<void>();
}

// Remembers where the source has the object now.
Task<Result<void>> CachedImage::follow(ObjectId id, const std::string& handle,
                                       std::uint64_t fileid) {
  auto step = [this, id, &handle, fileid] {
    return parts_.catalog.set_handle(version_, id, handle, fileid);
  };
  Result<cache::Ticket> added = co_await add(step);
  if (!added) co_return std::move(added).error();
  if (Known* hot = objects_.find(id)) hot->attributes.source_fileid = fileid;
  co_return Result<void>();
}

// Nothing: the same. A file's number alone tells nothing when all lies on another disk now, so a
// file that has another one is compared with some of what is cached of it, wherever that is.
Task<Result<std::optional<std::string>>> CachedImage::describe_change(ObjectId id,
                                                                      ImageAttributes known,
                                                                      const SourceRef& ref,
                                                                      ImageAttributes seen) {
  std::optional<std::string> change = cache::describe_drift(known, seen);
  const bool is_file = known.kind == cache::FileKind::regular;
  if (change || !is_file || known.source_fileid == seen.source_fileid) co_return change;
  const std::uint64_t units = (known.size + cache::unit_size - 1) / cache::unit_size;
  const auto end = static_cast<std::uint32_t>(std::min<std::uint64_t>(units, max_units_looked_at));
  int compared = 0;
  for (std::uint32_t index = 0; index < end && compared < max_units_compared; ++index) {
    const cache::BlockKey unit{version_, id, index};
    if (!parts_.blocks.contains(unit)) continue;
    Result<std::optional<bool>> same = co_await shows_cached(unit, known.size, ref);
    if (!same) co_return std::move(same).error();
    if (!*same) continue;
    if (!**same) co_return "content became another in a file of the same size and mtime";
    ++compared;
  }
  co_return change;
}

Task<Result<std::optional<bool>>> CachedImage::shows_cached(cache::BlockKey unit,
                                                            std::uint64_t size,
                                                            const SourceRef& ref) {
  const std::uint64_t offset = std::uint64_t{unit.index} * cache::unit_size;
  const auto count = std::min<std::uint64_t>(cache::unit_size, size - offset);
  std::vector<std::byte> cached(count), shown(count);
  auto question = [this, unit, &cached] { return parts_.blocks.read(unit, 0, cached); };
  Result<void> had = co_await parts_.block_jobs.with_loads(question);
  if (!had) co_return std::nullopt;
  ++stats_.source_calls;
  Result<SourceRead> read = co_await parts_.source.read(ref, offset, shown);
  if (!read) co_return for_client(read.error());
  if (read->count != count) co_return Error(Errc::io, "the source gave less than the file's size");
  co_return std::optional(cached == shown);
}

Task<void> CachedImage::mark_drifted(ObjectId id, std::string what) {
  Result<Known> before = co_await known(id);
  if (!before || before->drifted) co_return;
  if (Known* hot = objects_.find(id)) hot->drifted = true;
  ++stats_.drifted;
  std::string where = path(id);
  if (stats_.drifted_paths.size() < max_drifted_paths) stats_.drifted_paths.push_back(where);
  log(Level::error, "source.drift",
      {{"source", parts_.source.describe()},
       {"path", where},
       {"found", what},
       {"effect", "cached blocks are served, new ones are refused"},
       {"remedy", "add the changed tree as a new version of the image"}});
  auto question = [this, id] { return parts_.catalog.set_drifted(version_, id); };
  Result<cache::Ticket> marked = co_await parts_.catalog_jobs.with_loads(question);
  // in memory it holds in any case
  if (marked) (void)co_await parts_.catalog_jobs.durable(*marked);
}

// Runs a step of the catalogue until it is taken, and reports what contradicts it.
Task<Result<cache::Ticket>> CachedImage::add(std::function<Result<cache::Ticket>()> step) {
  Result<cache::Ticket> added = co_await parts_.catalog_jobs.with_loads(step);
  for (int attempt = 0; added.failed_with(Errc::try_later) && attempt < max_add_attempts;
       ++attempt) {
    // More waits for the disk than it may: let that become durable first.
    Result<void> durable = co_await parts_.catalog_jobs.durable(parts_.catalog.applied());
    if (!durable) co_return for_client(durable.error());
    added = co_await parts_.catalog_jobs.with_loads(step);
  }
  if (!added) {
    log(Level::error, "catalog.add_failed",
        {{"source", parts_.source.describe()}, {"error", to_string(added.error())}});
    co_return for_client(added.error());
  }
  // Also what nobody waits for (an absent name, a target) is to be there after a crash.
  parts_.catalog.want_durable(*added);
  parts_.catalog_jobs.pump();
  co_await report_contradictions();
  co_return added;
}

Task<void> CachedImage::report_contradictions() {
  for (cache::Contradiction& told : parts_.catalog.take_contradictions()) {
    if (told.version != version_) continue;
    ObjectId id = told.directory == cache::no_object ? cache::image_root : told.directory;
    if (!told.name.empty()) {
      auto question = [this, &told] {
        return parts_.catalog.lookup(version_, told.directory, told.name);
      };
      Result<ObjectId> child = co_await parts_.catalog_jobs.with_loads(question);
      if (child && *child != cache::no_object) id = *child;
      else told.what = told.name + " " + told.what;   // of the directory, then
    }
    co_await mark_drifted(id, told.what);
  }
}

// What came with data shows that it is the file's that is known.
Task<Result<void>> CachedImage::expect_same(ObjectId file, ImageAttributes known,
                                            ImageAttributes seen) {
  std::optional<std::string> change = cache::describe_drift(known, seen);
  // A server whose handles follow the name has another file under it, perhaps a copy.
  const bool moved = !change && known.source_fileid != seen.source_fileid;
  if (moved) {
    Result<SourceRef> ref = co_await source_ref(file);
    if (!ref) co_return std::move(ref).error();
    auto found = co_await describe_change(file, known, *ref, seen);
    if (!found) co_return std::move(found).error();
    change = std::move(*found);
    if (!change) co_return co_await follow(file, ref->handle, seen.source_fileid);
  }
  if (!change) co_return Result<void>();
  co_await mark_drifted(file, *change);
  co_return Error(Errc::io, "the source shows another content: " + *change);
}

// Exactly the bytes of the range, as the file is known to be: anything else is drift, or nonsense.
Task<Result<void>> CachedImage::read_from_source(ObjectId file, std::uint64_t offset,
                                                 ByteSpan into) {
  SourceCall<SourceRead> call = [this, offset, into](const SourceRef& ref) {
    return parts_.source.read(ref, offset, into);
  };
  Result<SourceRead> read = co_await ask_source(file, call);
  if (!read) co_return for_client(read.error());
  Result<Known> known = co_await this->known(file);
  if (!known) co_return std::move(known).error();
  if (!read->attributes && read->count < into.size()) {
    SourceCall<cache::ImageAttributes> ask = [this](const SourceRef& ref) {
      return parts_.source.attributes(ref);
    };
    Result<cache::ImageAttributes> now = co_await ask_source(file, ask);
    if (!now) co_return for_client(now.error());
    read->attributes = *now;
  }
  if (read->attributes) {
    Result<void> same = co_await expect_same(file, known->attributes, *read->attributes);
    if (!same) co_return same;
  }
  if (known->drifted) co_return Error(Errc::io, "the source does not show this file as it was");
  if (read->count == into.size()) co_return Result<void>();
  std::string where = path(file);
  log(Level::error, "source.short_read",
      {{"source", parts_.source.describe()}, {"path", where}, {"offset", offset},
       {"wanted", into.size()}, {"got", read->count},
       {"remedy", "the server gives less than the size it states; check it"}});
  co_return Error(Errc::io, "the source gave " + std::to_string(read->count) + " bytes");
}

}  // namespace rowan::proxy
