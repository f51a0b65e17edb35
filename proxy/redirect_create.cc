// CREATE, MKDIR, SYMLINK, MKNOD: new objects.
#include "proxy/merge.h"
#include "proxy/redirect_common.h"

namespace rowan::proxy::redirect {
namespace {

// What is to be made.
struct NewObject {
  FileType type = FileType::regular;
  nfs3::SetAttributes set;
  std::uint32_t default_mode = 0;  // when the client names none
  std::string_view target;         // symlink
  nfs3::SpecData device;
  std::optional<nfs3::Verifier> verifier;  // exclusive CREATE
};

// One call under way.
struct Making {
  const Op& op;
  ObjectId directory{};
  std::string_view name;
  NewObject wanted;
  nfs3::CreateRes res;
  cache::Ticket ticket = 0;
};

void tell(Making& making, ObjectId id) {
  MergedView& view = making.op.view;
  making.res.attributes = view.known_node(id)->attributes;
  making.res.object = view.handle(id);
}

cache::ObjectRecord make_record(const Making& making, const nfs3::Attributes& directory) {
  const NewObject& wanted = making.wanted;
  Ownership ownership =
      new_ownership(making.op.caller, directory, wanted.set, wanted.type, wanted.default_mode);
  WallTime now = making.op.view.loop().clock().wall();
  cache::ObjectRecord record;
  record.kind = static_cast<cache::FileKind>(wanted.type);
  record.mode = ownership.mode;
  record.uid = ownership.uid;
  record.gid = ownership.gid;
  record.rdev_major = wanted.device.major;
  record.rdev_minor = wanted.device.minor;
  auto chosen = [now](const nfs3::SetTime& time) {
    return time.how == nfs3::TimeHow::client_time ? wall_time(time.time) : now;
  };
  record.atime = chosen(wanted.set.atime);
  record.mtime = chosen(wanted.set.mtime);
  record.ctime = now;
  record.parent = making.directory;
  record.name = making.name;
  record.target = wanted.target;
  record.exclusive_verifier = wanted.verifier;
  record.size = wanted.target.size();
  if (wanted.type == FileType::regular) record.size = wanted.set.size.value_or(0);
  if (wanted.type == FileType::directory) {
    record.size = local_directory_size;
    record.nlink = 2;
  }
  return record;
}

Status check_new(const NewObject& wanted) {
  if (wanted.set.size && *wanted.set.size > max_file_size) return Status::fbig;
  for (const nfs3::SetTime* time : {&wanted.set.atime, &wanted.set.mtime}) {
    bool given = time->how == nfs3::TimeHow::client_time;
    if (given && time->time.nseconds >= 1'000'000'000) return Status::inval;
  }
  return Status::ok;
}

// Adds the object; the name is known to be free.
Result<Status> add_object(Making& making, Facts& facts, const Node& directory) {
  MergedView& view = making.op.view;
  Status status = check_change_names(making.op.caller, directory.attributes);
  if (status == Status::ok) status = check_new(making.wanted);
  if (status != Status::ok) return status;
  bool is_directory = making.wanted.type == FileType::directory;
  if (is_directory && directory.attributes.nlink >= link_limit) return Status::mlink;

  Change change;
  ObjectId id = view.store().next_object();
  change.put(id, make_record(making, directory.attributes));
  change.put_name(making.directory, making.name, {id, view.store().next_sequence()});
  put_directory(change, making.directory, view.record_for_change(directory), is_directory ? 1 : 0);
  TRY(making.ticket, view.apply(facts, change));
  making.res.dir_wcc.after = view.known_node(making.directory)->attributes;
  tell(making, id);
  return Status::ok;
}

// The existing object of that name, or null; the directory has been searched with the caller's
// rights.
struct Place {
  Node* directory = nullptr;
  Child existing;
};
Result<Place> find_place(Making& making, Facts& facts) {
  const Op& op = making.op;
  making.res = nfs3::CreateRes();
  Place place;
  TRY(place.directory, op.view.directory(facts, making.directory));
  making.res.dir_wcc = unchanged(place.directory->attributes);
  if (!permitted(op.caller, place.directory->attributes, may_execute)) return Errc::access;
  Result<Child> child = op.view.child(facts, making.directory, making.name);
  if (child) {
    place.existing = *child;
  } else if (!child.failed_with(Errc::not_found)) {
    return std::move(child).error();
  }
  return place;
}

// The existing regular file of an unchecked CREATE: only a size has a meaning for it.
Result<Status> reuse(Making& making, Facts& facts, const Child& existing) {
  const NewObject& wanted = making.wanted;
  if (!existing.node->is(FileType::regular)) return Status::exist;
  if (wanted.set.size) {
    nfs3::SetAttributes only_size;
    only_size.size = wanted.set.size;
    const nfs3::Attributes& attributes = existing.node->attributes;
    Status allowed = check_set_attributes(making.op.caller, attributes, only_size);
    if (allowed == Status::ok) allowed = check_new(wanted);
    if (allowed != Status::ok) return allowed;
    Change change;
    cache::ObjectRecord record = making.op.view.record_for_change(*existing.node);
    record.mode = mode_after_write(making.op.caller, record.mode);
    record.mtime = record.ctime;
    if (*wanted.set.size < record.size) change.truncate(existing.id, *wanted.set.size);
    set_size(record, *wanted.set.size);
    change.put(existing.id, std::move(record));
    TRY(making.ticket, making.op.view.apply(facts, change));
  }
  tell(making, existing.id);
  return Status::ok;
}

Result<Status> try_create(Making& making, Facts& facts, nfs3::CreateMode how) {
  TRY(Place place, find_place(making, facts));
  const Child& existing = place.existing;
  if (existing.node == nullptr) return add_object(making, facts, *place.directory);
  if (how == nfs3::CreateMode::unchecked) return reuse(making, facts, existing);
  // A retry of an exclusive CREATE, known by its verifier, also across a restart.
  const cache::ObjectRecord* record = existing.node->record.get();
  bool again = how == nfs3::CreateMode::exclusive && record != nullptr &&
               record->exclusive_verifier && record->exclusive_verifier == making.wanted.verifier;
  if (!again) return Status::exist;
  making.ticket = making.op.view.store().applied();
  tell(making, existing.id);
  return Status::ok;
}

Result<Status> try_make(Making& making, Facts& facts) {
  TRY(Place place, find_place(making, facts));
  if (place.existing.node != nullptr) return Status::exist;
  return add_object(making, facts, *place.directory);
}

template <class Step>
Task<nfs3::CreateRes> make(Making& making, Step step) {
  Status status = is_dots(making.name) ? Status::exist : check_name(making.name);
  if (status == Status::ok) {
    Result<Status> outcome = co_await making.op.view.attempt(step);
    status = finish(making.op, making.directory, outcome);
    status = co_await settle(making.op, making.directory, status, making.ticket);
  }
  making.res.status = status;
  co_return std::move(making.res);
}

}  // namespace

Task<nfs3::CreateRes> create(const Op& op, ObjectId directory, const nfs3::CreateArgs& args) {
  Making making{op, directory, args.where.name, {}, {}, 0};
  making.wanted.set = args.attributes;
  making.wanted.default_mode = 0644;
  if (args.how == nfs3::CreateMode::exclusive) {
    making.wanted.set = {};
    // Nobody else's until the SETATTR that always follows.
    making.wanted.default_mode = 0600;
    making.wanted.verifier = args.verifier;
  }
  auto step = [&](Facts& facts) { return try_create(making, facts, args.how); };
  co_return co_await make(making, step);
}

Task<nfs3::CreateRes> mkdir(const Op& op, ObjectId directory, const nfs3::MkdirArgs& args) {
  Making making{op, directory, args.where.name, {}, {}, 0};
  making.wanted.type = FileType::directory;
  making.wanted.set = args.attributes;
  making.wanted.set.size.reset();
  making.wanted.default_mode = 0755;
  auto step = [&](Facts& facts) { return try_make(making, facts); };
  co_return co_await make(making, step);
}

Task<nfs3::CreateRes> symlink(const Op& op, ObjectId directory, const nfs3::SymlinkArgs& args) {
  Making making{op, directory, args.where.name, {}, {}, 0};
  std::string_view target = args.target;
  if (target.size() > nfs3::max_symlink_length) {
    making.res.status = Status::nametoolong;
  } else if (target.empty() || target.find('\0') != std::string_view::npos) {
    making.res.status = Status::inval;
  }
  if (making.res.status != Status::ok) co_return std::move(making.res);
  making.wanted.type = FileType::symlink;
  making.wanted.set = args.attributes;
  making.wanted.set.size.reset();
  making.wanted.default_mode = 0777;
  making.wanted.target = target;
  auto step = [&](Facts& facts) { return try_make(making, facts); };
  co_return co_await make(making, step);
}

Task<nfs3::CreateRes> mknod(const Op& op, ObjectId directory, const nfs3::MknodArgs& args) {
  Making making{op, directory, args.where.name, {}, {}, 0};
  bool device = args.type == FileType::block || args.type == FileType::character;
  bool other = args.type == FileType::socket || args.type == FileType::fifo;
  if (!device && !other) {
    making.res.status = Status::badtype;
  } else if (device && !op.caller.is_root()) {
    making.res.status = Status::perm;
  }
  if (making.res.status != Status::ok) co_return std::move(making.res);
  making.wanted.type = args.type;
  making.wanted.set = args.attributes;
  making.wanted.set.size.reset();
  making.wanted.default_mode = 0644;
  if (device) making.wanted.device = args.device;
  auto step = [&](Facts& facts) { return try_make(making, facts); };
  co_return co_await make(making, step);
}

}  // namespace rowan::proxy::redirect
