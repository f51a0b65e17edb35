#include "proxy/nfs_source.h"

#include <algorithm>
#include <cstring>

#include "proxy/nfs_cursor.h"
#include "proxy/nfs_mount.h"
#include "rpc/base/log.h"
#include "rpc/nfs3_status.h"

namespace rowan::proxy {
namespace {

constexpr std::uint32_t first_listing_size = 64u << 10;
constexpr std::uint32_t largest_listing_size = 1u << 20;
constexpr std::size_t lookups_at_once = 16;
// A listing that is longer has no end (fault: endless answers).
constexpr std::uint64_t most_entries = 1u << 27;
// READs beyond the expected number that short answers may cost.
constexpr std::size_t spare_reads = 64;
constexpr std::uint32_t nanoseconds_per_second = 1'000'000'000;

WallTime to_wall(nfs3::Time time) {
  return {time.seconds, std::min(time.nseconds, nanoseconds_per_second - 1)};
}

cache::ImageAttributes to_image(const nfs3::Attributes& from) {
  cache::ImageAttributes to;
  to.kind = static_cast<cache::FileKind>(from.type);  // both are RFC 1813's ftype3
  to.mode = from.mode;
  to.nlink = from.nlink;
  to.uid = from.uid;
  to.gid = from.gid;
  to.size = from.size;
  to.used = from.used;
  to.rdev_major = from.rdev.major;
  to.rdev_minor = from.rdev.minor;
  to.atime = to_wall(from.atime);
  to.mtime = to_wall(from.mtime);
  to.ctime = to_wall(from.ctime);
  to.source_fileid = from.fileid;
  return to;
}

bool same_content(const nfs3::Attributes& a, const nfs3::Attributes& b) {
  return a.size == b.size && a.mtime == b.mtime && a.ctime == b.ctime;
}

std::string to_text(const nfs3::Handle& handle) { return std::string(as_text(handle.view())); }

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= nfs3::max_name_length && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

Errc source_errc(nfs3::Status status) {
  // A handle that the server issued and now does not know is as stale as one whose object is gone.
  return status == nfs3::Status::badhandle ? Errc::stale : nfs3::errc_of(status);
}

class Implementation final : public NfsSource {
 public:
  Implementation(AsioLoop& loop, NfsUrl url, NfsSourceOptions options)
      : loop_(loop), url_(std::move(url)), options_(options), mount_(loop, url_, options_),
        idle_(loop) {}

  Task<Result<cache::SourceEntry>> root() override;
  Task<Result<cache::SourceEntry>> lookup(const SourceRef& directory,
                                          std::string_view name) override;
  Task<Result<SourcePage>> list(const SourceRef& directory, std::string_view cursor) override;
  Task<Result<std::string>> readlink(const SourceRef& symlink) override;
  Task<Result<SourceRead>> read(const SourceRef& file, std::uint64_t offset,
                                ByteSpan into) override;
  Task<Result<cache::ImageAttributes>> attributes(const SourceRef& object) override;
  SourceLimits limits() const override { return {mount_.read_size(), options_.reads_in_flight}; }
  std::string describe() const override {
    return to_string(url_) + (mount_.from_any_port() ? " (from an unprivileged port)" : "");
  }
  Task<void> close() override;

 private:
  // Counts an operation, so that close() can wait for it.
  class Busy {
   public:
    explicit Busy(Implementation& source) : source_(source) { ++source_.busy_; }
    ~Busy() {
      if (--source_.busy_ == 0 && source_.closed_) source_.idle_.set();
    }
    Busy(const Busy&) = delete;

   private:
    Implementation& source_;
  };
  struct Read;  // the state of one read()

