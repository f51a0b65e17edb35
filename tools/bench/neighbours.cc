#include "tools/bench/neighbours.h"

#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "rpc/base/unique_fd.h"
#include "tools/bench/processes.h"

namespace rowan::bench {
namespace {

namespace fs = std::filesystem;
using SteadyClock = std::chrono::steady_clock;

double milliseconds_since(SteadyClock::time_point begin) {
  return std::chrono::duration<double, std::milli>(SteadyClock::now() - begin).count();
}

Error failed(const std::string& what) {
  return Error(Errc::io, what + ": " + std::strerror(errno));
}

Result<UniqueFd> open_at(const fs::path& path, int flags) {
  UniqueFd fd(open(path.c_str(), flags | O_CLOEXEC, 0600));
  if (!fd.valid()) return failed("cannot open " + path.string());
  return fd;
}

struct LoopDevice {
  std::string path;
  UniqueFd fd;  // the kernel lets go of the file when the last user of the device is gone
};

Result<LoopDevice> attach(const fs::path& file) {
  TRY(auto backing, open_at(file, O_RDWR));
  TRY(auto control, open_at("/dev/loop-control", O_RDWR));
  loop_config config{};
  config.fd = static_cast<__u32>(backing.get());
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
  constexpr int tries = 8;  // somebody else may take the free one first
  for (int i = 0; i < tries; ++i) {
    int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return failed("no free loop device");
    auto path = "/dev/loop" + std::to_string(number);
    TRY(auto device, open_at(path, O_RDWR));
    if (ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) {
      return LoopDevice{.path = path, .fd = std::move(device)};
    }
    if (errno != EBUSY) return failed("cannot attach a file to " + path);
  }
  return Error(Errc::busy, "every free loop device was taken at once");
}

template <class Arguments>
Result<void> put_name(Arguments& arguments, const std::string& name) {
  if (name.size() >= sizeof arguments.name) {
    return Error(Errc::name_too_long, "'" + name + "' is no name for a subvolume");
  }
  std::memcpy(arguments.name, name.c_str(), name.size() + 1);
  return {};
}

}  // namespace

Result<BtrfsVolume> BtrfsVolume::make(const fs::path& parent, std::uint64_t bytes,
                                      const fs::path& log) {
  auto file = parent / "btrfs.img", at = parent / "btrfs";
  {
    TRY(auto fd, open_at(file, O_RDWR | O_CREAT | O_TRUNC));
    if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
      return failed("cannot make " + file.string());
    }
  }
  TRY_VOID(timed_program({"mkfs.btrfs", "-q", "-m", "single", file.string()}, log));
  std::error_code code;
  fs::create_directories(at, code);
  TRY(auto device, attach(file));
  if (mount(device.path.c_str(), at.c_str(), "btrfs", 0, nullptr) != 0) {
    return failed("cannot mount a btrfs");
  }
  return BtrfsVolume(at);
}

BtrfsVolume::~BtrfsVolume() {
  if (!path_.empty()) umount2(path_.c_str(), MNT_DETACH);
}

Result<void> BtrfsVolume::make_subvolume(const std::string& name) {
  TRY(auto root, open_at(path_, O_RDONLY | O_DIRECTORY));
  btrfs_ioctl_vol_args arguments{};
  TRY_VOID(put_name(arguments, name));
  if (ioctl(root.get(), BTRFS_IOC_SUBVOL_CREATE, &arguments) == 0) return {};
  return failed("cannot make the subvolume '" + name + "'");
}

Result<double> BtrfsVolume::snapshot(const std::string& subvolume, const std::string& name,
                                     bool read_only) {
  TRY(auto root, open_at(path_, O_RDONLY | O_DIRECTORY));
  TRY(auto source, open_at(path_ / subvolume, O_RDONLY | O_DIRECTORY));
  btrfs_ioctl_vol_args_v2 arguments{};
  arguments.fd = source.get();
  arguments.flags = read_only ? BTRFS_SUBVOL_RDONLY : 0;
  TRY_VOID(put_name(arguments, name));
  auto begin = SteadyClock::now();
  if (ioctl(root.get(), BTRFS_IOC_SNAP_CREATE_V2, &arguments) == 0)
    return milliseconds_since(begin);
  return failed("cannot make the snapshot '" + name + "'");
}

Result<void> BtrfsVolume::sync() const {
  TRY(auto root, open_at(path_, O_RDONLY | O_DIRECTORY));
  if (syncfs(root.get()) == 0) return {};
  return failed("cannot sync " + path_.string());
}

Result<std::uint64_t> BtrfsVolume::used_bytes() const {
  struct statfs info {};
  if (statfs(path_.c_str(), &info) != 0) return failed("cannot ask " + path_.string());
  return (info.f_blocks - info.f_bfree) * static_cast<std::uint64_t>(info.f_bsize);
}

Result<double> timed_program(const std::vector<std::string>& arguments, const fs::path& log) {
  auto begin = SteadyClock::now();
  TRY(auto child, ChildProcess::start(arguments, log));
  TRY_VOID(child.wait());
  return milliseconds_since(begin);
}

}  // namespace rowan::bench
