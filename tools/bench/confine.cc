#include "tools/bench/confine.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "rpc/base/unique_fd.h"

namespace rowan::bench {
namespace {

namespace fs = std::filesystem;

// The new root is built inside the old /proc, which exists everywhere and is not needed meanwhile.
const fs::path staging = "/proc";
const fs::path new_root = staging / "root";

Error failed(const std::string& what) {
  return Error(Errc::io, "cannot confine a program: " + what + ": " + std::strerror(errno));
}

Result<void> mount_at(const char* type, const fs::path& target, const std::string& options,
                      unsigned long flags = 0) {
  if (mount(type, target.c_str(), type, flags, options.c_str()) == 0) return {};
  return failed("mounting " + std::string(type) + " (is it in /proc/filesystems?)");
}

Result<void> bind(const fs::path& source, const fs::path& target, bool writable) {
  if (mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return failed("showing it " + source.string());
  }
  constexpr unsigned long read_only = MS_REMOUNT | MS_BIND | MS_RDONLY;
  if (writable || mount(nullptr, target.c_str(), nullptr, read_only, nullptr) == 0) return {};
  return failed("making " + source.string() + " read-only");
}

Result<void> leave_shared_mounts() {
  if (unshare(CLONE_NEWNS) != 0) return failed("mounts of its own (this needs root)");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return failed("making its mounts private");
  }
  return {};
}

Result<void> make_root() {
  TRY_VOID(mount_at("tmpfs", staging, "mode=755"));
  // An overlay is read-only when it has two lower directories and no upper one.
  auto empty = staging / "empty";
  std::error_code code;
  fs::create_directory(empty, code);
  fs::create_directory(new_root, code);
  return mount_at("overlay", new_root, "lowerdir=/:" + empty.string(), MS_RDONLY);
}

// A directory to mount on. What lies below another mount is not in the overlay: an empty file
// system on the last ancestor that is makes room for the rest.
Result<fs::path> mount_point(const fs::path& path) {
  auto target = new_root / path.relative_path();
  std::error_code code;
  if (fs::is_directory(target, code)) return target;
  fs::create_directories(target, code);
  if (!code) return target;
  auto ancestor = target.parent_path();
  while (!fs::is_directory(ancestor, code)) ancestor = ancestor.parent_path();
  TRY_VOID(mount_at("tmpfs", ancestor, "mode=755"));
  fs::create_directories(target, code);
  if (!code) return target;
  return Error(Errc::io, "cannot make a place for " + path.string() + ": " + code.message());
}

Result<void> show(const std::vector<fs::path>& directories, bool writable) {
  for (const auto& directory : directories) {
    if (!directory.is_absolute() || directory != directory.lexically_normal()) {
      return Error(Errc::usage, "'" + directory.string() + "' is not a plain absolute path");
    }
    TRY(auto target, mount_point(directory));
    TRY_VOID(bind(directory, target, writable));
  }
  return {};
}

Result<void> make_devices() {
  TRY_VOID(mount_at("tmpfs", new_root / "dev", "mode=755"));
  for (const char* name : {"null", "zero", "random", "urandom"}) {
    auto target = new_root / "dev" / name;
    std::ofstream(target).close();
    TRY_VOID(bind(fs::path("/dev") / name, target, true));
  }
  return {};
}

// /proc/1/root leads out of any mounts, so there is no real /proc; but a file server asks the
// table of mounts which file system an export is on.
Result<void> write_mount_table(int real_proc) {
  UniqueFd table(openat(real_proc, "self/mounts", O_RDONLY | O_CLOEXEC));
  if (!table.valid()) return failed("reading the table of mounts");
  std::string text(1 << 16, '\0');
  std::size_t size = 0;
  for (ssize_t got = 1; got > 0; size += static_cast<std::size_t>(got)) {
    if (size == text.size()) text.resize(2 * size);
    got = read(table.get(), text.data() + size, text.size() - size);
    if (got < 0) return failed("reading the table of mounts");
  }
  std::error_code code;
  fs::create_directory("/proc/self", code);
  std::ofstream out("/proc/self/mounts");
  if (out.write(text.data(), static_cast<std::streamsize>(size)).flush()) return {};
  return failed("writing the table of mounts");
}

Result<void> enter_root() {
  // With "." as the place of the old root it lies on top of the new one, until it is taken off.
  if (chdir(new_root.c_str()) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 ||
      umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) {
    return failed("changing to the new root");
  }
  return {};
}

}  // namespace

Result<void> confine(const Confinement& confinement) {
  UniqueFd real_proc(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!real_proc.valid()) return failed("opening /proc");
  TRY_VOID(leave_shared_mounts());
  TRY_VOID(make_root());
  TRY_VOID(show(confinement.writable, true));
  TRY_VOID(show(confinement.readable, false));
  TRY_VOID(mount_at("tmpfs", new_root / "proc", "mode=755"));
  TRY_VOID(make_devices());
  TRY_VOID(enter_root());
  return write_mount_table(real_proc.get());
}

}  // namespace rowan::bench