  template <class Res, class Start>
  Task<Result<Res>> ask(Start start);
  Error refused(nfs3::Status status, std::string_view procedure, std::string_view path) const;
  Error nonsense(std::string_view path, std::string_view what) const;
  Task<Result<nfs3::Handle>> handle_of(const SourceRef& object);
  Task<Result<nfs3::Attributes>> getattr(nfs3::Handle object, std::string_view path);
  Task<Result<cache::SourceEntry>> lookup_in(nfs3::Handle directory, std::string_view name,
                                             std::string_view path);
  Task<Result<nfs3::ReaddirRes>> ask_page(nfs3::Handle directory, const NfsCursor& from);
  Result<void> check_page(const nfs3::ReaddirRes& page, const NfsCursor& from,
                          std::string_view path) const;
  Task<Result<void>> complete_entries(nfs3::Handle directory, nfs3::ReaddirRes& page,
                                      std::string_view path);
  struct Missing;
  Task<void> look_up_missing(Missing& missing);
  Task<Result<void>> take_piece(Read& state, const rpc::ReadInto& res, std::uint32_t asked);
  bool too_small(const nfs3::ReaddirRes& page) const;
  std::size_t reads_allowed(std::size_t bytes) const {
    return 2 * (bytes / mount_.read_size() + 1) + spare_reads;
  }

