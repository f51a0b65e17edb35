#include "tools/bench/small_changes.h"

#include <cstring>

namespace rowan::bench {
namespace {

constexpr std::size_t block_size = 4096;

}  // namespace

Result<SmallChanges> SmallChanges::connect(const Target& target, const std::string& directory) {
  SmallChanges changes;
  TRY(auto root, mount_root(target));
  TRY(auto client, RawClient::connect(target, target.nfs_port));
  TRY(auto found, ensure_directory(*client, root, directory));
  changes.client_ = std::move(client);
  changes.directory_ = std::move(found);
  changes.block_.assign(block_size, 'r');
  return changes;
}

Result<FileHandle> SmallChanges::file(const std::string& name, std::uint64_t size) {
  return ensure_file(*client_, directory_, name, size);
}

Result<void> SmallChanges::overwrite(const FileHandle& file, std::uint64_t offset, bool stable) {
  ++writes_;
  std::memcpy(block_.data(), &writes_, sizeof writes_);
  WRITE3args args{};
  args.file = file.borrow();
  args.offset = offset;
  args.count = block_size;
  args.stable = stable ? FILE_SYNC : UNSTABLE;
  args.data.data_len = block_size;
  args.data.data_val = block_.data();
  int status = NFS3_OK;
  TRY_VOID(client_->call<WRITE3res>(rpc_nfs3_write_async, args,
                                    [&](const WRITE3res& res) { status = res.status; }));
  if (status != NFS3_OK) return Error(Errc::io, "WRITE: " + status_text(status));
  return {};
}

Result<void> SmallChanges::create(const std::string& name) {
  CREATE3args args{};
  args.where.dir = directory_.borrow();
  args.where.name = const_cast<char*>(name.c_str());
  args.how.mode = GUARDED;
  int status = NFS3_OK;
  TRY_VOID(client_->call<CREATE3res>(rpc_nfs3_create_async, args,
                                     [&](const CREATE3res& res) { status = res.status; }));
  if (status != NFS3_OK) return Error(Errc::io, "CREATE of '" + name + "': " + status_text(status));
  return {};
}

}  // namespace rowan::bench
