#include "proxy/permission.h"

#include <algorithm>

namespace rowan::proxy {
namespace {

using nfs3::FileType;
using nfs3::Status;

constexpr std::uint32_t mode_bits = 07777;
constexpr std::uint32_t any_execute = 0111;

bool times_are_valid(const nfs3::SetTime& time) {
  return time.how != nfs3::TimeHow::client_time || time.time.nseconds < 1'000'000'000;
}

Status check_times(const Caller& caller, const nfs3::Attributes& object,
                   const nfs3::SetAttributes& set) {
  if (!times_are_valid(set.atime) || !times_are_valid(set.mtime)) return Status::inval;
  if (caller.is_root() || caller.uid == object.uid) return Status::ok;
  auto given = [](const nfs3::SetTime& time) { return time.how == nfs3::TimeHow::client_time; };
  if (given(set.atime) || given(set.mtime)) return Status::perm;
  auto now = [](const nfs3::SetTime& time) { return time.how == nfs3::TimeHow::server_time; };
  bool wanted = now(set.atime) || now(set.mtime);
  // A size changes mtime anyway; its own rule decides then.
  if (!wanted || set.size) return Status::ok;
  return permitted(caller, object, may_write) ? Status::ok : Status::acces;
}

Status check_owner(const Caller& caller, const nfs3::Attributes& object,
                   const nfs3::SetAttributes& set) {
  if (caller.is_root()) return Status::ok;
  bool owns = caller.uid == object.uid;
  if (set.mode && !owns) return Status::perm;
  if (set.uid && !(owns && *set.uid == object.uid)) return Status::perm;
  if (set.gid && !(owns && (*set.gid == object.gid || caller.in_group(*set.gid))))
    return Status::perm;
  return Status::ok;
}

Status check_size(const Caller& caller, const nfs3::Attributes& object,
                  const nfs3::SetAttributes& set) {
  if (!set.size) return Status::ok;
  if (object.type == FileType::directory) return Status::isdir;
  if (object.type != FileType::regular) return Status::inval;
  return may_write_data(caller, object) ? Status::ok : Status::acces;
}

// What chown and write take away: set-uid, and set-gid where it means "run as" (without group
// execute it means mandatory locking).
std::uint32_t without_set_id(std::uint32_t mode) {
  mode &= ~mode_setuid;
  return (mode & 010) != 0 ? mode & ~mode_setgid : mode;
}

}  // namespace

bool Caller::in_group(std::uint32_t group) const {
  return gid == group || std::find(groups.begin(), groups.end(), group) != groups.end();
}

Caller make_caller(const Credentials& credentials, bool root_squash) {
  Caller caller{credentials.uid, credentials.gid, credentials.groups};
  if (!root_squash) return caller;
  auto squash = [](std::uint32_t id) { return id == 0 ? nobody_id : id; };
  caller.uid = squash(caller.uid);
  caller.gid = squash(caller.gid);
  caller.groups.clear();
  for (std::uint32_t group : credentials.groups) caller.groups.push_back(squash(group));
  return caller;
}

bool permitted(const Caller& caller, const nfs3::Attributes& object, std::uint32_t wanted) {
  if (caller.is_root()) {
    bool runs = (wanted & may_execute) != 0 && object.type != FileType::directory;
    return !runs || (object.mode & any_execute) != 0;
  }
  std::uint32_t shift = 0;
  if (caller.uid == object.uid) {
    shift = 6;
  } else if (caller.in_group(object.gid)) {
    shift = 3;
  }
  return ((object.mode >> shift) & wanted) == wanted;
}

std::uint32_t granted_access(const Caller& caller, const nfs3::Attributes& object,
                             std::uint32_t asked) {
  std::uint32_t granted = 0;
  auto grant = [&](std::uint32_t bit, std::uint32_t needs) {
    if ((asked & bit) != 0 && permitted(caller, object, needs)) granted |= bit;
  };
  grant(nfs3::access_read, may_read);
  if (object.type == FileType::directory) {
    grant(nfs3::access_lookup, may_execute);
    grant(nfs3::access_modify, may_write | may_execute);
    grant(nfs3::access_extend, may_write | may_execute);
    grant(nfs3::access_delete, may_write | may_execute);
  } else {
    grant(nfs3::access_modify, may_write);
    grant(nfs3::access_extend, may_write);
    grant(nfs3::access_execute, may_execute);
  }
  return granted;
}

bool may_read_data(const Caller& caller, const nfs3::Attributes& file) {
  return caller.uid == file.uid || permitted(caller, file, may_read) ||
         permitted(caller, file, may_execute);
}

bool may_write_data(const Caller& caller, const nfs3::Attributes& file) {
  return caller.uid == file.uid || permitted(caller, file, may_write);
}

Status check_change_names(const Caller& caller, const nfs3::Attributes& directory) {
  return permitted(caller, directory, may_write | may_execute) ? Status::ok : Status::acces;
}

Status check_delete(const Caller& caller, const nfs3::Attributes& directory,
                    const nfs3::Attributes& victim) {
  Status status = check_change_names(caller, directory);
  if (status != Status::ok) return status;
  bool sticky = (directory.mode & mode_sticky) != 0;
  bool owns = caller.is_root() || caller.uid == victim.uid || caller.uid == directory.uid;
  return sticky && !owns ? Status::perm : Status::ok;
}

Status check_set_attributes(const Caller& caller, const nfs3::Attributes& object,
                            const nfs3::SetAttributes& set) {
  for (auto check : {check_owner, check_size, check_times}) {
    Status status = check(caller, object, set);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

Ownership apply_ownership(const Caller& caller, const nfs3::Attributes& object,
                          const nfs3::SetAttributes& set) {
  Ownership after{set.mode.value_or(object.mode) & mode_bits, set.uid.value_or(object.uid),
                  set.gid.value_or(object.gid)};
  if (set.mode && !caller.is_root() && !caller.in_group(after.gid)) after.mode &= ~mode_setgid;
  bool directory = object.type == FileType::directory;
  if ((set.uid || set.gid) && !directory) after.mode = without_set_id(after.mode);
  if (set.size) after.mode = mode_after_write(caller, after.mode);
  return after;
}

std::uint32_t mode_after_write(const Caller& caller, std::uint32_t mode) {
  return caller.is_root() ? mode : without_set_id(mode);
}

Ownership new_ownership(const Caller& caller, const nfs3::Attributes& directory,
                        const nfs3::SetAttributes& set, FileType type, std::uint32_t default_mode) {
  Ownership made{set.mode.value_or(default_mode) & mode_bits, caller.uid, caller.gid};
  bool hands_down = (directory.mode & mode_setgid) != 0;
  if (hands_down) made.gid = directory.gid;
  // Others than root do not choose owners; a wish is ignored as Linux' server does, not refused.
  if (caller.is_root()) {
    made.uid = set.uid.value_or(made.uid);
    made.gid = set.gid.value_or(made.gid);
  } else if ((made.mode & mode_setgid) != 0 && !caller.in_group(made.gid)) {
    made.mode &= ~mode_setgid;
  }
  if (hands_down && type == FileType::directory) made.mode |= mode_setgid;
  return made;
}

}  // namespace rowan::proxy
