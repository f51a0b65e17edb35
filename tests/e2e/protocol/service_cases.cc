// NULL, and the MOUNT program.
#include <algorithm>

#include "tests/e2e/protocol/cases.h"

namespace rowan::protocol {
namespace {

bool has(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

void null_calls(Scene& s) {
  s.nfs.null();
  Mounts(s.target).null();
  s.that("both programs answer NULL", true);
}

void mounting(Scene& s) {
  Mounts mounts(s.target);
  FileHandle handle;
  s.equal("MNT of the export", mounts.mount(s.target.export_path, &handle),
          static_cast<int>(MNT3_OK));
  s.that("gives the root's handle", s.attr(handle).fileid == s.attr(s.nfs.root()).fileid);
  s.that("EXPORT names it", has(mounts.exports(), s.target.export_path));
  mounts.dump();
  mounts.unmount(s.target.export_path);
  mounts.unmount("/never/mounted");
  mounts.unmount_all();
  s.status("the handle outlives UMNT", s.nfs.getattr(handle).status, {NFS3_OK});
}

void mounting_directories_below(Scene& s) {
  auto name = "mounted-below-" + std::to_string(s.attr(s.dir).fileid);
  s.status("MKDIR", s.nfs.mkdir(s.nfs.root(), name).status, {NFS3_OK});
  FileHandle handle;
  Mounts mounts(s.target);
  s.equal("MNT of a directory", mounts.mount(s.target.export_path + "/" + name, &handle),
          static_cast<int>(MNT3_OK));
  if (!handle.empty()) {
    auto found = s.nfs.lookup(s.nfs.root(), name);
    s.equal("is that directory", s.attr(handle).fileid, s.attr(found.handle).fileid);
  }
  s.status("RMDIR", s.nfs.rmdir(s.nfs.root(), name).status, {NFS3_OK});
}

void mount_refusals(Scene& s) {
  Mounts mounts(s.target);
  for (const char* path : {"/no/such/export", "", "/", "relative", "/..", "/../../etc"}) {
    auto status = mounts.mount(path);
    s.status(std::string("MNT of '") + path + "'", status,
             {MNT3ERR_NOENT, MNT3ERR_ACCES, MNT3ERR_INVAL, MNT3ERR_NOTDIR});
  }
  s.status("MNT of a missing directory", mounts.mount(s.target.export_path + "/no-such-directory"),
           {MNT3ERR_NOENT, MNT3ERR_ACCES});
  auto climbing = mounts.mount(s.target.export_path + "/../../etc");
  s.status("MNT that climbs out", climbing, {MNT3ERR_NOENT, MNT3ERR_ACCES, MNT3ERR_INVAL});
  auto name = "mount-file-" + std::to_string(s.attr(s.dir).fileid);
  s.status("CREATE", s.nfs.create(s.nfs.root(), name).status, {NFS3_OK});
  s.status("MNT of a file", mounts.mount(s.target.export_path + "/" + name), {MNT3ERR_NOTDIR});
  s.status("REMOVE", s.nfs.remove(s.nfs.root(), name).status, {NFS3_OK});
  s.status("MNT of 1024 bytes", mounts.mount("/" + std::string(1023, 'x')),
           {MNT3ERR_NOENT, MNT3ERR_ACCES, MNT3ERR_NAMETOOLONG, MNT3ERR_INVAL});
}

constexpr Case cases[] = {
    {"NULL", null_calls},
    {"MOUNT", mounting},
    {"MOUNT of a directory below", mounting_directories_below},
    {"MOUNT that is refused", mount_refusals},
};

}  // namespace

std::span<const Case> service_cases() { return cases; }

}  // namespace rowan::protocol
