// Attributes and what can be told about the whole file system.
#include <algorithm>

#include "proxy/merge.h"
#include "proxy/redirect_common.h"

namespace rowan::proxy::redirect {
namespace {

// A record per object, its name and its place in the index: about this much of the disk.
constexpr std::uint64_t bytes_per_object = 1024;
constexpr std::uint32_t preferred_directory_size = 64u << 10;
constexpr std::uint32_t transfer_multiple = 4096;

void set_times(cache::ObjectRecord& record, const nfs3::SetAttributes& set, WallTime now) {
  auto chosen = [&](const nfs3::SetTime& time, WallTime old) {
    if (time.how == nfs3::TimeHow::client_time) return wall_time(time.time);
    return time.how == nfs3::TimeHow::server_time ? now : old;
  };
  // A new size is a change of the content, unless the caller says when that was.
  if (set.size) record.mtime = record.ctime;
  record.mtime = chosen(set.mtime, record.mtime);
  record.atime = chosen(set.atime, record.atime);
}

bool sets_nothing(const nfs3::SetAttributes& set) {
  bool times =
      set.atime.how != nfs3::TimeHow::dont_change || set.mtime.how != nfs3::TimeHow::dont_change;
  return !times && !set.mode && !set.uid && !set.gid && !set.size;
}

Result<Status> try_setattr(const Op& op, Facts& facts, ObjectId id, const nfs3::SetattrArgs& args,
                           nfs3::WccData& wcc, cache::Ticket& ticket) {
  const nfs3::SetAttributes& set = args.attributes;
  TRY(Node * node, op.view.node(facts, id));
  wcc = unchanged(node->attributes);
  if (args.guard && *args.guard != node->attributes.ctime) return Status::not_sync;
  Status allowed = check_set_attributes(op.caller, node->attributes, set);
  if (allowed != Status::ok) return allowed;
  if (set.size && *set.size > max_file_size) return Status::fbig;
  if (sets_nothing(set)) return Status::ok;

  Change change;
  cache::ObjectRecord record = op.view.record_for_change(*node);
  Ownership ownership = apply_ownership(op.caller, node->attributes, set);
  record.mode = ownership.mode;
  record.uid = ownership.uid;
  record.gid = ownership.gid;
  set_times(record, set, record.ctime);
  if (set.size) {
    if (*set.size < record.size) change.truncate(id, *set.size);
    set_size(record, *set.size);
  }
  change.put(id, std::move(record));
  TRY(ticket, op.view.apply(facts, change));
  wcc.after = op.view.known_node(id)->attributes;
  return Status::ok;
}

}  // namespace

Task<nfs3::GetattrRes> getattr(const Op& op, ObjectId object) {
  nfs3::GetattrRes res;
  Result<Node*> node = op.view.known_node(object);
  if (*node == nullptr) node = co_await op.view.load_node(object);
  if (node) {
    res.attributes = (*node)->attributes;
  } else {
    res.status = finish(op, object, node.error());
  }
  co_return res;
}

Task<nfs3::SetattrRes> setattr(const Op& op, ObjectId object, const nfs3::SetattrArgs& args) {
  nfs3::SetattrRes res;
  cache::Ticket ticket = 0;
  auto step = [&](Facts& facts) { return try_setattr(op, facts, object, args, res.wcc, ticket); };
  Result<Status> outcome = co_await op.view.attempt(step);
  res.status = finish(op, object, outcome);
  res.status = co_await settle(op, object, res.status, ticket);
  co_return res;
}

Task<nfs3::AccessRes> access(const Op& op, ObjectId object, std::uint32_t asked) {
  nfs3::AccessRes res;
  Result<Node*> node = op.view.known_node(object);
  if (*node == nullptr) node = co_await op.view.load_node(object);
  if (!node) {
    res.status = finish(op, object, node.error());
    co_return res;
  }
  res.attributes = (*node)->attributes;
  if (op.view.settings().read_only)
    asked &= ~(nfs3::access_modify | nfs3::access_extend | nfs3::access_delete);
  res.access = granted_access(op.caller, (*node)->attributes, asked);
  co_return res;
}

Task<nfs3::FsstatRes> fsstat(const Op& op, ObjectId root) {
  nfs3::FsstatRes res;
  Result<Node*> node = co_await op.view.load_node(root);
  if (!node) {
    res.status = finish(op, root, node.error());
    co_return res;
  }
  res.attributes = (*node)->attributes;
  Result<cache::DiskSpace> disk = op.view.store().disk_space();
  if (!disk) {
    res.status = finish(op, root, disk.error());
    co_return res;
  }
  cache::StoreUsage usage = op.view.store().usage();
  std::uint64_t quota = op.view.settings().quota_bytes;
  res.tbytes = disk->total_bytes;
  res.fbytes = disk->free_bytes;
  if (quota != 0) {
    res.tbytes = quota;
    res.fbytes = std::min(disk->free_bytes, quota - std::min(quota, usage.data_bytes));
  }
  res.abytes = res.fbytes;
  res.ffiles = res.afiles = disk->free_bytes / bytes_per_object;
  res.tfiles = usage.objects + res.ffiles;
  co_return res;
}

Task<nfs3::FsinfoRes> fsinfo(const Op& op, ObjectId root) {
  nfs3::FsinfoRes res;
  Result<Node*> node = co_await op.view.load_node(root);
  if (!node) {
    res.status = finish(op, root, node.error());
    co_return res;
  }
  res.attributes = (*node)->attributes;
  res.rtmax = res.rtpref = res.wtmax = res.wtpref = nfs3::max_transfer_size;
  res.rtmult = res.wtmult = transfer_multiple;
  res.dtpref = preferred_directory_size;
  res.maxfilesize = max_file_size;
  res.time_delta = {0, 1};
  res.properties =
      nfs3::fsf_link | nfs3::fsf_symlink | nfs3::fsf_homogeneous | nfs3::fsf_cansettime;
  co_return res;
}

Task<nfs3::PathconfRes> pathconf(const Op& op, ObjectId object) {
  nfs3::PathconfRes res;
  Result<Node*> node = co_await op.view.load_node(object);
  if (!node) {
    res.status = finish(op, object, node.error());
    co_return res;
  }
  res.attributes = (*node)->attributes;
  res.linkmax = link_limit;
  res.name_max = nfs3::max_name_length;
  co_return res;
}

}  // namespace rowan::proxy::redirect
