// The redirect store of one appliance: everything it has changed, by object, versioned. Semantics
// of files (what a truncated image file shows) live here; semantics of NFS (who may) do not.
//
// Strand, jobs, needs_load, tickets and failure: as in table.h.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/file.h"
#include "cache/ids.h"
#include "cache/job_source.h"
#include "cache/table.h"
#include "rpc/base/clock.h"
#include "rpc/base/loop.h"
#include "rpc/base/result.h"

namespace rowan::cache {

// Numbers are those of ftype3, so that no translation table is needed; this folder knows nothing
// else of NFS.
enum class FileKind : std::uint8_t {
  regular = 1, directory = 2, block = 3, character = 4, symlink = 5, socket = 6, fifo = 7
};

// A changed object, whole. A file's bytes are: local extents where there are any; else the image's
// below `base_size`; else zeros.
struct ObjectRecord {
  FileKind kind = FileKind::regular;
  // its last name is gone: handles are STALE (a tombstone for an image object)
  bool removed = false;
  std::uint32_t mode = 0;           // low 12 bits
  std::uint32_t nlink = 1;
  std::uint32_t uid = 0, gid = 0;
  std::uint64_t size = 0;
  std::uint32_t rdev_major = 0, rdev_minor = 0;
  WallTime atime, mtime, ctime;
  // how much of the image's content still shows; 0 for local objects
  std::uint64_t base_size = 0;
  // a directory's "..": others: where its first name was (to name damage)
  ObjectId parent = no_object;
  std::string name;                 // that name
  std::string target;               // symlink
  // 4 KiB blocks of local data; kept by the store, whatever is put (Transaction::data_blocks()).
  std::uint64_t data_blocks = 0;
  std::optional<std::array<std::byte, 8>> exclusive_verifier;
};

// A name in a directory that differs from the image.
struct NameRecord {
  ObjectId child = no_object;       // no_object: a whiteout, the image's name is hidden
  // listing order of local names; never reused within the store; 0 for a whiteout
  std::uint64_t sequence = 0;
};
struct NamedEntry {
  std::string name;
  NameRecord record;
};

// One run of a file's bytes.
struct Extent {
  enum class Kind : std::uint8_t { local, base, zero };
  std::uint64_t offset = 0, length = 0;
  Kind kind = Kind::zero;
  // Local only: the disk block that holds the byte at `offset`, `offset % 4096` bytes into it; one
  // sum per block.
  DataPointer data{};
  std::vector<std::uint64_t> sums{};
  ObjectId owner = no_object;       // to name damage
};

struct StoreUsage {
  std::uint64_t data_bytes = 0;     // redirected bytes, rounded up to 4 KiB blocks
  std::uint64_t objects = 0;        // object records that are not tombstones
  std::uint64_t disk_bytes = 0;     // all files of the store
};

struct StoreOptions {
  TableOptions table;
  std::uint64_t quota_bytes = 0;    // 0: none; exceeding it is Errc::quota
  // Extents that a transaction drops itself; more are left to the background. At most 1024.
  std::size_t eager_drops = 256;
};

struct PortableWindow;

// A group of changes that happen together or not at all, in the order given.
class Transaction {
 public:
  void put_object(ObjectId id, ObjectRecord record);
  // Tombstones an image object, forgets a local one (its id is never reused), drops all its
  // extents. `last` becomes the tombstone.
  void remove_object(ObjectId id, ObjectRecord last);
  void put_name(ObjectId directory, std::string name, NameRecord record);
  void erase_name(ObjectId directory, std::string name);   // back to what the image shows
  // Redirects a range. `bytes` must stay valid until apply(), which copies them; with an owner, as
  // long as it is kept, and whole blocks are not copied then. The object's record must be put as
  // well if its size, times or anything else change.
  void write(ObjectId id, std::uint64_t offset, ByteView bytes,
             std::shared_ptr<const Buffer> owner = nullptr);
  // Drops local extents at and beyond `size`.
  void truncate(ObjectId id, std::uint64_t size);

