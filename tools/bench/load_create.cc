// GUARDED creates of new names in a directory of this run's own.
#include <unistd.h>

#include "tools/bench/load.h"

namespace rowan::bench {
namespace {

class CreateLoad : public Load {
 public:
  explicit CreateLoad(const LoadOptions& options) : options_(options) {}

  Result<void> prepare(RawClient& client, const FileHandle& root) override {
    TRY(auto top, ensure_directory(client, root, options_.tree.directory));
    top_ = std::move(top);
    directory_name_ = "create-" + std::to_string(getpid()) + "-" + std::to_string(options_.seed);
    TRY(auto dir, ensure_directory(client, top_, directory_name_));
    dir_ = std::move(dir);
    return {};
  }

  void issue(rpc_context* context, const Ticket& ticket, rpc_cb done, void* user) override {
    auto name = object_name(static_cast<std::uint32_t>(ticket.index));
    CREATE3args args{};
    args.where.dir = dir_.borrow();
    args.where.name = name.data();
    args.how.mode = GUARDED;
    auto& mode = args.how.createhow3_u.g_obj_attributes.mode;
    mode.set_it = 1;
    mode.set_mode3_u.mode = 0644;
    rpc_nfs3_create_async(context, done, &args, user);
  }

  Result<std::uint64_t> check(const Ticket& ticket, const void* reply) override {
    const auto& res = *static_cast<const CREATE3res*>(reply);
    if (res.status != NFS3_OK) return Error(Errc::io, "CREATE: " + status_text(res.status));
    created_ = std::max(created_, ticket.index + 1);
    return std::uint64_t{0};
  }

  Result<void> clean_up(RawClient& client) override {
    for (std::uint64_t i = 0; i < created_; ++i) {
      TRY_VOID(remove_one(client, object_name(static_cast<std::uint32_t>(i))));
    }
    RMDIR3args args{};
    args.object.dir = top_.borrow();
    args.object.name = directory_name_.data();
    int status = NFS3_OK;
    TRY_VOID(client.call<RMDIR3res>(rpc_nfs3_rmdir_async, args,
                                    [&](const RMDIR3res& res) { status = res.status; }));
    if (status != NFS3_OK)
      return Error(Errc::io, "RMDIR while cleaning up: " + status_text(status));
    return {};
  }

 private:
  Result<void> remove_one(RawClient& client, std::string name) {
    REMOVE3args args{};
    args.object.dir = dir_.borrow();
    args.object.name = name.data();
    int status = NFS3_OK;
    TRY_VOID(client.call<REMOVE3res>(rpc_nfs3_remove_async, args,
                                     [&](const REMOVE3res& res) { status = res.status; }));
    if (status != NFS3_OK && status != NFS3ERR_NOENT) {
      return Error(Errc::io, "REMOVE while cleaning up: " + status_text(status));
    }
    return {};
  }

  LoadOptions options_;
  FileHandle top_, dir_;
  std::string directory_name_;
  std::uint64_t created_ = 0;  // names 0 .. created_ - 1 may exist
};

}  // namespace

std::unique_ptr<Load> make_create_load(const LoadOptions& options) {
  return std::make_unique<CreateLoad>(options);
}

}  // namespace rowan::bench
