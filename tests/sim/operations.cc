// Random operations, and what the model says to them.
#include <utility>

#include "tests/sim/operations.h"

namespace rowan::sim {

using nfs3::FileType;
using nfs3::Status;
using test::ModelId;
using test::ModelObject;
using Kind = Operation::Kind;

namespace {

const test::ModelUser users[] = {{0, {0}}, {1000, {1000, 100}}, {1001, {1001}}};

std::string random_name(const Scene& scene) {
  static const std::string names[] = {"a",
                                      "b",
                                      "c",
                                      "d",
                                      "i0",
                                      "i1",
                                      "i2",
                                      "i3",
                                      "i4",
                                      "i5",
                                      "hardi1",
                                      ".",
                                      "..",
                                      "a/b",
                                      "",
                                      std::string(255, 'n'),
                                      std::string(256, 'n'),
                                      std::string("\xff\x01 x", 4)};
  std::uint64_t pick = scene.random() % 60;
  return pick < std::size(names) ? names[pick] : names[scene.random() % 10];
}

// Mostly directories that there are; sometimes anything, sometimes something gone.
ModelId random_directory(const Scene& scene) {
  std::vector<ModelId> directories;
  for (const auto& [id, object] : scene.model.objects()) {
    if (object.is_directory() && scene.handles.contains(id)) directories.push_back(id);
  }
  return directories[scene.random() % directories.size()];
}

ModelId random_object(const Scene& scene, bool maybe_gone) {
  std::vector<ModelId> known;
  for (const auto& [id, handle] : scene.handles) {
    if (maybe_gone || scene.model.find(id) != nullptr) known.push_back(id);
  }
  return known[scene.random() % known.size()];
}

std::string random_existing_name(const Scene& scene, ModelId directory) {
  const ModelObject* object = scene.model.find(directory);
  if (object == nullptr || object->names.empty() || scene.random() % 4 == 0)
    return random_name(scene);
  auto at = object->names.begin();
  std::advance(at, static_cast<long>(scene.random() % object->names.size()));
  return at->first;
}

std::uint32_t random_mode(const Scene& scene) {
  static const std::uint32_t modes[] = {0644,  0755,  0777,  0700, 0600, 01777,
                                        02775, 04755, 02666, 0,    0711};
  return modes[scene.random() % std::size(modes)];
}

test::ModelSet random_set(const Scene& scene) {
  test::ModelSet set;
  switch (scene.random() % 5) {
    case 0:
      set.mode = random_mode(scene);
      break;
    case 1:
      set.uid = static_cast<std::uint32_t>(1000 * (scene.random() % 2));
      break;
    case 2:
      set.gid = static_cast<std::uint32_t>(100 * (scene.random() % 2));
      break;
    case 3:
      set.size = scene.random() % 50000;
      break;
    default:
      set.mode = random_mode(scene);
      set.gid = 1000;
      break;
  }
  return set;
}

void fill_data(const Scene& scene, Operation& operation) {
  operation.offset = scene.random() % 50000;
  operation.count = static_cast<std::uint32_t>(scene.random() % 30000);
  if (scene.random() % 2 == 0) operation.offset -= operation.offset % 4096;
  std::size_t length = scene.random() % 3 == 0 ? 4096 : scene.random() % 20000;
  operation.bytes.assign(length, static_cast<char>('a' + scene.random() % 26));
  if (scene.random() % 2 == 0) operation.stable = nfs3::StableHow::unstable;
}

void fill_new(const Scene& scene, Operation& operation) {
  operation.object = random_directory(scene);
  operation.name = random_name(scene);
  operation.made = scene.next_id++;
  operation.set.mode = random_mode(scene);
  if (operation.kind == Kind::create) {
    operation.how = static_cast<nfs3::CreateMode>(scene.random() % 3);
    operation.verifier[0] = static_cast<std::byte>(scene.random() % 3);
    if (scene.random() % 4 == 0) operation.set.size = scene.random() % 5000;
  } else if (operation.kind == Kind::symlink) {
    operation.bytes = "to/" + std::to_string(scene.random() % 100);
  }
}

Status name_status(const std::string& name) {
  if (name.size() > 255) return Status::nametoolong;
  bool bad =
      name.empty() || name.find('/') != std::string::npos || name.find('\0') != std::string::npos;
  return bad ? Status::acces : Status::ok;
}

bool dots(const std::string& name) { return name == "." || name == ".."; }

// Names are judged before anything else.
Status judge_names(const Operation& operation) {
  const std::string& name = operation.kind == Kind::link ? operation.new_name : operation.name;
  switch (operation.kind) {
    case Kind::lookup:
      return name_status(name);
    case Kind::create:
    case Kind::mkdir:
    case Kind::symlink:
    case Kind::link:
      return dots(name) ? Status::exist : name_status(name);
    case Kind::mknod:
      if (operation.user.uid != 0) return Status::perm;
      return dots(name) ? Status::exist : name_status(name);
    case Kind::remove:
      return dots(name) ? Status::inval : name_status(name);
    case Kind::rmdir:
      if (name == ".") return Status::inval;
      return name == ".." ? Status::exist : name_status(name);
    case Kind::rename:
      if (dots(name) || dots(operation.new_name)) return Status::inval;
      if (name_status(name) != Status::ok) return name_status(name);
      return name_status(operation.new_name);
    default:
      return Status::ok;
  }
}

void do_new(test::ModelFs& model, const Operation& operation, Outcome& outcome) {
  if (operation.kind == Kind::create) {
    test::ModelCreate wanted{operation.how, operation.set, operation.verifier};
    outcome.status =
        model.create(operation.user, operation.object, operation.name, wanted, operation.made);
    return;
  }
  ModelObject object;
  object.mode = *operation.set.mode;
  object.type = FileType::directory;
  if (operation.kind == Kind::symlink) {
    object.type = FileType::symlink;
    object.content = operation.bytes;
  } else if (operation.kind == Kind::mknod) {
    object.type = FileType::character;
    object.device = {4, 64};
  }
  outcome.status =
      model.make(operation.user, operation.object, operation.name, object, operation.made);
}

void do_data(test::ModelFs& model, const Operation& operation, Outcome& outcome) {
  const ModelObject* object = model.find(operation.object);
  switch (operation.kind) {
    case Kind::setattr:
      outcome.status = model.set(operation.user, operation.object, operation.set);
      return;
    case Kind::read:
      outcome.status = model.read(operation.user, operation.object, operation.offset,
                                  operation.count, outcome.bytes, outcome.eof);
      return;
    case Kind::write:
      outcome.status =
          model.write(operation.user, operation.object, operation.offset, operation.bytes);
      return;
    default:
      break;
  }
  if (object == nullptr) {
    outcome.status = Status::stale;
  } else if (operation.kind == Kind::commit) {
    if (object->is_directory()) outcome.status = Status::isdir;
    else if (object->type != FileType::regular) outcome.status = Status::inval;
  } else if (operation.kind == Kind::access) {
    outcome.access = model.access(operation.user, operation.object);
  } else if (object->type != FileType::symlink) {
    outcome.status = Status::inval;
  } else {
    outcome.bytes = object->content;
  }
}

}  // namespace

Operation random_operation(const Scene& scene) {
  static const Kind kinds[] = {
      Kind::lookup,  Kind::access, Kind::setattr, Kind::setattr, Kind::read,   Kind::read,
      Kind::write,   Kind::write,  Kind::write,   Kind::create,  Kind::create, Kind::mkdir,
      Kind::symlink, Kind::mknod,  Kind::remove,  Kind::remove,  Kind::rmdir,  Kind::rmdir,
      Kind::rename,  Kind::rename, Kind::rename,  Kind::link,    Kind::link,   Kind::readlink};
  Operation operation;
  operation.kind = kinds[scene.random() % std::size(kinds)];
  operation.user = users[scene.random() % 4 == 0 ? 1 + scene.random() % 2 : 0];
  switch (operation.kind) {
    case Kind::create:
    case Kind::mkdir:
    case Kind::symlink:
    case Kind::mknod:
      fill_new(scene, operation);
      return operation;
    case Kind::setattr:
      operation.set = random_set(scene);
      break;
    case Kind::read:
    case Kind::write:
      fill_data(scene, operation);
      break;
    default:
      break;
  }
  bool named = operation.kind == Kind::lookup || operation.kind == Kind::remove ||
               operation.kind == Kind::rmdir || operation.kind == Kind::rename;
  bool anything = scene.random() % 12 == 0;
  operation.object = named && !anything ? random_directory(scene) : random_object(scene, anything);
  operation.name = random_existing_name(scene, operation.object);
  operation.other = anything ? random_object(scene, true) : random_directory(scene);
  operation.new_name = random_existing_name(scene, operation.other);
  return operation;
}

Outcome do_to_model(test::ModelFs& model, const Operation& operation) {
  Outcome outcome;
  outcome.replied = true;
  outcome.status = judge_names(operation);
  if (outcome.status != Status::ok) return outcome;
  switch (operation.kind) {
    case Kind::lookup:
      outcome.status =
          model.lookup(operation.user, operation.object, operation.name, outcome.found);
      break;
    case Kind::remove:
      outcome.status = model.remove(operation.user, operation.object, operation.name);
      break;
    case Kind::rmdir:
      outcome.status = model.rmdir(operation.user, operation.object, operation.name);
      break;
    case Kind::rename:
      outcome.status = model.rename(operation.user, operation.object, operation.name,
                                    operation.other, operation.new_name);
      break;
    case Kind::link:
      outcome.status =
          model.link(operation.user, operation.object, operation.other, operation.new_name);
      break;
    case Kind::create:
    case Kind::mkdir:
    case Kind::symlink:
    case Kind::mknod:
      do_new(model, operation, outcome);
      break;
    default:
      do_data(model, operation, outcome);
      break;
  }
  return outcome;
}

bool agree(const Operation& operation, const Outcome& model, const Outcome& service,
           const std::map<ModelId, nfs3::Handle>& handles) {
  if (model.status != service.status) return false;
  if (model.status != Status::ok) return true;
  switch (operation.kind) {
    case Kind::lookup: {
      auto known = handles.find(model.found);
      return known == handles.end() || known->second == *service.handle;
    }
    case Kind::access:
      return model.access == service.access;
    case Kind::read:
      return model.bytes == service.bytes && model.eof == service.eof;
    case Kind::readlink:
      return model.bytes == service.bytes;
    default:
      return true;
  }
}

std::string describe(const Operation& operation) {
  static const char* const names[] = {"lookup", "access", "setattr", "read",    "write",
                                      "create", "mkdir",  "symlink", "mknod",   "remove",
                                      "rmdir",  "rename", "link",    "readlink", "commit"};
  std::string text = names[static_cast<int>(operation.kind)];
  text +=
      " uid " + std::to_string(operation.user.uid) + " object " + std::to_string(operation.object);
  text += " '" + operation.name + "' other " + std::to_string(operation.other) + " '" +
          operation.new_name + "'";
  if (operation.set.size) text += " size " + std::to_string(*operation.set.size);
  if (operation.set.mode) text += " mode " + std::to_string(*operation.set.mode);
  if (operation.set.uid) text += " uid " + std::to_string(*operation.set.uid);
  if (operation.set.gid) text += " gid " + std::to_string(*operation.set.gid);
  text +=
      " offset " + std::to_string(operation.offset) + " count " + std::to_string(operation.count);
  return text + " bytes " + std::to_string(operation.bytes.size()) + " how " +
         std::to_string(static_cast<int>(operation.how)) + " makes " +
         std::to_string(operation.made);
}

}  // namespace rowan::sim
