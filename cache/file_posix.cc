// System calls, and the one table from errno to Errc. Everything is opened relative to a directory
// descriptor with O_NOFOLLOW: a store that moves keeps working, and a planted symlink leads
// nowhere.
#include "cache/file_posix.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <limits>
#include <system_error>
#include <utility>

#include "rpc/base/buffer.h"
#include "rpc/base/unique_fd.h"

namespace rowan::cache {
namespace {

constexpr long tmpfs_magic = 0x01021994;
constexpr std::size_t direct_unit = 4096;        // alignment that every device takes
constexpr std::size_t direct_worth = 256 << 10;  // below it the page cache gathers better
constexpr std::size_t gather_limit = 512;  // pieces of one system call; IOV_MAX is 1024 on Linux

Errc code_of(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return Errc::no_space;
    case EROFS:
      return Errc::read_only;
    case ENOENT:
      return Errc::not_found;
    case EEXIST:
      return Errc::exists;
    case ENOTEMPTY:
      return Errc::not_empty;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return Errc::limit;
    case EWOULDBLOCK:
      return Errc::busy;
    case EOPNOTSUPP:
      return Errc::not_supported;
    default:
      return Errc::io;
  }
}

Error failed(const char* what, const std::string& path, int error) {
  return Error(code_of(error),
               std::string(what) + " " + path + ": " + std::generic_category().message(error));
}

template <class Call>
auto retry(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

// Offsets beyond what the system can name are refused here, once.
bool fits(std::uint64_t offset, std::uint64_t length) {
  const auto end = checked_add(offset, length);
  return end && *end <= static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
}

class PosixFile final : public File {
 public:
  PosixFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<std::size_t> read_at(std::uint64_t offset, ByteSpan into) const override {
    if (!fits(offset, into.size())) return Error(Errc::io, "read beyond any file: " + path_);
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t got = retry([&] {
        return ::pread(fd_.get(), into.data() + done, into.size() - done,
                       static_cast<off_t>(offset + done));
      });
      if (got < 0) return failed("read", path_, errno);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  Result<std::size_t> read_cached(std::uint64_t offset, ByteSpan into) const override {
    if (all_in_memory_.load(std::memory_order_relaxed)) return read_at(offset, into);
    if (!fits(offset, into.size())) return Error(Errc::io, "read beyond any file: " + path_);
    iovec piece{into.data(), into.size()};
    const ssize_t got = retry(
        [&] { return ::preadv2(fd_.get(), &piece, 1, static_cast<off_t>(offset), RWF_NOWAIT); });
    if (got < 0) return cannot_read_cached(offset, into, errno);
    const auto count = static_cast<std::size_t>(got);
    if (count == into.size()) return count;
    // Short: the end of the file, or the first page that is not in memory.
    TRY(const std::uint64_t end, size());
    if (offset + count < end) return Errc::needs_load;
    return count;
  }

  Result<void> write_at(std::uint64_t offset, ByteView bytes) override {
    return write_gather(offset, std::span(&bytes, 1));
  }

  Result<void> write_gather(std::uint64_t offset, std::span<const ByteView> pieces) override {
    const int error = write_pieces(fd_.get(), offset, pieces);
    if (error != 0) return failed("write", path_, error);
    return {};
  }

  Result<void> write_bulk(std::uint64_t offset, std::span<const ByteView> pieces) override {
    std::size_t total = 0;
    bool whole_pages = offset % direct_unit == 0;
    for (const ByteView& piece : pieces) {
      total += piece.size();
      whole_pages = whole_pages && piece.size() % direct_unit == 0;
    }
    if (!whole_pages || total < direct_worth || !open_direct()) return write_gather(offset, pieces);
    std::vector<Buffer> bounced;
    std::vector<ByteView> aligned;
    for (const ByteView& piece : pieces) {
      if (reinterpret_cast<std::uintptr_t>(piece.data()) % direct_unit == 0) {
        aligned.push_back(piece);
      } else {
        bounced.push_back(Buffer::copy_of(piece));  // a page and more: it starts on one
        aligned.push_back(bounced.back().view());
      }
    }
    const int error = write_pieces(direct_.get(), offset, aligned);
    // This place or this file system wants another alignment: the ordinary way always works.
    if (error == EINVAL) return write_gather(offset, pieces);
    if (error != 0) return failed("write", path_, error);
    return {};
  }

  Result<void> sync() override {
    // Never repeated by the caller after an error: the kernel reports a lost page once (fsync(2)).
    if (retry([&] { return ::fdatasync(fd_.get()); }) < 0) return failed("sync", path_, errno);
    return {};
  }

  Result<std::uint64_t> size() const override {
    TRY(const struct stat about, status());
    return static_cast<std::uint64_t>(about.st_size);
  }

  Result<void> truncate(std::uint64_t size) override {
    if (!fits(size, 0)) return Error(Errc::io, "truncate beyond any file: " + path_);
    if (retry([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) < 0)
      return failed("truncate", path_, errno);
    return {};
  }

  Result<void> punch(std::uint64_t offset, std::uint64_t length) override {
    if (length == 0) return {};
    if (!fits(offset, length)) return Error(Errc::io, "punch beyond any file: " + path_);
    const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    const int result = retry([&] {
      return ::fallocate(fd_.get(), mode, static_cast<off_t>(offset), static_cast<off_t>(length));
    });
    if (result < 0) return failed("punch", path_, errno);
    return {};
  }

  Result<void> allocate(std::uint64_t size) override {
    if (size == 0) return {};
    if (!fits(size, 0)) return Error(Errc::io, "allocate beyond any file: " + path_);
    if (retry([&] { return ::fallocate(fd_.get(), 0, 0, static_cast<off_t>(size)); }) == 0)
      return {};
    if (errno != EOPNOTSUPP) return failed("allocate", path_, errno);
    return write_zeros(size);
  }

  Result<std::uint64_t> allocated_bytes() const override {
    TRY(const struct stat about, status());
    return static_cast<std::uint64_t>(about.st_blocks) * 512;
  }

 private:
  // 0 or errno.
  static int write_pieces(int fd, std::uint64_t offset, std::span<const ByteView> pieces) {
    std::array<iovec, gather_limit> vector;
    std::size_t piece = 0, skip = 0;  // first unwritten byte: pieces[piece][skip]
    while (true) {
      std::size_t count = 0, total = 0;
      for (std::size_t i = piece; i < pieces.size() && count < vector.size(); ++i) {
        const ByteView rest = i == piece ? pieces[i].subspan(skip) : pieces[i];
        if (rest.empty()) continue;
        vector[count++] = {const_cast<std::byte*>(rest.data()), rest.size()};
        total += rest.size();
      }
      if (count == 0) return 0;
      if (!fits(offset, total)) return EFBIG;
      const ssize_t put = retry([&] {
        return ::pwritev(fd, vector.data(), static_cast<int>(count), static_cast<off_t>(offset));
      });
      if (put < 0) return errno;
      if (put == 0) return EIO;
      offset += static_cast<std::uint64_t>(put);
      skip_written(pieces, static_cast<std::size_t>(put), piece, skip);
    }
  }

  // A second descriptor of the same file that bypasses the page cache; false where there is none
  // (tmpfs). One writer at a time, as for every write.
  bool open_direct() {
    if (!direct_.valid() && !no_direct_) {
      const std::string self = "/proc/self/fd/" + std::to_string(fd_.get());
      direct_ = UniqueFd(::open(self.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));
      no_direct_ = !direct_.valid();
    }
    return direct_.valid();
  }

  static void skip_written(std::span<const ByteView> pieces, std::size_t put, std::size_t& piece,
                           std::size_t& skip) {
    while (put > 0) {
      const std::size_t left = pieces[piece].size() - skip;
      if (put < left) {
        skip += put;
        return;
      }
      put -= left;
      ++piece;
      skip = 0;
    }
  }

  Result<std::size_t> cannot_read_cached(std::uint64_t offset, ByteSpan into, int error) const {
    if (error == EAGAIN) return Errc::needs_load;
    if (error != EOPNOTSUPP) return failed("read", path_, error);
    // tmpfs knows no RWF_NOWAIT and needs none; elsewhere every read goes through a job.
    struct statfs about;
    if (::fstatfs(fd_.get(), &about) != 0 || about.f_type != tmpfs_magic) return Errc::needs_load;
    all_in_memory_.store(true, std::memory_order_relaxed);
    return read_at(offset, into);
  }

  Result<void> write_zeros(std::uint64_t size) {
    static constexpr std::array<std::byte, 64 << 10> zeros{};
    TRY(std::uint64_t at, this->size());
    while (at < size) {
      const auto count = std::min<std::uint64_t>(zeros.size(), size - at);
      TRY_VOID(write_at(at, ByteView(zeros).first(count)));
      at += count;
    }
    return {};
  }

  Result<struct stat> status() const {
    struct stat about;
    if (::fstat(fd_.get(), &about) != 0) return failed("stat", path_, errno);
    return about;
  }

  UniqueFd fd_, direct_;
  bool no_direct_ = false;
  std::string path_;
  mutable std::atomic<bool> all_in_memory_{false};
};

Result<void> check_name(std::string_view name, const std::string& path) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != name.npos ||
      name.find('\0') != name.npos)
    return Error(Errc::invalid, "not a file name: \"" + std::string(name) + "\" in " + path);
  return {};
}

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::read:
      return O_RDONLY;
    case OpenMode::write:
      return O_RDWR;
    case OpenMode::create:
      return O_RDWR | O_CREAT;
    case OpenMode::create_new:
      return O_RDWR | O_CREAT | O_EXCL;
  }
  return O_RDONLY;
}

