// What is known of one image: its objects' ids, names and attributes in each version, kept for ever
// once seen, so that names and attributes are served with the source away. Built on the same engine
// as the redirect store (table.h); same strand, job and needs_load rules. Keys and values:
// catalog_records.h.
//
// Ids (ObjectId without the top bit) are digests of the path, so every host gives the same object
// the same id, but for files with several names: they have the id of the name that was seen first.
// An id may be shown to a client only once it is durable: wait for the ticket.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/file.h"
#include "cache/ids.h"
#include "cache/store.h"
#include "rpc/base/loop.h"
#include "rpc/base/result.h"

namespace rowan::cache {

struct ImageAttributes {
  FileKind kind = FileKind::regular;
  std::uint32_t mode = 0, nlink = 1, uid = 0, gid = 0;
  std::uint64_t size = 0, used = 0;
  std::uint32_t rdev_major = 0, rdev_minor = 0;
  WallTime atime, mtime, ctime;
  std::uint64_t source_fileid = 0;   // the source's own; joins hard links, tells replaced files
  friend bool operator==(const ImageAttributes&, const ImageAttributes&) = default;
};

struct ImageObject {
  ObjectId id = no_object;
  ObjectId parent = no_object;       // of the first name seen
  std::string name;
  ImageAttributes attributes;
  // opaque bytes of the source (an NFS handle; empty for a local directory)
  std::string source_handle;
  std::optional<std::string> target; // symlink, once read
  bool drifted = false;              // new blocks of it are refused
};

// A name as the source told it.
struct SourceEntry {
  std::string name;
  ImageAttributes attributes;
  std::string source_handle;
};

struct Listing {                      // one page, in the fixed order
  struct Entry { std::uint64_t position; std::string name; ObjectId child; };
  std::vector<Entry> entries;
  bool complete = false;              // no entry follows, and none will
  // where the source goes on, when !complete and the page ran dry
  std::string source_cursor;
};

// The source told something else than before. The first telling stands.
struct Contradiction {
  VersionId version{};
  ObjectId directory = no_object;    // no_object: the root itself
  std::string name;
  std::string what;                  // for the log: "size 10 became 12", "was absent before"
};

// Differences that mean other content: kind, size or mtime. A ctime that moves alone does not (a
// link was added, a mode was set and set back), nor do atime, nlink and owners: what was seen first
// of them stays. Another number (the tree was copied to another disk) is for the caller to judge by
// the content. Nothing: the same.
std::optional<std::string> describe_drift(const ImageAttributes& known,
                                          const ImageAttributes& seen);

// A name that a version has shown, and the name its object's id comes from: what another host must
// know so that its clients find the same objects under the same ids.
struct KnownName {
  ObjectId directory = no_object;
  std::string name;
  ObjectId child = no_object;
  ObjectId first_directory = no_object;
  std::string first_name;
  friend bool operator==(const KnownName&, const KnownName&) = default;
};
inline constexpr std::size_t max_known_names = 1000;   // of one take_names()

inline constexpr std::size_t max_cursor_bytes = 4096;
inline constexpr std::size_t max_source_handle_bytes = 1024;

class Catalog {
 public:
  // Makes or opens it; synchronous, for a start-up thread. `directory` outlives it.
  static Result<std::unique_ptr<Catalog>> open(Directory& directory);
  virtual ~Catalog() = default;

  // not_found: never seen in that version.
  virtual Result<ImageObject> object(VersionId version, ObjectId id) = 0;
  // The child; no_object if it is known to be absent; not_found if the source must be asked.
  virtual Result<ObjectId> lookup(VersionId version, ObjectId directory, std::string_view name) = 0;
  // At most `limit` entries. An unknown directory is an empty listing that is not complete.
  virtual Result<Listing> list(VersionId version, ObjectId directory, std::uint64_t after_position,
                               std::size_t limit) = 0;
  // Root-relative path for messages and for finding an object again after STALE: "/usr/bin/cc".
  virtual Result<std::string> path(ObjectId id) = 0;

