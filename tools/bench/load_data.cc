// Loads on file data: `data` is read, `scratch` is overwritten with UNSTABLE writes and COMMITs and
// read back; `writenew` writes a file of its own, which every server must find fresh room for.
#include <unistd.h>

#include <cstring>
#include <vector>

#include "tools/bench/load.h"

namespace rowan::bench {
namespace {

std::uint64_t mix(std::uint64_t x) {  // splitmix64: a permutation that looks random
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

class FileLoad : public Load {
 public:
  // `present_bytes`: the size that the file must have before the run.
  FileLoad(const LoadOptions& options, std::string file_name, std::uint64_t present_bytes)
      : options_(options),
        file_name_(std::move(file_name)),
        present_bytes_(present_bytes),
        random_(options.work.starts_with("rand")) {}

  Result<void> prepare(RawClient& client, const FileHandle& root) override {
    TRY(auto top, ensure_directory(client, root, options_.tree.directory));
    TRY(auto file, ensure_file(client, top, file_name_, present_bytes_));
    top_ = std::move(top);
    file_ = std::move(file);
    return {};
  }

 protected:
  const LoadOptions& options() const { return options_; }
  const FileHandle& file() const { return file_; }
  const FileHandle& directory() const { return top_; }
  const std::string& file_name() const { return file_name_; }
  std::uint64_t offset_of(std::uint64_t index) const {
    std::uint64_t blocks = options_.tree.file_size / options_.size;
    std::uint64_t block = random_ ? mix(options_.seed * 0x10001 + index) : index;
    return block % blocks * options_.size;
  }

 private:
  LoadOptions options_;
  std::string file_name_;
  std::uint64_t present_bytes_;
  bool random_;
  FileHandle top_, file_;
};

class ReadLoad : public FileLoad {
 public:
  explicit ReadLoad(const LoadOptions& options)
      : FileLoad(options, options.work.ends_with("back") ? scratch_name : data_name,
                 options.tree.file_size) {}
  void issue(rpc_context* context, const Ticket& ticket, rpc_cb done, void* user) override {
    READ3args args{};
    args.file = file().borrow();
    args.offset = offset_of(ticket.index);
    args.count = options().size;
    rpc_nfs3_read_async(context, done, &args, user);
  }
  Result<std::uint64_t> check(const Ticket& ticket, const void* reply) override {
    const auto& res = *static_cast<const READ3res*>(reply);
    if (res.status != NFS3_OK) return Error(Errc::io, "READ: " + status_text(res.status));
    if (res.READ3res_u.resok.count != options().size) {
      return Error(Errc::io, "READ at " + std::to_string(offset_of(ticket.index)) + " gave " +
                                 std::to_string(res.READ3res_u.resok.count) + " bytes");
    }
    return std::uint64_t{options().size};
  }
};

// One ticket in `commit_interval_` is a COMMIT instead of a WRITE; `finish` sends the last one.
class WriteLoad : public FileLoad {
 public:
  explicit WriteLoad(const LoadOptions& options)
      : WriteLoad(options, scratch_name, options.tree.file_size) {}
  WriteLoad(const LoadOptions& options, std::string file_name, std::uint64_t present_bytes)
      : FileLoad(options, std::move(file_name), present_bytes),
        commit_interval_(std::max<std::uint64_t>(1, options.commit_every / options.size)),
        data_(options.size) {
    for (std::size_t i = 0; i < data_.size(); ++i)
      data_[i] = static_cast<char>(mix(options.seed + i));
  }

  void issue(rpc_context* context, const Ticket& ticket, rpc_cb done, void* user) override {
    if (is_commit(ticket)) {
      COMMIT3args args = commit_args();
      rpc_nfs3_commit_async(context, done, &args, user);
      return;
    }
    std::memcpy(data_.data(), &ticket.index, std::min(sizeof ticket.index, data_.size()));
    WRITE3args args{};
    args.file = file().borrow();
    args.offset = offset_of(ticket.index);
    args.count = options().size;
    args.stable = UNSTABLE;
    args.data.data_len = options().size;
    args.data.data_val = data_.data();
    rpc_nfs3_write_async(context, done, &args, user);
  }

  Result<std::uint64_t> check(const Ticket& ticket, const void* reply) override {
    if (is_commit(ticket)) return check_commit(*static_cast<const COMMIT3res*>(reply));
    const auto& res = *static_cast<const WRITE3res*>(reply);
    if (res.status != NFS3_OK) return Error(Errc::io, "WRITE: " + status_text(res.status));
    const auto& ok = res.WRITE3res_u.resok;
    if (ok.count != options().size) return Error(Errc::io, "WRITE took only part of the data");
    TRY_VOID(check_verifier(ok.verf));
    return std::uint64_t{options().size};
  }

  Result<void> finish(RawClient& client) override {
    Result<std::uint64_t> outcome(std::uint64_t{0});
    TRY_VOID(client.call<COMMIT3res>(rpc_nfs3_commit_async, commit_args(),
                                     [&](const COMMIT3res& res) { outcome = check_commit(res); }));
    if (!outcome) return outcome.error();
    return {};
  }

 private:
  bool is_commit(const Ticket& ticket) const {
    return ticket.index % (commit_interval_ + 1) == commit_interval_;
  }
  COMMIT3args commit_args() const {
    COMMIT3args args{};
    args.file = file().borrow();
    return args;
  }
  Result<std::uint64_t> check_commit(const COMMIT3res& res) {
    if (res.status != NFS3_OK) return Error(Errc::io, "COMMIT: " + status_text(res.status));
    TRY_VOID(check_verifier(res.COMMIT3res_u.resok.verf));
    return std::uint64_t{0};
  }
  // A verifier that moves means lost writes, which a client would send again: the figure would be a
  // lie.
  Result<void> check_verifier(const char* verifier) {
    if (!verifier_seen_) {
      std::memcpy(verifier_.data(), verifier, verifier_.size());
      verifier_seen_ = true;
    }
    if (std::memcmp(verifier_.data(), verifier, verifier_.size()) != 0) {
      return Error(Errc::io, "the write verifier changed during the run");
    }
    return {};
  }

  std::uint64_t commit_interval_;
  std::vector<char> data_;
  bool verifier_seen_ = false;
  std::array<char, NFS3_WRITEVERFSIZE> verifier_{};
};

// The same into a file that does not exist yet, removed at the end.
class NewFileLoad : public WriteLoad {
 public:
  explicit NewFileLoad(const LoadOptions& options)
      : WriteLoad(options, "new-" + std::to_string(getpid()) + "-" + std::to_string(options.seed),
                  0) {}

  Result<void> clean_up(RawClient& client) override {
    REMOVE3args args{};
    args.object.dir = directory().borrow();
    args.object.name = const_cast<char*>(file_name().c_str());
    int status = NFS3_OK;
    TRY_VOID(client.call<REMOVE3res>(rpc_nfs3_remove_async, args,
                                     [&](const REMOVE3res& res) { status = res.status; }));
    if (status != NFS3_OK)
      return Error(Errc::io, "REMOVE while cleaning up: " + status_text(status));
    return {};
  }
};

}  // namespace

std::unique_ptr<Load> make_data_load(const LoadOptions& options) {
  if (options.work == "writenew") return std::make_unique<NewFileLoad>(options);
  if (options.work.ends_with("write")) return std::make_unique<WriteLoad>(options);
  return std::make_unique<ReadLoad>(options);
}

}  // namespace rowan::bench
