#include "tests/sim/tree_dump.h"

#include <utility>
#include <vector>

#include "rpc/base/check.h"
#include "tests/support/appliance_fixture.h"

namespace rowan::sim {

using nfs3::FileType;
using test::ModelId;
using test::ModelObject;

namespace {

std::string line(const ModelObject& object, std::uint64_t size) {
  std::string text = "type " + std::to_string(static_cast<int>(object.type)) + " mode " +
                     std::to_string(object.mode) + " owner " + std::to_string(object.uid) + ":" +
                     std::to_string(object.gid) + " nlink " + std::to_string(object.nlink);
  if (!object.is_directory()) text += " size " + std::to_string(size);
  text +=
      " device " + std::to_string(object.device.major) + ":" + std::to_string(object.device.minor);
  return text + " hash " + std::to_string(std::hash<std::string>()(object.content));
}

struct Walk {
  nfs3::Service& service;
  SeenTree seen;

  Task<std::string> describe(const nfs3::DirEntry& entry);
  Task<std::vector<nfs3::DirEntry>> entries(nfs3::Handle directory);
  Task<void> directory(std::string path, nfs3::Handle directory);
};

Task<std::vector<nfs3::DirEntry>> Walk::entries(nfs3::Handle directory) {
  CallContext root = test::context_of(0, 0);
  nfs3::ReaddirplusArgs args{directory, 0, {}, 400, 2000};
  std::vector<nfs3::DirEntry> entries;
  for (bool eof = false; !eof;) {
    nfs3::ReaddirRes res = co_await service.readdirplus(root, args);
    CHECK_EQ(nfs3::to_string(res.status), "NFS3_OK");
    eof = res.eof;
    if (!res.entries.empty()) args.cookie = res.entries.back().cookie;
    for (nfs3::DirEntry& entry : res.entries) entries.push_back(std::move(entry));
  }
  co_return entries;
}

Task<void> Walk::directory(std::string path, nfs3::Handle handle) {
  const std::vector<nfs3::DirEntry> found = co_await entries(handle);
  for (const nfs3::DirEntry& entry : found) {
    // The root is nobody's entry but its own.
    if (entry.name == "." && path.empty()) seen.lines[path] = co_await describe(entry);
    if (entry.name == "." || entry.name == "..") continue;
    const std::string child = path + "/" + entry.name;
    CHECK(seen.lines.find(child) == seen.lines.end());  // each name once
    seen.lines[child] = co_await describe(entry);
    seen.handles[child] = *entry.object;
    if (entry.attributes->type == FileType::directory) co_await directory(child, *entry.object);
  }
}

Task<std::string> Walk::describe(const nfs3::DirEntry& entry) {
  CallContext root = test::context_of(0, 0);
  const nfs3::Attributes& attributes = *entry.attributes;
  CHECK_EQ(attributes.fileid, entry.fileid);
  std::string content;
  if (attributes.type == FileType::regular) {
    nfs3::ReadArgs args{*entry.object, 0, nfs3::max_transfer_size};
    nfs3::ReadRes res = co_await service.read(root, args);
    CHECK_EQ(nfs3::to_string(res.status), "NFS3_OK");
    CHECK(res.eof);
    content = as_text(res.data.view());
  } else if (attributes.type == FileType::symlink) {
    nfs3::ReadlinkArgs args{*entry.object};
    nfs3::ReadlinkRes res = co_await service.readlink(root, args);
    content = res.target;
  }
  ModelObject object;
  object.type = attributes.type;
  object.mode = attributes.mode;
  object.uid = attributes.uid;
  object.gid = attributes.gid;
  object.nlink = attributes.nlink;
  object.device = attributes.rdev;
  object.content = std::move(content);
  co_return line(object, attributes.size);
}

}  // namespace

Task<SeenTree> dump_tree(nfs3::Service& service, nfs3::Handle root) {
  Walk walk{service, {}};
  walk.seen.handles[""] = root;
  co_await walk.directory("", root);
  co_return std::move(walk.seen);
}

namespace {

void dump_model_directory(const test::ModelFs& model, const std::string& path, ModelId directory,
                          std::map<std::string, std::string>& lines,
                          std::map<std::string, ModelId>& by_path) {
  for (const auto& [name, id] : model.find(directory)->names) {
    const ModelObject& object = *model.find(id);
    std::string child = path + "/" + name;
    lines[child] = line(object, object.content.size());
    by_path[child] = id;
    if (object.is_directory()) dump_model_directory(model, child, id, lines, by_path);
  }
}

}  // namespace

std::map<std::string, std::string> dump_model(const test::ModelFs& model,
                                              std::map<std::string, ModelId>& by_path) {
  const ModelObject& root = *model.find(test::model_root);
  std::map<std::string, std::string> lines{{"", line(root, root.content.size())}};
  by_path[""] = test::model_root;
  dump_model_directory(model, "", test::model_root, lines, by_path);
  return lines;
}

}  // namespace rowan::sim