  // What the source told. Known facts are never replaced (immutable by contract); contradictions
  // are collected for the caller to report. Each returns the ticket after which the ids in it may
  // be shown. Besides needs_load: try_later (run jobs first), no_space, the table's failure.
  // Nothing changed then, except that a first part of a page may have been added; adding the same
  // page again is no harm. invalid: a name of 0 or more than 255 bytes, or with '/' or NUL, "." and
  // ".."; or a bound above exceeded.
  virtual Result<Ticket> add_root(VersionId version, const SourceEntry& root) = 0;
  virtual Result<Ticket> add_entry(VersionId version, ObjectId directory,
                                   const SourceEntry& entry) = 0;
  // Kept for a bounded number of names per directory: beyond, the source is asked each time.
  virtual Result<Ticket> add_absent(VersionId version, ObjectId directory,
                                    std::string_view name) = 0;
  // The next page of a listing: appended in this order. `cursor` as Listing::source_cursor; `last`:
  // the end.
  virtual Result<Ticket> add_page(VersionId version, ObjectId directory,
                                  const std::vector<SourceEntry>& entries, std::string cursor,
                                  bool last) = 0;
  virtual Result<Ticket> add_target(VersionId version, ObjectId symlink, std::string target) = 0;
  // Where the source has the object now; a name of it that is told later is joined by the number.
  virtual Result<Ticket> set_handle(VersionId version, ObjectId id, std::string source_handle,
                                    std::uint64_t source_fileid) = 0;
  virtual Result<Ticket> set_drifted(VersionId version, ObjectId id) = 0;
  // The first `limit` objects that set_drifted() was called for, in no order of note.
  virtual Result<std::vector<ObjectId>> drifted(VersionId version, std::size_t limit) = 0;
  // At most the last 64; given once.
  virtual std::vector<Contradiction> take_contradictions() = 0;

  // Where an object of any version was, or of another host's; not_found: never heard of.
  virtual Result<KnownName> origin(ObjectId id) = 0;
  // The first `limit` names of a version behind one of them (or the default: from the start).
  virtual Result<std::vector<KnownName>> known_names(VersionId version, const KnownName& behind,
                                                     std::size_t limit) = 0;
  // The names get these ids when they are first seen here. exists: a name has another id here
  // already, or is known to be absent; names it. corrupt: not what known_names() gives.
  virtual Result<Ticket> take_names(VersionId version, const std::vector<KnownName>& names) = 0;

  // What the other calls answer may be newer than the disk. The ticket after which an id, and the
  // positions of a listing, may be shown to a client; 0 when that is now.
  virtual Ticket shown_after(ObjectId id) const = 0;
  virtual Ticket listing_shown_after(ObjectId directory) const = 0;

  virtual std::uint64_t object_count(VersionId version) const = 0;
  // sum of sizes of regular files seen
  virtual std::uint64_t known_bytes(VersionId version) const = 0;
  // Forgets a version that nobody uses, a bounded piece at a time: try_later means run the jobs and
  // call it again. Identities stay, so that ids are never given to other paths.
  virtual Result<Ticket> remove_version(VersionId version) = 0;

  virtual void want_durable(Ticket ticket) = 0;
  virtual Ticket applied() const = 0;
  virtual Ticket durable() const = 0;
  virtual const std::optional<Error>& failure() const = 0;
  virtual std::unique_ptr<Job> take_load() = 0;
  virtual std::unique_ptr<Job> next_job() = 0;
  virtual void complete(std::unique_ptr<Job> job) = 0;
  virtual bool busy() const = 0;
  // Before a clean shutdown (table.h): then run jobs until !busy(). Nothing can be added
  // afterwards.
  virtual void prepare_close() = 0;
  virtual std::uint64_t memory_bytes() const = 0;
};

}  // namespace rowan::cache
