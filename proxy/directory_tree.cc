#include "proxy/directory_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "rpc/base/unique_fd.h"

namespace rowan::proxy::tree {
namespace {

using cache::FileKind;
using cache::ImageAttributes;

constexpr std::size_t max_target_bytes = 4096;

Error failed(const std::string& path, int number) {
  std::string words = "/" + path + ": " + std::strerror(number);
  switch (number) {
    case ENOENT: return Error(Errc::not_found, words);
    case ENOTDIR: return Error(Errc::not_directory, words);
    // A symlink, or a way out of the tree, where the image had a directory: it is not the same
    // tree.
    case ELOOP: case EXDEV: return Error(Errc::not_directory, words);
    case EACCES:
    case EPERM:
      return Error(Errc::access, words + "; the proxy must be able to read it");
    case EMFILE: case ENFILE: case ENOMEM: case EAGAIN: return Error(Errc::limit, words);
    case ENAMETOOLONG: return Error(Errc::name_too_long, words);
    case ESTALE: return Error(Errc::stale, words);
    case ETIMEDOUT: return Error(Errc::timed_out, words);
    default: return Error(Errc::io, words);
  }
}

Result<UniqueFd> open_below(int root, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const char* name = path.empty() ? "." : path.c_str();
  // RESOLVE_BENEATH says EAGAIN when a rename somewhere races with the walk.
  for (int attempt = 0; attempt < 8; ++attempt) {
    long fd = ::syscall(SYS_openat2, root, name, &how, sizeof how);
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno != EAGAIN && errno != EINTR) break;
  }
  return failed(path, errno);
}

FileKind kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR: return FileKind::directory;
    case S_IFLNK: return FileKind::symlink;
    case S_IFBLK: return FileKind::block;
    case S_IFCHR: return FileKind::character;
    case S_IFIFO: return FileKind::fifo;
    case S_IFSOCK: return FileKind::socket;
    default: return FileKind::regular;
  }
}

WallTime time_of(const timespec& time) {
  return {time.tv_sec, static_cast<std::uint32_t>(time.tv_nsec)};
}

// `root_device`: its inode numbers stay as they are; those of mounts below are spread elsewhere.
ImageAttributes attributes_of(const struct stat& from, dev_t root_device) {
  ImageAttributes to;
  to.kind = kind_of(from.st_mode);
  to.mode = from.st_mode & 07777;
  to.nlink = static_cast<std::uint32_t>(from.st_nlink);
  to.uid = from.st_uid;
  to.gid = from.st_gid;
  to.size = static_cast<std::uint64_t>(from.st_size);
  to.used = static_cast<std::uint64_t>(from.st_blocks) * 512;
  if (to.kind == FileKind::block || to.kind == FileKind::character) {
    to.rdev_major = major(from.st_rdev);
    to.rdev_minor = minor(from.st_rdev);
  }
  to.atime = time_of(from.st_atim);
  to.mtime = time_of(from.st_mtim);
  to.ctime = time_of(from.st_ctim);
  to.source_fileid = from.st_ino;
  if (from.st_dev != root_device) to.source_fileid ^= (from.st_dev + 1) * 0x9e3779b97f4a7c15u;
  return to;
}

Result<dev_t> device_of(int root) {
  struct stat status{};
  if (::fstat(root, &status) != 0) return failed("", errno);
  return status.st_dev;
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

Result<std::vector<std::string>> names_after(int fd, const std::string& path,
                                             const std::string& after, std::size_t limit) {
  std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd));
  if (directory == nullptr) {
    int number = errno;
    ::close(fd);
    return failed(path, number);
  }
  // The least `limit` names, as a heap with the greatest on top: memory does not grow with the
  // directory.
  std::vector<std::string> least;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name == "." || name == ".." || name <= after) continue;
    if (least.size() == limit) {
      if (name >= least.front()) continue;
      std::pop_heap(least.begin(), least.end());
      least.pop_back();
    }
    least.push_back(std::move(name));
    std::push_heap(least.begin(), least.end());
  }
  if (errno != 0) return failed(path, errno);
  std::sort_heap(least.begin(), least.end());
  return least;
}

}  // namespace

Result<cache::SourceEntry> stat(int root, const std::string& path) {
  TRY(UniqueFd fd, open_below(root, path, O_PATH | O_NOFOLLOW));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return failed(path, errno);
  TRY(dev_t device, device_of(root));
  cache::SourceEntry entry;
  entry.name = path.substr(path.rfind('/') + 1);
  entry.attributes = attributes_of(status, device);
  return entry;
}

Result<SourcePage> list(int root, const std::string& path, const std::string& after,
                        std::size_t limit) {
  TRY(UniqueFd fd, open_below(root, path, O_RDONLY | O_DIRECTORY));
  UniqueFd for_names(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!for_names.valid()) return failed(path, errno);
  TRY(dev_t device, device_of(root));
  TRY(std::vector<std::string> names, names_after(for_names.release(), path, after, limit));
  SourcePage page;
  page.last = names.size() < limit;
  if (!names.empty()) page.cursor = names.back();
  for (std::string& name : names) {
    struct stat status{};
    if (::fstatat(fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;
      return failed(path + "/" + name, errno);
    }
    cache::SourceEntry entry;
    entry.name = std::move(name);
    entry.attributes = attributes_of(status, device);
    page.entries.push_back(std::move(entry));
  }
  return page;
}

Result<std::string> readlink(int root, const std::string& path) {
  TRY(UniqueFd fd, open_below(root, path, O_PATH | O_NOFOLLOW));
  std::string target(max_target_bytes, '\0');
  ssize_t size = ::readlinkat(fd.get(), "", target.data(), target.size());
  if (size < 0 && (errno == EINVAL || errno == ENOENT)) {
    return Error(Errc::invalid, "/" + path + " is not a symlink");
  }
  if (size < 0) return failed(path, errno);
  target.resize(static_cast<std::size_t>(size));
  return target;
}

Result<SourceRead> read(int root, const std::string& path, std::uint64_t offset, ByteSpan into) {
  // A FIFO that took the file's place must not block the thread.
  TRY(UniqueFd fd, open_below(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return failed(path, errno);
  if (!S_ISREG(status.st_mode)) return Error(Errc::invalid, "/" + path + " is not a regular file");
  SourceRead read;
  while (read.count < into.size()) {
    ByteSpan rest = into.subspan(read.count);
    ssize_t got =
        ::pread(fd.get(), rest.data(), rest.size(), static_cast<off_t>(offset + read.count));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(path, errno);
    if (got == 0) break;
    read.count += static_cast<std::uint32_t>(got);
  }
  if (::fstat(fd.get(), &status) != 0) return failed(path, errno);
  TRY(dev_t device, device_of(root));
  read.attributes = attributes_of(status, device);
  read.eof = offset + read.count >= read.attributes->size;
  return read;
}

}  // namespace rowan::proxy::tree
