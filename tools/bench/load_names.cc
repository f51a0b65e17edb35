// Loads on names and attributes: they go round the objects of the `names` directory.
#include <vector>

#include "tools/bench/load.h"

namespace rowan::bench {
namespace {

constexpr std::uint32_t listing_bytes = 64u
                                        << 10;  // libnfs decodes listings recursively: stay small
constexpr std::uint32_t all_access_bits = 0x3f;

Error refused(const char* what, int status) {
  return Error(Errc::io, std::string(what) + ": " + status_text(status));
}

class NullLoad : public Load {
 public:
  bool needs_export() const override { return false; }
  Result<void> prepare(RawClient&, const FileHandle&) override { return {}; }
  void issue(rpc_context* context, const Ticket&, rpc_cb done, void* user) override {
    rpc_nfs3_null_async(context, done, user);
  }
  Result<std::uint64_t> check(const Ticket&, const void*) override { return std::uint64_t{0}; }
};

// What the loads on objects share: the directory, and each object's handle and name.
class ObjectLoad : public Load {
 public:
  explicit ObjectLoad(const LoadOptions& options) : shape_(options.tree) {}

  Result<void> prepare(RawClient& client, const FileHandle& root) override {
    TRY(auto top, ensure_directory(client, root, shape_.directory));
    TRY(auto dir, ensure_directory(client, top, names_name));
    dir_ = std::move(dir);
    for (std::uint32_t i = 0; i < shape_.object_count; ++i) {
      names_.push_back(object_name(i));
      TRY(auto object, ensure_file(client, dir_, names_.back(), 64));
      objects_.push_back(std::move(object));
    }
    return {};
  }

 protected:
  const FileHandle& object(const Ticket& ticket) const {
    return objects_[ticket.index % objects_.size()];
  }
  char* name(const Ticket& ticket) { return names_[ticket.index % names_.size()].data(); }
  const FileHandle& dir() const { return dir_; }

 private:
  TreeShape shape_;
  FileHandle dir_;
  std::vector<FileHandle> objects_;
  std::vector<std::string> names_;
};

class GetattrLoad : public ObjectLoad {
 public:
  using ObjectLoad::ObjectLoad;
  void issue(rpc_context* context, const Ticket& ticket, rpc_cb done, void* user) override {
    GETATTR3args args{};
    args.object = object(ticket).borrow();
    rpc_nfs3_getattr_async(context, done, &args, user);
  }
  Result<std::uint64_t> check(const Ticket&, const void* reply) override {
    const auto& res = *static_cast<const GETATTR3res*>(reply);
    if (res.status != NFS3_OK) return refused("GETATTR", res.status);
    return std::uint64_t{0};
  }
};

class LookupLoad : public ObjectLoad {
 public:
  using ObjectLoad::ObjectLoad;
  void issue(rpc_context* context, const Ticket& ticket, rpc_cb done, void* user) override {
    LOOKUP3args args{};
    args.what.dir = dir().borrow();
    args.what.name = name(ticket);
    rpc_nfs3_lookup_async(context, done, &args, user);
  }
  Result<std::uint64_t> check(const Ticket& ticket, const void* reply) override {
    const auto& res = *static_cast<const LOOKUP3res*>(reply);
    if (res.status != NFS3_OK) return refused("LOOKUP", res.status);
    if (FileHandle(res.LOOKUP3res_u.resok.object) != object(ticket)) {
      return Error(Errc::corrupt, "LOOKUP gave another object's handle");
    }
    return std::uint64_t{0};
  }
};

class AccessLoad : public ObjectLoad {
 public:
  using ObjectLoad::ObjectLoad;
  void issue(rpc_context* context, const Ticket& ticket, rpc_cb done, void* user) override {
    ACCESS3args args{};
    args.object = object(ticket).borrow();
    args.access = all_access_bits;
    rpc_nfs3_access_async(context, done, &args, user);
  }
  Result<std::uint64_t> check(const Ticket&, const void* reply) override {
    const auto& res = *static_cast<const ACCESS3res*>(reply);
    if (res.status != NFS3_OK) return refused("ACCESS", res.status);
    return std::uint64_t{0};
  }
};

// Each slot lists the directory from its start to its end, again and again.
class ReaddirplusLoad : public ObjectLoad {
 public:
  using ObjectLoad::ObjectLoad;
  void issue(rpc_context* context, const Ticket& ticket, rpc_cb done, void* user) override {
    const Position& position = position_of(ticket);
    READDIRPLUS3args args{};
    args.dir = dir().borrow();
    args.cookie = position.cookie;
    std::copy(position.verifier.begin(), position.verifier.end(), args.cookieverf);
    args.dircount = listing_bytes / 4;
    args.maxcount = listing_bytes;
    rpc_nfs3_readdirplus_async(context, done, &args, user);
  }
  Result<std::uint64_t> check(const Ticket& ticket, const void* reply) override {
    const auto& res = *static_cast<const READDIRPLUS3res*>(reply);
    if (res.status != NFS3_OK) return refused("READDIRPLUS", res.status);
    const auto& listing = res.READDIRPLUS3res_u.resok;
    Position next;
    std::copy_n(listing.cookieverf, next.verifier.size(), next.verifier.begin());
    std::uint64_t bytes = 0;
    for (const entryplus3* entry = listing.reply.entries; entry != nullptr;
         entry = entry->nextentry) {
      next.cookie = entry->cookie;
      bytes += std::char_traits<char>::length(entry->name);
    }
    if (bytes == 0 && !listing.reply.eof)
      return Error(Errc::malformed, "empty listing without eof");
    position_of(ticket) = listing.reply.eof ? Position{} : next;
    return bytes;
  }

 private:
  struct Position {
    std::uint64_t cookie = 0;
    std::array<char, NFS3_COOKIEVERFSIZE> verifier{};
  };
  Position& position_of(const Ticket& ticket) {
    if (ticket.slot >= positions_.size()) positions_.resize(ticket.slot + 1);
    return positions_[ticket.slot];
  }
  std::vector<Position> positions_;  // one per slot; the driver bounds their number
};

}  // namespace

std::unique_ptr<Load> make_name_load(const LoadOptions& options) {
  if (options.work == "getattr") return std::make_unique<GetattrLoad>(options);
  if (options.work == "lookup") return std::make_unique<LookupLoad>(options);
  if (options.work == "access") return std::make_unique<AccessLoad>(options);
  if (options.work == "readdirplus") return std::make_unique<ReaddirplusLoad>(options);
  return std::make_unique<NullLoad>();
}

}  // namespace rowan::bench