  // What another store changed, when a copy of it is kept here (portable_change.h): a record of any
  // kind but extent and purge (nothing: erased), or the data of a window, which must stay valid
  // until apply(). Making a change twice is making it once.
  void take_record(std::string key, std::optional<std::string> value);
  void take_window(const PortableWindow& window);

  bool empty() const { return steps_.empty(); }
  void clear() { steps_.clear(); }

  // After apply(): the data blocks of an object that the transaction put; 0 for others.
  std::uint64_t data_blocks(ObjectId id) const {
    const auto found = data_blocks_.find(id);
    return found == data_blocks_.end() ? 0 : found->second;
  }
  void set_data_blocks(std::map<ObjectId, std::uint64_t> blocks) {
    data_blocks_ = std::move(blocks);
  }

  struct PutObject { ObjectId id; ObjectRecord record; };
  struct RemoveObject { ObjectId id; ObjectRecord last; };
  struct PutName { ObjectId directory; std::string name; NameRecord record; };
  struct EraseName { ObjectId directory; std::string name; };
  struct Write {
    ObjectId id;
    std::uint64_t offset;
    ByteView bytes;
    std::shared_ptr<const Buffer> owner;
  };
  struct Truncate { ObjectId id; std::uint64_t size; };
  struct TakeRecord { std::string key; std::optional<std::string> value; };
  struct TakeWindow { const PortableWindow* window; };
  using Step = std::variant<PutObject, RemoveObject, PutName, EraseName, Write, Truncate,
                            TakeRecord, TakeWindow>;
  const std::vector<Step>& steps() const { return steps_; }

 private:
  std::vector<Step> steps_;
  std::map<ObjectId, std::uint64_t> data_blocks_;
};

class Store : public JobSource {
 public:
  // Makes an empty store in an empty directory, or opens one (recovering by itself: P10).
  // Synchronous; for a start-up thread. busy if another process has it; corrupt, naming file and
  // place, if it cannot be trusted.
  static Result<std::unique_ptr<Store>> create(Directory& directory, const StoreOptions& options);
  static Result<std::unique_ptr<Store>> open(Directory& directory, const StoreOptions& options);

  // not_found: unchanged (for an image object) or never made (for a local one).
  virtual Result<ObjectRecord> object(ObjectId id) = 0;
  // not_found: the image decides.
  virtual Result<NameRecord> name(ObjectId directory, std::string_view name) = 0;
  // Local names (no whiteouts) with a greater sequence, in order, at most `limit`.
  virtual Result<std::vector<NamedEntry>> names_after(
      ObjectId directory, std::uint64_t sequence, std::size_t limit) = 0;
  // True if the directory has any name record, whiteouts included: false lets a listing skip the
  // look-ups.
  virtual Result<bool> has_names(ObjectId directory) = 0;
  // The runs of [offset, offset + length) of a changed regular file, in order, without gaps.
  virtual Result<std::vector<Extent>> extents(
      ObjectId id, const ObjectRecord& record, std::uint64_t offset, std::uint64_t length) = 0;
  // The bytes of a local extent, verified. corrupt if they are not what was written.
  // Extents are good until the next apply(): after a needs_load ask for them again.
  virtual Result<void> read(const Extent& extent, ByteSpan into) = 0;

  // a fresh local id; durable together with the transaction that uses it
  virtual ObjectId next_object() = 0;
  virtual std::uint64_t next_sequence() = 0;   // a fresh listing position

  // All of it in memory at once, or an error and nothing changed: no_space, quota, read_only,
  // needs_load (a partial block must be merged with bytes that are on disk), try_later (too much
  // not yet written). On an error the transaction is left intact to be applied again; after success
  // it is empty.
  virtual Result<Ticket> apply(Transaction& transaction) = 0;

  // New at every open and after every failure that may have lost UNSTABLE data (RFC 1813, 4.8).
  virtual std::array<std::byte, 8> write_verifier() const = 0;
  virtual StoreUsage usage() const = 0;
  virtual void set_quota(std::uint64_t bytes) = 0;
  virtual Result<DiskSpace> disk_space() const = 0;
};

}  // namespace rowan::cache
