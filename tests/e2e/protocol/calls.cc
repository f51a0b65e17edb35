#include "tests/e2e/protocol/calls.h"

#include <algorithm>
#include <cstring>

namespace rowan::protocol {
namespace {

constexpr std::size_t max_listing_calls = 100'000;  // a server whose cookies go in circles fails

std::optional<fattr3> owned(const post_op_attr& attr) {
  if (!attr.attributes_follow) return std::nullopt;
  return attr.post_op_attr_u.attributes;
}

Wcc owned(const wcc_data& wcc) {
  Wcc result;
  if (wcc.before.attributes_follow) result.before = wcc.before.pre_op_attr_u.attributes;
  result.after = owned(wcc.after);
  return result;
}

FileHandle owned(const post_op_fh3& handle) {
  return handle.handle_follows ? FileHandle(handle.post_op_fh3_u.handle) : FileHandle();
}

Verifier owned(const char (&bytes)[8]) {
  Verifier verifier;
  std::copy(std::begin(bytes), std::end(bytes), verifier.begin());
  return verifier;
}

sattr3 wire(const Set& set) {
  sattr3 attributes{};
  if (set.mode) attributes.mode = {.set_it = 1, .set_mode3_u = {.mode = *set.mode}};
  if (set.uid) attributes.uid = {.set_it = 1, .set_uid3_u = {.uid = *set.uid}};
  if (set.gid) attributes.gid = {.set_it = 1, .set_gid3_u = {.gid = *set.gid}};
  if (set.size) attributes.size = {.set_it = 1, .set_size3_u = {.size = *set.size}};
  if (set.atime)
    attributes.atime = {.set_it = SET_TO_CLIENT_TIME, .set_atime_u = {.atime = *set.atime}};
  if (set.mtime)
    attributes.mtime = {.set_it = SET_TO_CLIENT_TIME, .set_mtime_u = {.mtime = *set.mtime}};
  if (set.mtime_now) attributes.mtime.set_it = SET_TO_SERVER_TIME;
  return attributes;
}

diropargs3 wire(const FileHandle& dir, const std::string& name) {
  return {.dir = dir.borrow(), .name = const_cast<char*>(name.c_str())};
}

// CREATE, MKDIR, SYMLINK and MKNOD have results of one shape.
template <class Ok, class Fail>
Made made(int status, const Ok& ok, const Fail& fail) {
  if (status != NFS3_OK) return {status, {}, {}, owned(fail.dir_wcc)};
  return {status, owned(ok.obj), owned(ok.obj_attributes), owned(ok.dir_wcc)};
}

}  // namespace

Calls::Calls(const bench::Target& target) {
  auto root = bench::mount_root(target);
  if (!root) throw Unanswered(to_string(root.error()));
  root_ = *root;
  auto client = bench::RawClient::connect(target, target.nfs_port);
  if (!client) throw Unanswered(to_string(client.error()));
  client_ = std::move(*client);
}

void Calls::require(const Result<void>& done) const {
  if (!done) throw Unanswered(to_string(done.error()));
}

void Calls::null() {
  require(client_->wait_for(
      [&](rpc_cb cb, void* data) { return rpc_nfs3_null_async(client_->context(), cb, data); },
      [](void*) {}));
}

Attr Calls::getattr(const FileHandle& object) {
  Attr result{};
  call<GETATTR3res>(rpc_nfs3_getattr_async, GETATTR3args{.object = object.borrow()},
                    [&](const GETATTR3res& res) {
                      result.status = res.status;
                      if (res.status == NFS3_OK)
                        result.attr = res.GETATTR3res_u.resok.obj_attributes;
                    });
  return result;
}

Changed Calls::setattr(const FileHandle& object, const Set& set, std::optional<nfstime3> guard) {
  SETATTR3args args{};
  args.object = object.borrow();
  args.new_attributes = wire(set);
  if (guard) args.guard = {.check = 1, .sattrguard3_u = {.obj_ctime = *guard}};
  Changed result{};
  call<SETATTR3res>(rpc_nfs3_setattr_async, args, [&](const SETATTR3res& res) {
    bool ok = res.status == NFS3_OK;
    result = {res.status,
              owned(ok ? res.SETATTR3res_u.resok.obj_wcc : res.SETATTR3res_u.resfail.obj_wcc)};
  });
  return result;
}

Found Calls::lookup(const FileHandle& dir, const std::string& name) {
  Found result{};
  call<LOOKUP3res>(rpc_nfs3_lookup_async, LOOKUP3args{.what = wire(dir, name)},
                   [&](const LOOKUP3res& res) {
                     result.status = res.status;
                     if (res.status != NFS3_OK) {
                       result.dir_attr = owned(res.LOOKUP3res_u.resfail.dir_attributes);
                       return;
                     }
                     const auto& ok = res.LOOKUP3res_u.resok;
                     result = {res.status, FileHandle(ok.object), owned(ok.obj_attributes),
                               owned(ok.dir_attributes)};
                   });
  return result;
}

Access Calls::access(const FileHandle& object, std::uint32_t wanted) {
  Access result{};
  call<ACCESS3res>(rpc_nfs3_access_async, ACCESS3args{.object = object.borrow(), .access = wanted},
                   [&](const ACCESS3res& res) {
                     result.status = res.status;
                     if (res.status == NFS3_OK) result.granted = res.ACCESS3res_u.resok.access;
                   });
  return result;
}

Target Calls::readlink(const FileHandle& link) {
  Target result{};
  call<READLINK3res>(rpc_nfs3_readlink_async, READLINK3args{.symlink = link.borrow()},
                     [&](const READLINK3res& res) {
                       result.status = res.status;
                       if (res.status == NFS3_OK) result.target = res.READLINK3res_u.resok.data;
                     });
  return result;
}

Read Calls::read(const FileHandle& file, std::uint64_t offset, std::uint32_t count) {
  Read result{};
  call<READ3res>(rpc_nfs3_read_async,
                 READ3args{.file = file.borrow(), .offset = offset, .count = count},
                 [&](const READ3res& res) {
                   result.status = res.status;
                   if (res.status != NFS3_OK) return;
                   const auto& ok = res.READ3res_u.resok;
                   result.data.assign(ok.data.data_val, ok.data.data_len);
                   result.eof = ok.eof != 0;
                   result.count = ok.count;
                   result.attr = owned(ok.file_attributes);
                 });
  return result;
}

Written Calls::write(const FileHandle& file, std::uint64_t offset, std::string data,
                     stable_how how) {
  WRITE3args args{};
  args.file = file.borrow();
  args.offset = offset;
  args.count = static_cast<u_int>(data.size());
  args.stable = how;
  args.data.data_len = args.count;
  args.data.data_val = data.data();
  Written result{};
  call<WRITE3res>(rpc_nfs3_write_async, args, [&](const WRITE3res& res) {
    result.status = res.status;
    if (res.status != NFS3_OK) {
      result.wcc = owned(res.WRITE3res_u.resfail.file_wcc);
      return;
    }
    const auto& ok = res.WRITE3res_u.resok;
    result = {res.status, ok.count, ok.committed, owned(ok.verf), owned(ok.file_wcc)};
  });
  return result;
}

Made Calls::create(const FileHandle& dir, const std::string& name, const Set& set,
                   createmode3 mode) {
  CREATE3args args{};
  args.where = wire(dir, name);
  args.how.mode = mode;
  args.how.createhow3_u.obj_attributes = wire(set);
  Made result{};
  call<CREATE3res>(rpc_nfs3_create_async, args, [&](const CREATE3res& res) {
    result = made(res.status, res.CREATE3res_u.resok, res.CREATE3res_u.resfail);
  });
  return result;
}

Made Calls::create_exclusive(const FileHandle& dir, const std::string& name,
                             const Verifier& verifier) {
  CREATE3args args{};
  args.where = wire(dir, name);
  args.how.mode = EXCLUSIVE;
  std::copy(verifier.begin(), verifier.end(), args.how.createhow3_u.verf);
  Made result{};
  call<CREATE3res>(rpc_nfs3_create_async, args, [&](const CREATE3res& res) {
    result = made(res.status, res.CREATE3res_u.resok, res.CREATE3res_u.resfail);
  });
  return result;
}

Made Calls::mkdir(const FileHandle& dir, const std::string& name, const Set& set) {
  Made result{};
  call<MKDIR3res>(rpc_nfs3_mkdir_async,
                  MKDIR3args{.where = wire(dir, name), .attributes = wire(set)},
                  [&](const MKDIR3res& res) {
                    result = made(res.status, res.MKDIR3res_u.resok, res.MKDIR3res_u.resfail);
                  });
  return result;
}

Made Calls::symlink(const FileHandle& dir, const std::string& name, const std::string& target) {
  SYMLINK3args args{};
  args.where = wire(dir, name);
  args.symlink.symlink_attributes = wire({.mode = 0777});
  args.symlink.symlink_data = const_cast<char*>(target.c_str());
  Made result{};
  call<SYMLINK3res>(rpc_nfs3_symlink_async, args, [&](const SYMLINK3res& res) {
    result = made(res.status, res.SYMLINK3res_u.resok, res.SYMLINK3res_u.resfail);
  });
  return result;
}

Made Calls::mknod(const FileHandle& dir, const std::string& name, ftype3 type, specdata3 device) {
  MKNOD3args args{};
  args.where = wire(dir, name);
  args.what.type = type;
  auto attributes = wire({.mode = 0640});
  if (type == NF3CHR || type == NF3BLK) {
    args.what.mknoddata3_u.chr_device = {.dev_attributes = attributes, .spec = device};
  } else {
    args.what.mknoddata3_u.pipe_attributes = attributes;
  }
  Made result{};
  call<MKNOD3res>(rpc_nfs3_mknod_async, args, [&](const MKNOD3res& res) {
    result = made(res.status, res.MKNOD3res_u.resok, res.MKNOD3res_u.resfail);
  });
  return result;
}

Changed Calls::remove(const FileHandle& dir, const std::string& name) {
  Changed result{};
  call<REMOVE3res>(
      rpc_nfs3_remove_async, REMOVE3args{.object = wire(dir, name)}, [&](const REMOVE3res& res) {
        bool ok = res.status == NFS3_OK;
        result = {res.status,
                  owned(ok ? res.REMOVE3res_u.resok.dir_wcc : res.REMOVE3res_u.resfail.dir_wcc)};
      });
  return result;
}

Changed Calls::rmdir(const FileHandle& dir, const std::string& name) {
  Changed result{};
  call<RMDIR3res>(
      rpc_nfs3_rmdir_async, RMDIR3args{.object = wire(dir, name)}, [&](const RMDIR3res& res) {
        bool ok = res.status == NFS3_OK;
        result = {res.status,
                  owned(ok ? res.RMDIR3res_u.resok.dir_wcc : res.RMDIR3res_u.resfail.dir_wcc)};
      });
  return result;
}

Renamed Calls::rename(const FileHandle& from, const std::string& old_name, const FileHandle& to,
                      const std::string& new_name) {
  Renamed result{};
  RENAME3args args{.from = wire(from, old_name), .to = wire(to, new_name)};
  call<RENAME3res>(rpc_nfs3_rename_async, args, [&](const RENAME3res& res) {
    result = {res.status, owned(res.RENAME3res_u.resok.fromdir_wcc),
              owned(res.RENAME3res_u.resok.todir_wcc)};
  });
  return result;
}

Linked Calls::link(const FileHandle& file, const FileHandle& dir, const std::string& name) {
  Linked result{};
  call<LINK3res>(rpc_nfs3_link_async, LINK3args{.file = file.borrow(), .link = wire(dir, name)},
                 [&](const LINK3res& res) {
                   result = {res.status, owned(res.LINK3res_u.resok.file_attributes),
                             owned(res.LINK3res_u.resok.linkdir_wcc)};
                 });
  return result;
}

Listing Calls::readdir(const FileHandle& dir, const Position& at, std::uint32_t count) {
  READDIR3args args{};
  args.dir = dir.borrow();
  args.cookie = at.cookie;
  std::copy(at.verifier.begin(), at.verifier.end(), args.cookieverf);
  args.count = count;
  Listing result{};
  call<READDIR3res>(rpc_nfs3_readdir_async, args, [&](const READDIR3res& res) {
    result.status = res.status;
    if (res.status != NFS3_OK) return;
    const auto& ok = res.READDIR3res_u.resok;
    for (const entry3* entry = ok.reply.entries; entry != nullptr; entry = entry->nextentry) {
      result.entries.push_back({entry->fileid, entry->cookie, entry->name, {}, {}});
    }
    result.eof = ok.reply.eof != 0;
    result.verifier = owned(ok.cookieverf);
  });
  return result;
}

Listing Calls::readdirplus(const FileHandle& dir, const Position& at, std::uint32_t count) {
  READDIRPLUS3args args{};
  args.dir = dir.borrow();
  args.cookie = at.cookie;
  std::copy(at.verifier.begin(), at.verifier.end(), args.cookieverf);
  args.dircount = count;
  args.maxcount = count;
  Listing result{};
  call<READDIRPLUS3res>(rpc_nfs3_readdirplus_async, args, [&](const READDIRPLUS3res& res) {
    result.status = res.status;
    if (res.status != NFS3_OK) return;
    const auto& ok = res.READDIRPLUS3res_u.resok;
    for (const entryplus3* entry = ok.reply.entries; entry != nullptr; entry = entry->nextentry) {
      result.entries.push_back({entry->fileid, entry->cookie, entry->name,
                                owned(entry->name_attributes), owned(entry->name_handle)});
    }
    result.eof = ok.reply.eof != 0;
    result.verifier = owned(ok.cookieverf);
  });
  return result;
}

Listing Calls::list(const FileHandle& dir, std::uint32_t count, bool plus) {
  Listing all{};
  Position at;
  for (std::size_t i = 0; i < max_listing_calls && !all.eof; ++i) {
    auto page = plus ? readdirplus(dir, at, count) : readdir(dir, at, count);
    all.status = page.status;
    if (page.status != NFS3_OK || (page.entries.empty() && !page.eof)) return all;
    if (!page.entries.empty()) at.cookie = page.entries.back().cookie;
    at.verifier = page.verifier;
    all.eof = page.eof;
    std::move(page.entries.begin(), page.entries.end(), std::back_inserter(all.entries));
  }
  return all;
}

int Calls::fsstat(const FileHandle& root, FSSTAT3resok& result) {
  int status = 0;
  call<FSSTAT3res>(rpc_nfs3_fsstat_async, FSSTAT3args{.fsroot = root.borrow()},
                   [&](const FSSTAT3res& res) {
                     status = res.status;
                     if (status == NFS3_OK) result = res.FSSTAT3res_u.resok;
                   });
  return status;
}

int Calls::fsinfo(const FileHandle& root, FSINFO3resok& result) {
  int status = 0;
  call<FSINFO3res>(rpc_nfs3_fsinfo_async, FSINFO3args{.fsroot = root.borrow()},
                   [&](const FSINFO3res& res) {
                     status = res.status;
                     if (status == NFS3_OK) result = res.FSINFO3res_u.resok;
                   });
  return status;
}

int Calls::pathconf(const FileHandle& object, PATHCONF3resok& result) {
  int status = 0;
  call<PATHCONF3res>(rpc_nfs3_pathconf_async, PATHCONF3args{.object = object.borrow()},
                     [&](const PATHCONF3res& res) {
                       status = res.status;
                       if (status == NFS3_OK) result = res.PATHCONF3res_u.resok;
                     });
  return status;
}

Calls::Committed Calls::commit(const FileHandle& file, std::uint64_t offset, std::uint32_t count) {
  Committed result{};
  COMMIT3args args{.file = file.borrow(), .offset = offset, .count = count};
  call<COMMIT3res>(rpc_nfs3_commit_async, args, [&](const COMMIT3res& res) {
    result.status = res.status;
    if (res.status == NFS3_OK) result.verifier = owned(res.COMMIT3res_u.resok.verf);
  });
  return result;
}

Mounts::Mounts(const bench::Target& target) {
  auto client = bench::RawClient::connect(target, target.mount_or_nfs_port());
  if (!client) throw Unanswered(to_string(client.error()));
  client_ = std::move(*client);
}

void Mounts::wait(const std::function<int(rpc_cb, void*)>& queue,
                  const std::function<void(void*)>& use) {
  auto done = client_->wait_for(queue, use);
  if (!done) throw Unanswered(to_string(done.error()));
}

int Mounts::mount(std::string path, FileHandle* handle) {
  int status = 0;
  wait([&](rpc_cb cb,
           void* data) { return rpc_mount3_mnt_async(client_->context(), cb, path.data(), data); },
       [&](void* reply) {
         const auto& res = *static_cast<const mountres3*>(reply);
         status = res.fhs_status;
         const auto& found = res.mountres3_u.mountinfo.fhandle;
         if (status == MNT3_OK && handle != nullptr) {
           *handle = FileHandle(std::string(found.fhandle3_val, found.fhandle3_len));
         }
       });
  return status;
}

std::vector<std::string> Mounts::exports() {
  std::vector<std::string> paths;
  wait([&](rpc_cb cb, void* data) { return rpc_mount3_export_async(client_->context(), cb, data); },
       [&](void* reply) {
         for (auto* node = *static_cast<exportnode**>(reply); node != nullptr;
              node = node->ex_next) {
           paths.emplace_back(node->ex_dir);
         }
       });
  return paths;
}

std::vector<std::string> Mounts::dump() {
  std::vector<std::string> paths;
  wait([&](rpc_cb cb, void* data) { return rpc_mount3_dump_async(client_->context(), cb, data); },
       [&](void* reply) {
         for (auto* body = *static_cast<mountbody**>(reply); body != nullptr;
              body = body->ml_next) {
           paths.emplace_back(body->ml_directory);
         }
       });
  return paths;
}

void Mounts::unmount(std::string path) {
  wait([&](rpc_cb cb,
           void* data) { return rpc_mount3_umnt_async(client_->context(), cb, path.data(), data); },
       [](void*) {});
}

void Mounts::unmount_all() {
  wait(
      [&](rpc_cb cb, void* data) { return rpc_mount3_umntall_async(client_->context(), cb, data); },
      [](void*) {});
}

void Mounts::null() {
  wait([&](rpc_cb cb, void* data) { return rpc_mount3_null_async(client_->context(), cb, data); },
       [](void*) {});
}

}  // namespace rowan::protocol