class PosixDirectory final : public Directory {
 public:
  PosixDirectory(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<std::unique_ptr<File>> open(std::string_view name, OpenMode mode) override {
    TRY(UniqueFd fd, open_child(name, flags_of(mode)));
    return std::unique_ptr<File>(std::make_unique<PosixFile>(std::move(fd), child(name)));
  }

  Result<std::unique_ptr<Directory>> directory(std::string_view name, bool create) override {
    TRY_VOID(check_name(name, path_));
    const std::string text(name);
    if (create && ::mkdirat(fd_.get(), text.c_str(), 0700) != 0 && errno != EEXIST)
      return failed("create directory", child(name), errno);
    const int fd = retry([&] {
      return ::openat(fd_.get(), text.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    });
    if (fd < 0) return failed("open directory", child(name), errno);
    return std::unique_ptr<Directory>(std::make_unique<PosixDirectory>(UniqueFd(fd), child(name)));
  }

  Result<std::vector<std::string>> list() const override {
    UniqueFd fd(::openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) return failed("list", path_, errno);
    DIR* stream = ::fdopendir(fd.get());
    if (stream == nullptr) return failed("list", path_, errno);
    (void)fd.release();  // the stream owns it now
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    const int error = errno;
    ::closedir(stream);
    if (error != 0) return failed("list", path_, error);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<void> remove(std::string_view name) override {
    TRY_VOID(check_name(name, path_));
    const std::string text(name);
    if (::unlinkat(fd_.get(), text.c_str(), 0) == 0) return {};
    if (errno == EISDIR && ::unlinkat(fd_.get(), text.c_str(), AT_REMOVEDIR) == 0) return {};
    return failed("remove", child(name), errno);
  }

  Result<void> rename(std::string_view from, std::string_view to) override {
    TRY_VOID(check_name(from, path_));
    TRY_VOID(check_name(to, path_));
    if (::renameat(fd_.get(), std::string(from).c_str(), fd_.get(), std::string(to).c_str()) != 0)
      return failed("rename", child(from), errno);
    return {};
  }

  Result<void> sync() override {
    if (retry([&] { return ::fsync(fd_.get()); }) < 0) return failed("sync", path_, errno);
    return {};
  }

  Result<DiskSpace> space() const override {
    struct statvfs about;
    if (::fstatvfs(fd_.get(), &about) != 0) return failed("stat", path_, errno);
    DiskSpace space;
    space.total_bytes = std::uint64_t{about.f_blocks} * about.f_frsize;
    space.free_bytes = std::uint64_t{about.f_bavail} * about.f_frsize;
    space.total_files = about.f_files;
    space.free_files = about.f_favail;
    return space;
  }

  Result<std::unique_ptr<File>> lock(std::string_view name) override {
    TRY(UniqueFd fd, open_child(name, O_RDWR | O_CREAT));
    if (retry([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) < 0) {
      if (errno == EWOULDBLOCK)
        return Error(Errc::busy,
                     path_ + " is in use by another process (" + child(name) + " is locked)");
      return failed("lock", child(name), errno);
    }
    return std::unique_ptr<File>(std::make_unique<PosixFile>(std::move(fd), child(name)));
  }

  const std::string& path() const override { return path_; }

 private:
  Result<UniqueFd> open_child(std::string_view name, int flags) const {
    TRY_VOID(check_name(name, path_));
    // O_NONBLOCK: a FIFO in the place of a file must not hang the open.
    const int all = flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    UniqueFd fd(retry([&] { return ::openat(fd_.get(), std::string(name).c_str(), all, 0600); }));
    if (!fd.valid()) return failed("open", child(name), errno);
    struct stat about;
    if (::fstat(fd.get(), &about) != 0) return failed("stat", child(name), errno);
    if (!S_ISREG(about.st_mode)) return Error(Errc::io, child(name) + " is not a regular file");
    return fd;
  }

  std::string child(std::string_view name) const { return path_ + "/" + std::string(name); }

  UniqueFd fd_;
  std::string path_;
};

Result<void> sync_path(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return failed("open directory", path, errno);
  if (retry([&] { return ::fsync(fd.get()); }) < 0) return failed("sync", path, errno);
  return {};
}

// mkdir -p, where each new name is synced in its parent.
Result<void> make_path(const std::string& path) {
  struct stat about;
  if (::stat(path.c_str(), &about) == 0) return {};  // that it is a directory is open()'s to say
  const auto slash = path.find_last_of('/');
  const std::string parent = slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  if (parent != "." && parent != "/") TRY_VOID(make_path(parent));
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno == EEXIST) return {};
    return failed("create directory", path, errno);
  }
  return sync_path(parent);
}

}  // namespace

Result<std::unique_ptr<Directory>> open_directory(const std::string& path, bool create) {
  std::string clean = path;
  while (clean.size() > 1 && clean.back() == '/') clean.pop_back();
  if (clean.empty()) return Error(Errc::invalid, "an empty directory name");
  if (create) TRY_VOID(make_path(clean));
  UniqueFd fd(retry([&] { return ::open(clean.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd.valid()) return failed("open directory", clean, errno);
  return std::unique_ptr<Directory>(std::make_unique<PosixDirectory>(std::move(fd), clean));
}

}  // namespace rowan::cache
