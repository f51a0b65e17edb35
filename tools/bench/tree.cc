#include "tools/bench/tree.h"

#include <algorithm>
#include <fstream>
#include <random>
#include <vector>

namespace rowan::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t chunk_size = 1u << 20;

// Incompressible and different for each offset, so that no server profits from repetition.
void fill_random(std::vector<char>& chunk, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i + 8 <= chunk.size(); i += 8) {
    std::uint64_t word = random();
    std::copy_n(reinterpret_cast<const char*>(&word), sizeof word, chunk.begin() + i);
  }
}

set_mode3 mode_of(std::uint32_t mode) {
  set_mode3 result{};
  result.set_it = 1;
  result.set_mode3_u.mode = mode;
  return result;
}

Error nfs_error(const std::string& what, int status) {
  Errc code = status == NFS3ERR_NOENT ? Errc::not_found : Errc::io;
  return Error(code, what + ": " + status_text(status));
}

Result<void> write_file(RawClient& client, const FileHandle& file, std::uint64_t size) {
  std::vector<char> chunk(chunk_size);
  for (std::uint64_t offset = 0; offset < size;) {
    fill_random(chunk, offset);
    WRITE3args args{};
    args.file = file.borrow();
    args.offset = offset;
    args.count = static_cast<u_int>(std::min<std::uint64_t>(chunk_size, size - offset));
    args.stable = UNSTABLE;
    args.data.data_len = args.count;
    args.data.data_val = chunk.data();
    int status = NFS3_OK;
    std::uint32_t written = 0;
    TRY_VOID(client.call<WRITE3res>(rpc_nfs3_write_async, args, [&](const WRITE3res& res) {
      status = res.status;
      if (status == NFS3_OK) written = res.WRITE3res_u.resok.count;
    }));
    if (status != NFS3_OK || written == 0) return nfs_error("WRITE while preparing", status);
    offset += written;
  }
  COMMIT3args commit{};
  commit.file = file.borrow();
  int status = NFS3_OK;
  TRY_VOID(client.call<COMMIT3res>(rpc_nfs3_commit_async, commit,
                                   [&](const COMMIT3res& res) { status = res.status; }));
  if (status != NFS3_OK) return nfs_error("COMMIT while preparing", status);
  return {};
}

Result<std::uint64_t> size_of(RawClient& client, const FileHandle& file) {
  GETATTR3args args{};
  args.object = file.borrow();
  int status = NFS3_OK;
  std::uint64_t size = 0;
  TRY_VOID(client.call<GETATTR3res>(rpc_nfs3_getattr_async, args, [&](const GETATTR3res& res) {
    status = res.status;
    if (status == NFS3_OK) size = res.GETATTR3res_u.resok.obj_attributes.size;
  }));
  if (status != NFS3_OK) return nfs_error("GETATTR while preparing", status);
  return size;
}

}  // namespace

std::string status_text(int status) {
  const char* text = nfsstat3_to_str(status);
  return text != nullptr ? text : "status " + std::to_string(status);
}

std::string object_name(std::uint32_t index) {
  auto digits = std::to_string(index);
  return "n" + std::string(digits.size() < 6 ? 6 - digits.size() : 0, '0') + digits;
}

Result<void> make_random_file(const fs::path& path, std::uint64_t size) {
  std::error_code code;
  if (fs::file_size(path, code) == size && !code) return {};
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  std::vector<char> chunk(chunk_size);
  for (std::uint64_t offset = 0; offset < size && file; offset += chunk.size()) {
    fill_random(chunk, offset);
    file.write(chunk.data(),
               static_cast<std::streamsize>(std::min<std::uint64_t>(chunk_size, size - offset)));
  }
  file.close();
  if (!file) return Error(Errc::io, "cannot write " + path.string());
  return {};
}

Result<void> make_local_tree(const fs::path& parent, const TreeShape& shape) {
  auto top = parent / shape.directory;
  std::error_code code;
  fs::create_directories(top / names_name, code);
  if (code) return Error(Errc::io, "cannot make " + top.string() + ": " + code.message());
  TRY_VOID(make_random_file(top / data_name, shape.file_size));
  TRY_VOID(make_random_file(top / scratch_name, shape.file_size));
  for (std::uint32_t i = 0; i < shape.object_count; ++i) {
    TRY_VOID(make_random_file(top / names_name / object_name(i), 64));
  }
  return {};
}

Result<FileHandle> lookup(RawClient& client, const FileHandle& dir, const std::string& name) {
  LOOKUP3args args{};
  args.what.dir = dir.borrow();
  args.what.name = const_cast<char*>(name.c_str());
  int status = NFS3_OK;
  FileHandle found;
  TRY_VOID(client.call<LOOKUP3res>(rpc_nfs3_lookup_async, args, [&](const LOOKUP3res& res) {
    status = res.status;
    if (status == NFS3_OK) found = FileHandle(res.LOOKUP3res_u.resok.object);
  }));
  if (status != NFS3_OK) return nfs_error("LOOKUP of '" + name + "'", status);
  return found;
}

Result<FileHandle> ensure_directory(RawClient& client, const FileHandle& dir,
                                    const std::string& name) {
  auto found = lookup(client, dir, name);
  if (found || found.error().code != Errc::not_found) return found;
  MKDIR3args args{};
  args.where.dir = dir.borrow();
  args.where.name = const_cast<char*>(name.c_str());
  args.attributes.mode = mode_of(0755);
  int status = NFS3_OK;
  TRY_VOID(client.call<MKDIR3res>(rpc_nfs3_mkdir_async, args,
                                  [&](const MKDIR3res& res) { status = res.status; }));
  if (status != NFS3_OK) {
    return Error(Errc::io, "MKDIR of '" + name + "': " + status_text(status) +
                               " (the load needs a writable export, or a tree made beforehand)");
  }
  return lookup(client, dir, name);
}

Result<FileHandle> ensure_file(RawClient& client, const FileHandle& dir, const std::string& name,
                               std::uint64_t size) {
  auto found = lookup(client, dir, name);
  if (!found && found.error().code != Errc::not_found) return found;
  if (!found) {
    CREATE3args args{};
    args.where.dir = dir.borrow();
    args.where.name = const_cast<char*>(name.c_str());
    args.how.mode = UNCHECKED;
    args.how.createhow3_u.obj_attributes.mode = mode_of(0644);
    int status = NFS3_OK;
    TRY_VOID(client.call<CREATE3res>(rpc_nfs3_create_async, args,
                                     [&](const CREATE3res& res) { status = res.status; }));
    if (status != NFS3_OK) {
      return Error(Errc::io, "CREATE of '" + name + "': " + status_text(status) +
                                 " (the load needs a writable export, or a tree made beforehand)");
    }
    found = lookup(client, dir, name);
    if (!found) return found;
  }
  TRY(auto present, size_of(client, *found));
  if (present < size) TRY_VOID(write_file(client, *found, size));
  return found;
}

}  // namespace rowan::bench
