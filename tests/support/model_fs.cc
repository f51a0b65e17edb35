#include "tests/support/model_fs.h"

#include <algorithm>

namespace rowan::test {

using nfs3::FileType;
using Status = nfs3::Status;

namespace {

// What chown and foreign writes leave of the mode.
std::uint32_t stripped(std::uint32_t mode) {
  std::uint32_t without = mode & ~04000u;
  return (mode & 010) != 0 ? without & ~02000u : without;
}

}  // namespace

bool ModelUser::in(std::uint32_t group) const {
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

ModelFs::ModelFs() {
  ModelObject& root = objects_[model_root];
  root.type = FileType::directory;
  root.mode = 0755;
  root.nlink = 2;
  root.parent = model_root;
}

const ModelObject* ModelFs::find(ModelId id) const {
  auto found = objects_.find(id);
  return found == objects_.end() ? nullptr : &found->second;
}

ModelObject* ModelFs::get(ModelId id) {
  auto found = objects_.find(id);
  return found == objects_.end() ? nullptr : &found->second;
}

void ModelFs::put(ModelId directory, const std::string& name, ModelId id, ModelObject object) {
  if (object.is_directory()) {
    object.nlink = 2;
    object.parent = directory;
    ++objects_[directory].nlink;
  }
  objects_[directory].names[name] = id;
  objects_[id] = std::move(object);
}

void ModelFs::put_link(ModelId directory, const std::string& name, ModelId id) {
  objects_[directory].names[name] = id;
  ++objects_[id].nlink;
}

bool ModelFs::may(const ModelUser& user, const ModelObject& object, std::uint32_t bits) {
  if (user.uid == 0) {
    return (bits & 1) == 0 || object.is_directory() || (object.mode & 0111) != 0;
  }
  std::uint32_t granted = object.mode & 7;
  if (user.in(object.gid)) granted = (object.mode >> 3) & 7;
  if (user.uid == object.uid) granted = (object.mode >> 6) & 7;
  return (granted & bits) == bits;
}

Status ModelFs::enter(const ModelUser& user, ModelId directory) const {
  const ModelObject* object = find(directory);
  if (object == nullptr) return Status::stale;
  if (!object->is_directory()) return Status::notdir;
  return may(user, *object, 1) ? Status::ok : Status::acces;
}

bool ModelFs::sticky_forbids(const ModelUser& user, const ModelObject& directory,
                             const ModelObject& victim) const {
  bool owner = user.uid == 0 || user.uid == directory.uid || user.uid == victim.uid;
  return (directory.mode & 01000) != 0 && !owner;
}

Status ModelFs::may_unlink(const ModelUser& user, const ModelObject& directory,
                           const ModelObject& victim) const {
  if (!may(user, directory, 3)) return Status::acces;
  return sticky_forbids(user, directory, victim) ? Status::perm : Status::ok;
}

Status ModelFs::lookup(const ModelUser& user, ModelId directory, const std::string& name,
                       ModelId& found) const {
  Status entered = enter(user, directory);
  if (entered != Status::ok) return entered;
  const ModelObject& object = *find(directory);
  if (name == ".") {
    found = directory;
  } else if (name == "..") {
    found = object.parent;
  } else {
    auto entry = object.names.find(name);
    if (entry == object.names.end()) return Status::noent;
    found = entry->second;
  }
  return Status::ok;
}

std::uint32_t ModelFs::access(const ModelUser& user, ModelId id) const {
  const ModelObject& object = *find(id);
  bool r = may(user, object, 4), w = may(user, object, 2), x = may(user, object, 1);
  std::uint32_t granted = r ? nfs3::access_read : 0;
  if (object.is_directory()) {
    if (x) granted |= nfs3::access_lookup;
    if (w && x) granted |= nfs3::access_modify | nfs3::access_extend | nfs3::access_delete;
  } else {
    if (w) granted |= nfs3::access_modify | nfs3::access_extend;
    if (x) granted |= nfs3::access_execute;
  }
  return granted;
}

Status ModelFs::set(const ModelUser& user, ModelId id, const ModelSet& set) {
  ModelObject* object = get(id);
  if (object == nullptr) return Status::stale;
  bool root = user.uid == 0, owns = user.uid == object->uid;
  if (set.mode && !root && !owns) return Status::perm;
  if (set.uid && !root && !(owns && *set.uid == object->uid)) return Status::perm;
  if (set.gid && !root && !(owns && (*set.gid == object->gid || user.in(*set.gid))))
    return Status::perm;
  if (set.size) {
    if (object->is_directory()) return Status::isdir;
    if (object->type != FileType::regular) return Status::inval;
    if (!owns && !may(user, *object, 2)) return Status::acces;
  }
  std::uint32_t gid = set.gid.value_or(object->gid);
  if (set.mode) {
    object->mode = *set.mode;
    if (!root && !user.in(gid)) object->mode &= ~02000u;
  }
  bool chown = set.uid || set.gid;
  if (chown && !object->is_directory()) object->mode = stripped(object->mode);
  if (set.size && !root) object->mode = stripped(object->mode);
  object->uid = set.uid.value_or(object->uid);
  object->gid = gid;
  if (set.size) object->content.resize(*set.size, '\0');
  return Status::ok;
}

Status ModelFs::read(const ModelUser& user, ModelId id, std::uint64_t offset, std::uint32_t count,
                     std::string& bytes, bool& eof) const {
  const ModelObject* object = find(id);
  if (object == nullptr) return Status::stale;
  if (object->is_directory()) return Status::isdir;
  if (object->type != FileType::regular) return Status::inval;
  bool allowed = user.uid == object->uid || may(user, *object, 4) || may(user, *object, 1);
  if (!allowed) return Status::acces;
  bytes = offset < object->content.size() ? object->content.substr(offset, count) : "";
  eof = offset + bytes.size() >= object->content.size();
  return Status::ok;
}

Status ModelFs::write(const ModelUser& user, ModelId id, std::uint64_t offset,
                      const std::string& bytes) {
  ModelObject* object = get(id);
  if (object == nullptr) return Status::stale;
  if (object->is_directory()) return Status::isdir;
  if (object->type != FileType::regular) return Status::inval;
  if (user.uid != object->uid && !may(user, *object, 2)) return Status::acces;
  if (bytes.empty()) return Status::ok;
  if (object->content.size() < offset + bytes.size())
    object->content.resize(offset + bytes.size(), '\0');
  object->content.replace(offset, bytes.size(), bytes);
  if (user.uid != 0) object->mode = stripped(object->mode);
  return Status::ok;
}

void ModelFs::add(const ModelUser& user, ModelId directory, const std::string& name,
                  ModelObject object, ModelId made) {
  const ModelObject& parent = *find(directory);
  bool inherits = (parent.mode & 02000) != 0;
  object.uid = user.uid;
  object.gid = inherits ? parent.gid : user.groups.front();
  if (user.uid != 0 && !user.in(object.gid)) object.mode &= ~02000u;
  if (inherits && object.is_directory()) object.mode |= 02000;
  put(directory, name, made, std::move(object));
}

Status ModelFs::create(const ModelUser& user, ModelId directory, const std::string& name,
                       const ModelCreate& wanted, ModelId made) {
  const auto& [how, set, verifier] = wanted;
  ModelId existing = 0;
  Status found = lookup(user, directory, name, existing);
  if (found == Status::ok) {
    ModelObject& object = *get(existing);
    if (how == nfs3::CreateMode::exclusive)
      return object.verifier == verifier ? Status::ok : Status::exist;
    if (how == nfs3::CreateMode::guarded || object.type != FileType::regular) return Status::exist;
    if (!set.size) return Status::ok;
    ModelSet only_size;
    only_size.size = set.size;
    return this->set(user, existing, only_size);
  }
  if (found != Status::noent) return found;
  ModelObject object;
  object.mode = set.mode.value_or(0644);
  if (how == nfs3::CreateMode::exclusive) {
    object.mode = 0600;
    object.verifier = verifier;
  } else if (set.size) {
    object.content.assign(*set.size, '\0');
  }
  if (!may(user, *find(directory), 3)) return Status::acces;
  add(user, directory, name, std::move(object), made);
  return Status::ok;
}

Status ModelFs::make(const ModelUser& user, ModelId directory, const std::string& name,
                     ModelObject object, ModelId made) {
  bool device = object.type == FileType::block || object.type == FileType::character;
  if (device && user.uid != 0) return Status::perm;
  ModelId existing = 0;
  Status found = lookup(user, directory, name, existing);
  if (found == Status::ok) return Status::exist;
  if (found != Status::noent) return found;
  if (!may(user, *find(directory), 3)) return Status::acces;
  add(user, directory, name, std::move(object), made);
  return Status::ok;
}

void ModelFs::drop(ModelId id) {
  ModelObject& object = *get(id);
  if (object.is_directory() || --object.nlink == 0) objects_.erase(id);
}

Status ModelFs::remove(const ModelUser& user, ModelId directory, const std::string& name) {
  ModelId victim = 0;
  Status found = lookup(user, directory, name, victim);
  if (found != Status::ok) return found;
  Status allowed = may_unlink(user, *find(directory), *find(victim));
  if (allowed != Status::ok) return allowed;
  if (find(victim)->is_directory()) return Status::isdir;
  get(directory)->names.erase(name);
  drop(victim);
  return Status::ok;
}

Status ModelFs::rmdir(const ModelUser& user, ModelId directory, const std::string& name) {
  ModelId victim = 0;
  Status found = lookup(user, directory, name, victim);
  if (found != Status::ok) return found;
  Status allowed = may_unlink(user, *find(directory), *find(victim));
  if (allowed != Status::ok) return allowed;
  if (!find(victim)->is_directory()) return Status::notdir;
  if (!find(victim)->names.empty()) return Status::notempty;
  get(directory)->names.erase(name);
  --get(directory)->nlink;
  drop(victim);
  return Status::ok;
}

bool ModelFs::is_below(ModelId directory, ModelId ancestor) const {
  for (; directory != model_root; directory = find(directory)->parent) {
    if (directory == ancestor) return true;
  }
  return ancestor == model_root;
}

Status ModelFs::rename(const ModelUser& user, ModelId from, const std::string& name, ModelId to,
                       const std::string& new_name) {
  for (ModelId directory : {from, to}) {
    const ModelObject* object = find(directory);
    if (object == nullptr) return Status::stale;
    if (!object->is_directory()) return Status::notdir;
  }
  for (ModelId directory : {from, to}) {
    if (enter(user, directory) != Status::ok) return Status::acces;
  }
  ModelId source = 0, target = 0;
  if (lookup(user, from, name, source) != Status::ok) return Status::noent;
  bool replaces = lookup(user, to, new_name, target) == Status::ok;
  if (replaces && source == target) return Status::ok;
  Status allowed = may_unlink(user, *find(from), *find(source));
  if (allowed != Status::ok) return allowed;
  if (!may(user, *find(to), 3)) return Status::acces;
  if (replaces && sticky_forbids(user, *find(to), *find(target))) return Status::perm;
  bool directory = find(source)->is_directory();
  if (directory && from != to && !may(user, *find(source), 2)) return Status::acces;
  if (directory && is_below(to, source)) return Status::inval;
  if (replaces) {
    const ModelObject& old = *find(target);
    if (directory && !old.is_directory()) return Status::notdir;
    if (!directory && old.is_directory()) return Status::isdir;
    if (directory && !old.names.empty()) return Status::notempty;
    if (directory) --get(to)->nlink;
    drop(target);
  }
  get(from)->names.erase(name);
  get(to)->names[new_name] = source;
  if (directory) {
    --get(from)->nlink;
    ++get(to)->nlink;
    get(source)->parent = to;
  }
  return Status::ok;
}

Status ModelFs::link(const ModelUser& user, ModelId id, ModelId directory,
                     const std::string& name) {
  ModelObject* object = get(id);
  if (object == nullptr) return Status::stale;
  if (object->is_directory()) return Status::isdir;
  ModelId existing = 0;
  Status found = lookup(user, directory, name, existing);
  if (found == Status::ok) return Status::exist;
  if (found != Status::noent) return found;
  if (!may(user, *find(directory), 3)) return Status::acces;
  put_link(directory, name, id);
  return Status::ok;
}

}  // namespace rowan::test