  AsioLoop& loop_;
  const NfsUrl url_;
  const NfsSourceOptions options_;
  NfsMount mount_;
  bool no_readdirplus_ = false;
  std::size_t busy_ = 0;
  bool closed_ = false;
  Signal idle_;
};

Error Implementation::refused(nfs3::Status status, std::string_view procedure,
                              std::string_view path) const {
  Errc code = source_errc(status);
  if (code == Errc::not_found || code == Errc::stale) return code;  // part of normal life
  return Error(code, std::string(procedure) + " of '" + std::string(path) + "' in " +
                         to_string(url_) + ": " + std::string(nfs3::to_string(status)));
}

Error Implementation::nonsense(std::string_view path, std::string_view what) const {
  return Error(Errc::malformed,
               "'" + std::string(path) + "' in " + to_string(url_) + ": " + std::string(what));
}

// Mounts if need be, asks, and asks again while the answer is JUKEBOX. `start` makes the call; what
// it refers to is in the caller's frame.
template <class Res, class Start>
Task<Result<Res>> Implementation::ask(Start start) {
  MonotonicTime end = loop_.clock().now() + options_.deadline;
  Duration pause = options_.first_retry;
  for (;;) {
    CO_TRY_VOID(co_await mount_.ensure());
    Task<Result<Res>> attempt = start();
    Result<Res> res = co_await attempt;
    if (!res) {
      if (res.error().code == Errc::timed_out) mount_.suspect();
      co_return res;
    }
    if (res->status != nfs3::Status::jukebox) co_return res;
    if (closed_) co_return Error(Errc::disconnected, "the source is closed");
    if (loop_.clock().now() + pause >= end) {
      co_return Error(Errc::timed_out, to_string(url_) + " goes on answering NFS3ERR_JUKEBOX");
    }
    co_await sleep_for(loop_, pause);
    pause = std::min(2 * pause, options_.longest_retry);
  }
}

Task<Result<nfs3::Handle>> Implementation::handle_of(const SourceRef& object) {
  nfs3::Handle handle;
  if (object.handle.size() > handle.bytes.size()) co_return Errc::stale;
  if (!object.handle.empty()) {
    handle.size = static_cast<std::uint8_t>(object.handle.size());
    std::memcpy(handle.bytes.data(), object.handle.data(), object.handle.size());
    co_return handle;
  }
  CO_TRY_VOID(co_await mount_.ensure());
  handle = mount_.root();
  std::string_view left = object.path;
  while (!left.empty()) {
    std::string_view name = left.substr(0, left.find('/'));
    left.remove_prefix(std::min(left.size(), name.size() + 1));
    auto start = [&] { return mount_.nfs().lookup(handle, name); };
    CO_TRY(nfs3::LookupRes res, co_await ask<nfs3::LookupRes>(start));
    if (res.status != nfs3::Status::ok) co_return refused(res.status, "LOOKUP", object.path);
    handle = res.object;
  }
  co_return handle;
}

Task<Result<nfs3::Attributes>> Implementation::getattr(nfs3::Handle object, std::string_view path) {
  auto start = [&] { return mount_.nfs().getattr(object); };
  CO_TRY(nfs3::GetattrRes res, co_await ask<nfs3::GetattrRes>(start));
  if (res.status != nfs3::Status::ok) co_return refused(res.status, "GETATTR", path);
  co_return res.attributes;
}

Task<Result<cache::SourceEntry>> Implementation::root() {
  Busy busy(*this);
  for (bool again = false;; again = true) {
    CO_TRY_VOID(co_await mount_.ensure());
    nfs3::Handle handle = mount_.root();
    Result<nfs3::Attributes> attributes = co_await getattr(handle, "");
    if (attributes.failed_with(Errc::stale) && !again) {
      mount_.forget_root();
      continue;
    }
    if (!attributes) co_return std::move(attributes).error();
    if (attributes->type != nfs3::FileType::directory) {
      co_return Error(Errc::not_directory, to_string(url_) + " is not a directory");
    }
    cache::SourceEntry entry;
    entry.attributes = to_image(*attributes);
    entry.source_handle = to_text(handle);
    co_return entry;
  }
}

Task<Result<cache::SourceEntry>> Implementation::lookup_in(nfs3::Handle directory,
                                                           std::string_view name,
                                                           std::string_view path) {
  auto start = [&] { return mount_.nfs().lookup(directory, name); };
  CO_TRY(nfs3::LookupRes res, co_await ask<nfs3::LookupRes>(start));
  if (res.status != nfs3::Status::ok) co_return refused(res.status, "LOOKUP", path);
  if (res.object.size == 0) co_return nonsense(path, "LOOKUP gave an empty handle");
  if (!res.attributes) {
    CO_TRY(res.attributes, co_await getattr(res.object, path));
  }
  cache::SourceEntry entry;
  entry.name = name;
  entry.attributes = to_image(*res.attributes);
  entry.source_handle = to_text(res.object);
  co_return entry;
}

Task<Result<cache::SourceEntry>> Implementation::lookup(const SourceRef& directory,
                                                        std::string_view name) {
  Busy busy(*this);
  CHECK(is_name(name) || name.size() > nfs3::max_name_length);
  if (name.size() > nfs3::max_name_length) co_return Errc::name_too_long;
  std::string owned(name);
  std::string path = directory.path.empty() ? owned : directory.path + '/' + owned;
  CO_TRY(nfs3::Handle handle, co_await handle_of(directory));
  co_return co_await lookup_in(handle, owned, path);
}

bool Implementation::too_small(const nfs3::ReaddirRes& page) const {
  return page.status == nfs3::Status::toosmall ||
         (page.status == nfs3::Status::ok && page.entries.empty() && !page.eof);
}

// One READDIRPLUS, or READDIR where the server has only that.
Task<Result<nfs3::ReaddirRes>> Implementation::ask_page(nfs3::Handle directory,
                                                        const NfsCursor& from) {
  for (std::uint32_t size = first_listing_size;;) {
    auto plus = [&] {
      nfs3::ReaddirplusArgs args{directory, from.cookie, from.verifier, size / 2, size};
      return mount_.nfs().readdirplus(args);
    };
    auto plain = [&] {
      nfs3::ReaddirArgs args{directory, from.cookie, from.verifier, size};
      return mount_.nfs().readdir(args);
    };
    Result<nfs3::ReaddirRes> page(Errc::io);
    if (no_readdirplus_) {
      page = co_await ask<nfs3::ReaddirRes>(plain);
    } else {
      page = co_await ask<nfs3::ReaddirRes>(plus);
      if ((page && page->status == nfs3::Status::notsupp) ||
          page.failed_with(Errc::not_supported)) {
        no_readdirplus_ = true;
        continue;
      }
    }
    if (!page || !too_small(*page) || size >= largest_listing_size) co_return page;
    size *= 4;
  }
}

Result<void> Implementation::check_page(const nfs3::ReaddirRes& page, const NfsCursor& from,
                                        std::string_view path) const {
  for (const nfs3::DirEntry& entry : page.entries) {
    if (entry.name != "." && entry.name != ".." && !is_name(entry.name)) {
      return nonsense(path, "its listing has a name that cannot be one");
    }
  }
  if (page.eof) return {};
  if (page.entries.empty()) return nonsense(path, "its listing ends without an end");
  if (page.entries.back().cookie == from.cookie) {
    return nonsense(path, "its listing makes no progress");
  }
  if (from.entries + page.entries.size() > most_entries) {
    return nonsense(path, "its listing does not end");
  }
  return {};
}

struct Implementation::Missing {
  nfs3::Handle directory;
  nfs3::ReaddirRes& page;
  std::string_view path;
  std::vector<std::size_t> indices;
  std::size_t next = 0;
  std::optional<Error> failure;
};

Task<void> Implementation::look_up_missing(Missing& missing) {
  while (missing.next < missing.indices.size() && !missing.failure) {
    nfs3::DirEntry& entry = missing.page.entries[missing.indices[missing.next++]];
    auto start = [&] { return mount_.nfs().lookup(missing.directory, entry.name); };
    Result<nfs3::LookupRes> res = co_await ask<nfs3::LookupRes>(start);
    if (!res) {
      missing.failure = std::move(res).error();
      co_return;
    }
    if (res->status == nfs3::Status::noent) continue;  // removed meanwhile: not listed
    if (res->status != nfs3::Status::ok) {
      std::string path = std::string(missing.path) + '/' + entry.name;
      missing.failure = refused(res->status, "LOOKUP", path);
      co_return;
    }
    if (!res->attributes) {
      Result<nfs3::Attributes> attributes = co_await getattr(res->object, missing.path);
      if (!attributes) {
        missing.failure = std::move(attributes).error();
        co_return;
      }
      res->attributes = *attributes;
    }
    entry.object = res->object;
    entry.attributes = res->attributes;
  }
}

// READDIR gives names only, and READDIRPLUS may leave out what it likes (RFC 1813, 3.3.17).
Task<Result<void>> Implementation::complete_entries(nfs3::Handle directory, nfs3::ReaddirRes& page,
                                                    std::string_view path) {
  Missing missing{directory, page, path, {}, 0, std::nullopt};
  for (std::size_t i = 0; i < page.entries.size(); ++i) {
    const nfs3::DirEntry& entry = page.entries[i];
    bool dots = entry.name == "." || entry.name == "..";
    bool whole = entry.attributes && entry.object && entry.object->size != 0;
    if (!dots && !whole) missing.indices.push_back(i);
  }
  TaskGroup group;
  for (std::size_t i = 0; i < std::min(lookups_at_once, missing.indices.size()); ++i) {
    group.start(look_up_missing(missing));
  }
  co_await group.idle();
  if (missing.failure) co_return std::move(*missing.failure);
  co_return Result<void>();
}

Task<Result<SourcePage>> Implementation::list(const SourceRef& directory, std::string_view cursor) {
  Busy busy(*this);
  CO_TRY(NfsCursor from, decode_cursor(cursor));
  std::string path = directory.path;
  CO_TRY(nfs3::Handle handle, co_await handle_of(directory));
  CO_TRY(nfs3::ReaddirRes page, co_await ask_page(handle, from));
  if (page.status != nfs3::Status::ok) co_return refused(page.status, "READDIR", path);
  CO_TRY_VOID(check_page(page, from, path));
  CO_TRY_VOID(co_await complete_entries(handle, page, path));
  SourcePage out;
  out.last = page.eof;
  for (nfs3::DirEntry& entry : page.entries) {
    if (entry.name == "." || entry.name == ".." || !entry.attributes || !entry.object) continue;
    cache::SourceEntry named;
    named.name = std::move(entry.name);
    named.attributes = to_image(*entry.attributes);
    named.source_handle = to_text(*entry.object);
    out.entries.push_back(std::move(named));
  }
  if (!page.eof) {
    NfsCursor next;
    next.cookie = page.entries.back().cookie;
    next.verifier = page.verifier;
    next.entries = from.entries + page.entries.size();
    out.cursor = encode(next);
  }
  co_return out;
}

Task<Result<std::string>> Implementation::readlink(const SourceRef& symlink) {
  Busy busy(*this);
  std::string path = symlink.path;
  CO_TRY(nfs3::Handle handle, co_await handle_of(symlink));
  auto start = [&] { return mount_.nfs().readlink(handle); };
  CO_TRY(nfs3::ReadlinkRes res, co_await ask<nfs3::ReadlinkRes>(start));
  if (res.status != nfs3::Status::ok) co_return refused(res.status, "READLINK", path);
  bool good = !res.target.empty() && res.target.size() <= nfs3::max_symlink_length &&
              res.target.find('\0') == std::string::npos;
  if (!good) co_return nonsense(path, "the target of the symbolic link cannot be one");
  co_return std::move(res.target);
}

struct Implementation::Read {
  nfs3::Handle handle;
  std::string path;
  std::uint64_t offset;
  std::size_t size;
  std::size_t done = 0;
  bool eof = false;
  std::optional<nfs3::Attributes> attributes;
};

// Decides what an answer to one READ is worth. RFC 1813, 3.3.6: fewer bytes than asked for are no
// end of file, only eof says so; and eof is believed only if the size agrees.
Task<Result<void>> Implementation::take_piece(Read& state, const rpc::ReadInto& res,
                                              std::uint32_t asked) {
  if (res.attributes) {
    if (state.attributes && !same_content(*state.attributes, *res.attributes)) {
      co_return Error(Errc::drift, "'" + state.path + "' in " + to_string(url_) +
                                       " was changed while it was read");
    }
    state.attributes = res.attributes;
  }
  state.done += res.count;
  if (res.count == asked && !res.eof) co_return Result<void>();
  if (res.count != 0 && !res.eof) co_return Result<void>();  // a short read: go on behind it
  if (!state.attributes) {
    CO_TRY(state.attributes, co_await getattr(state.handle, state.path));
  }
  std::uint64_t reached = state.offset + state.done;
  if (reached >= state.attributes->size) {
    state.eof = true;
  } else if (res.count == 0) {
    co_return nonsense(state.path, "READ gives nothing before the end of the file");
  }
  co_return Result<void>();
}

Task<Result<SourceRead>> Implementation::read(const SourceRef& file, std::uint64_t offset,
                                              ByteSpan into) {
  Busy busy(*this);
  if (!checked_add(offset, into.size())) co_return Errc::invalid;
  Read state{{}, file.path, offset, into.size(), 0, false, std::nullopt};
  CO_TRY(state.handle, co_await handle_of(file));
  CO_TRY_VOID(co_await mount_.ensure());
  std::size_t most_reads = reads_allowed(into.size());
  bool limits_are_fresh = false;
  for (std::size_t reads = 0; state.done < into.size() && !state.eof; ++reads) {
    if (reads == most_reads) co_return nonsense(state.path, "READ gives only crumbs");
    std::size_t left = into.size() - state.done;
    ByteSpan piece = into.subspan(state.done, std::min<std::size_t>(left, mount_.read_size()));
    auto start = [&] { return mount_.nfs().read(state.handle, offset + state.done, piece); };
    CO_TRY(rpc::ReadInto res, co_await ask<rpc::ReadInto>(start));
    if (res.status != nfs3::Status::ok) co_return refused(res.status, "READ", state.path);
    CO_TRY_VOID(co_await take_piece(state, res, static_cast<std::uint32_t>(piece.size())));
    if (res.count < piece.size() && !state.eof && !limits_are_fresh) {
      // A server that came back with a smaller rtmax answers short; learn what it takes now.
      co_await mount_.refresh_limits();
      limits_are_fresh = true;
      most_reads = reads + reads_allowed(into.size() - state.done);
    }
  }
  SourceRead out;
  out.count = static_cast<std::uint32_t>(state.done);
  out.eof = state.eof || (state.attributes && offset + state.done >= state.attributes->size);
  if (state.attributes) out.attributes = to_image(*state.attributes);
  co_return out;
}

Task<Result<cache::ImageAttributes>> Implementation::attributes(const SourceRef& object) {
  Busy busy(*this);
  std::string path = object.path;
  CO_TRY(nfs3::Handle handle, co_await handle_of(object));
  CO_TRY(nfs3::Attributes attributes, co_await getattr(handle, path));
  co_return to_image(attributes);
}

Task<void> Implementation::close() {
  closed_ = true;
  co_await mount_.close();
  if (busy_ != 0) co_await idle_.wait();
}

}  // namespace

std::unique_ptr<NfsSource> NfsSource::create(AsioLoop& loop, NfsUrl url, NfsSourceOptions options) {
  return std::make_unique<Implementation>(loop, std::move(url), options);
}

}  // namespace rowan::proxy
