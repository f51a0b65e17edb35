#include <algorithm>

#include "rpc/base/check.h"
#include "tests/support/fake_origin.h"

namespace rowan::test {
namespace {

using nfs3::FileType;
using nfs3::Procedure;
using nfs3::Status;

template <Procedure P>
typename nfs3::Traits<P>::Args decode(xdr::Reader& in) {
  typename nfs3::Traits<P>::Args args;
  CHECK(nfs3::Codec<P>::decode_args(in, args));
  return args;
}

template <Procedure P>
Buffer encode(const typename nfs3::Traits<P>::Res& res) {
  xdr::Writer out;
  nfs3::Codec<P>::encode_res(out, res);
  return out.take();
}

}  // namespace

FakeTree::FakeTree() {
  Node root;
  root.attributes.type = FileType::directory;
  root.attributes.mode = 0755;
  root.attributes.fileid = 1;
  root.attributes.nlink = 2;
  nodes_.emplace(1, root);
}

std::uint64_t FakeTree::add(std::uint64_t parent, const std::string& name, Node node) {
  std::uint64_t id = nodes_.rbegin()->first + 1;
  node.attributes.fileid = id;
  node.attributes.fsid = 77;
  node.attributes.mtime = {1000, static_cast<std::uint32_t>(id)};
  node.attributes.ctime = {2000, 5};
  node.attributes.size = node.data.size();
  node.attributes.used = node.data.size();
  nodes_.emplace(id, std::move(node));
  nodes_.at(parent).children.emplace_back(name, id);
  return id;
}

std::uint64_t FakeTree::add_directory(std::uint64_t parent, const std::string& name) {
  Node node;
  node.attributes.type = nfs3::FileType::directory;
  node.attributes.mode = 0755;
  return add(parent, name, node);
}

std::uint64_t FakeTree::add_file(std::uint64_t parent, const std::string& name, std::string data) {
  Node node;
  node.attributes.mode = 0644;
  node.data = std::move(data);
  return add(parent, name, node);
}

std::uint64_t FakeTree::add_symlink(std::uint64_t parent, const std::string& name,
                                    std::string target) {
  Node node;
  node.attributes.type = nfs3::FileType::symlink;
  node.attributes.mode = 0777;
  node.data = std::move(target);
  return add(parent, name, node);
}

std::uint64_t FakeTree::add_special(std::uint64_t parent, const std::string& name,
                                    nfs3::FileType type) {
  Node node;
  node.attributes.type = type;
  node.attributes.mode = 0600;
  return add(parent, name, node);
}

void FakeTree::add_link(std::uint64_t parent, const std::string& name, std::uint64_t file) {
  nodes_.at(parent).children.emplace_back(name, file);
  ++nodes_.at(file).attributes.nlink;
}

nfs3::Handle FakeTree::handle(std::uint64_t id) const {
  nfs3::Handle handle;
  handle.size = 12;
  store_be(handle.bytes.data(), id);
  store_be(handle.bytes.data() + 8, nodes_.at(id).generation);
  return handle;
}

const FakeTree::Node* FakeTree::find(const nfs3::Handle& handle) const {
  if (handle.size != 12) return nullptr;
  auto found = nodes_.find(load_be<std::uint64_t>(handle.bytes.data()));
  if (found == nodes_.end()) return nullptr;
  bool live = load_be<std::uint32_t>(handle.bytes.data() + 8) == found->second.generation;
  return live ? &found->second : nullptr;
}

nfs3::LookupRes FakeTree::lookup(const nfs3::LookupArgs& args) const {
  nfs3::LookupRes res;
  const Node* dir = find(args.what.dir);
  res.status = dir == nullptr ? Status::stale : Status::noent;
  if (dir == nullptr) return res;
  if (dir->attributes.type != FileType::directory) {
    res.status = Status::notdir;
    return res;
  }
  for (const auto& [name, id] : dir->children) {
    if (name != args.what.name) continue;
    res.status = Status::ok;
    res.object = handle(id);
    if (lookup_has_attributes) res.attributes = nodes_.at(id).attributes;
  }
  return res;
}

nfs3::ReadRes FakeTree::read(const nfs3::ReadArgs& args) const {
  nfs3::ReadRes res;
  const Node* file = find(args.file);
  res.status = file == nullptr ? Status::stale : Status::ok;
  if (file == nullptr) return res;
  if (file->attributes.type != FileType::regular) {
    res.status = file->attributes.type == FileType::directory ? Status::isdir : Status::inval;
    return res;
  }
  std::uint64_t size = file->content ? file->attributes.size : file->data.size();
  std::uint64_t start = std::min(args.offset, size);
  std::size_t count = std::min<std::uint64_t>({args.count, rtmax, size - start});
  if (file->content) {
    std::vector<std::byte> bytes(count);
    file->content(start, bytes);
    res.data = Buffer::copy_of(bytes);
  } else {
    res.data = Buffer::copy_of(as_bytes(file->data).subspan(start, count));
  }
  res.eof = start + count == size;
  if (read_has_attributes) res.attributes = file->attributes;
  return res;
}

nfs3::ReaddirRes FakeTree::readdir(const nfs3::Handle& handle, nfs3::Cookie cookie,
                                   bool plus) const {
  nfs3::ReaddirRes res;
  const Node* dir = find(handle);
  res.status = dir == nullptr ? Status::stale : Status::ok;
  if (plus && !has_readdirplus) res.status = Status::notsupp;
  if (dir != nullptr && dir->attributes.type != FileType::directory) res.status = Status::notdir;
  if (res.status != Status::ok) return res;
  std::size_t at = cookie;
  for (; at < dir->children.size() && res.entries.size() < entries_per_page; ++at) {
    const auto& [name, id] = dir->children[at];
    nfs3::DirEntry entry;
    entry.fileid = id;
    entry.name = name;
    entry.cookie = at + 1;
    if (plus && plus_is_complete) {
      entry.attributes = nodes_.at(id).attributes;
      entry.object = this->handle(id);
    }
    res.entries.push_back(std::move(entry));
  }
  res.eof = at == dir->children.size();
  return res;
}

Buffer FakeTree::answer(Procedure procedure, xdr::Reader& in) const {
  switch (procedure) {
    case Procedure::getattr: {
      const Node* node = find(decode<Procedure::getattr>(in).object);
      nfs3::GetattrRes res;
      res.status = node == nullptr ? Status::stale : Status::ok;
      if (node != nullptr) res.attributes = node->attributes;
      return encode<Procedure::getattr>(res);
    }
    case Procedure::lookup: return encode<Procedure::lookup>(lookup(decode<Procedure::lookup>(in)));
    case Procedure::readlink: {
      const Node* node = find(decode<Procedure::readlink>(in).symlink);
      nfs3::ReadlinkRes res;
      res.status = node == nullptr ? Status::stale : Status::ok;
      if (node != nullptr && node->attributes.type != FileType::symlink) {
        res.status = Status::inval;
      } else if (node != nullptr) {
        res.target = node->data;
      }
      return encode<Procedure::readlink>(res);
    }
    case Procedure::read: return encode<Procedure::read>(read(decode<Procedure::read>(in)));
    case Procedure::readdir: {
      auto args = decode<Procedure::readdir>(in);
      return encode<Procedure::readdir>(readdir(args.dir, args.cookie, false));
    }
    case Procedure::readdirplus: {
      auto args = decode<Procedure::readdirplus>(in);
      return encode<Procedure::readdirplus>(readdir(args.dir, args.cookie, true));
    }
    case Procedure::fsinfo: {
      nfs3::FsinfoRes res;
      res.status = find(decode<Procedure::fsinfo>(in).root) == nullptr ? Status::stale : Status::ok;
      res.rtmax = rtmax;
      return encode<Procedure::fsinfo>(res);
    }
    default: return Buffer();  // NULL
  }
}

}  // namespace rowan::test
