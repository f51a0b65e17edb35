// The disk as this folder sees it. Real (file_posix), in memory and faulty (tests/support/sim_disk)
// disks are interchangeable. A directory reaches only its own children: names have no '/', and are
// never "." or "..".
//
// Errors: no_space (ENOSPC, EDQUOT), read_only (EROFS), not_found, exists, limit (EMFILE, ENFILE,
// ENOMEM), busy (a lock somebody else holds), io (the rest); `detail` names the path and the
// system's words.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/base/bytes.h"
#include "rpc/base/result.h"

namespace rowan::cache {

// What an interrupted machine keeps: written bytes survive only after sync() of the file; names
// only after sync() of the directory. Methods are safe from any thread; concurrent writes must not
// overlap.
class File {
 public:
  virtual ~File() = default;
  // Bytes read; fewer than asked only at the end of the file.
  virtual Result<std::size_t> read_at(std::uint64_t offset, ByteSpan into) const = 0;
  // The same, but only from memory: needs_load when the disk would have to be waited for.
  virtual Result<std::size_t> read_cached(std::uint64_t offset, ByteSpan into) const = 0;
  // All or an error; after an error any part may have been written.
  virtual Result<void> write_at(std::uint64_t offset, ByteView bytes) = 0;
  // The same for pieces that lie one after the other on disk and anywhere in memory.
  virtual Result<void> write_gather(std::uint64_t offset, std::span<const ByteView> pieces) = 0;
  // The same for bytes that are not soon read again: a large, aligned run may go past the page
  // cache, so that new cache pages cost nothing and sync() has less to wait for. One caller at a
  // time.
  virtual Result<void> write_bulk(std::uint64_t offset, std::span<const ByteView> pieces) {
    return write_gather(offset, pieces);
  }
  // fdatasync: data, and the size needed to read it back
  virtual Result<void> sync() = 0;
  virtual Result<std::uint64_t> size() const = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
  // Gives the space of a range back; it reads as zeros. Whole 4 KiB blocks only. not_supported is
  // possible.
  virtual Result<void> punch(std::uint64_t offset, std::uint64_t length) = 0;
  // Allocates real blocks for [0, size), so that later writes there cannot meet no_space.
  virtual Result<void> allocate(std::uint64_t size) = 0;
  virtual Result<std::uint64_t> allocated_bytes() const = 0;  // st_blocks * 512
};

struct DiskSpace {
  std::uint64_t total_bytes = 0, free_bytes = 0, total_files = 0, free_files = 0;
};

// write: existing; create: either
enum class OpenMode : std::uint8_t { read, write, create, create_new };

class Directory {
 public:
  virtual ~Directory() = default;
  virtual Result<std::unique_ptr<File>> open(std::string_view name, OpenMode mode) = 0;
  virtual Result<std::unique_ptr<Directory>> directory(std::string_view name, bool create) = 0;
  virtual Result<std::vector<std::string>> list() const = 0;  // without "." and ".."; sorted
  virtual Result<void> remove(std::string_view name) = 0;     // a file, or an empty directory
  virtual Result<void> rename(std::string_view from, std::string_view to) = 0;  // replaces `to`
  // makes creations, renames, removals durable
  virtual Result<void> sync() = 0;
  virtual Result<DiskSpace> space() const = 0;
  // An exclusive lock on this directory for as long as the returned object lives (released by the
  // kernel if the process dies). busy when another process has it.
  virtual Result<std::unique_ptr<File>> lock(std::string_view name) = 0;
  virtual const std::string& path() const = 0;  // for messages only
};

}  // namespace rowan::cache
