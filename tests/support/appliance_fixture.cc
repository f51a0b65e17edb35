#include "tests/support/appliance_fixture.h"

#include <utility>

#include "proxy/merged_view.h"
#include "rpc/base/check.h"

namespace rowan::test {

using nfs3::Status;

PeerAddress peer_of(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  PeerAddress peer;
  peer.ip[10] = peer.ip[11] = std::byte{0xff};
  peer.ip[12] = std::byte{a};
  peer.ip[13] = std::byte{b};
  peer.ip[14] = std::byte{c};
  peer.ip[15] = std::byte{d};
  peer.port = 700;
  return peer;
}

PeerAddress loopback_peer() { return peer_of(127, 0, 0, 1); }

CallContext context_of(std::uint32_t uid, std::uint32_t gid, GroupList groups) {
  CallContext context;
  context.peer = loopback_peer();
  context.credentials = {uid, gid, groups, true};
  return context;
}

proxy::ApplianceSettings plain_settings(const std::string& name, std::uint64_t id) {
  proxy::ApplianceSettings settings;
  settings.name = name;
  settings.id = cache::ApplianceId{id};
  for (std::size_t i = 0; i < settings.key.size(); ++i)
    settings.key[i] = static_cast<std::byte>(i + id);
  settings.fsid = 0xf51d;
  return settings;
}

ApplianceFixture::ApplianceFixture(const MemoryStoreOptions& options,
                                   const proxy::ApplianceSettings& settings)
    : options_(options), settings_(settings) {}

ApplianceFixture::~ApplianceFixture() {
  for (proxy::Appliance* appliance : exports.all()) {
    if (appliance->closing()) continue;
    Result<void> closed = run(appliance->close());
    static_cast<void>(closed);  // a test may have broken the store
  }
}

proxy::Appliance& ApplianceFixture::start() {
  if (proxy::Appliance* running = exports.find(settings_.id)) return *running;
  auto store = std::make_unique<MemoryStore>(options_);
  store_ = store.get();
  auto appliance =
      std::make_unique<proxy::Appliance>(settings_, std::move(store), image, loop, disk);
  CHECK(exports.add(std::move(appliance)).has_value());
  return *exports.find(settings_.id);
}

void ApplianceFixture::crash(std::size_t extra) {
  start();
  settle(loop, disk);
  std::unique_ptr<MemoryStore> after = store_->crash(extra);
  std::unique_ptr<proxy::Appliance> old = exports.remove(settings_.id);
  static_cast<void>(run(old->close()));
  old.reset();
  store_ = after.get();
  auto appliance =
      std::make_unique<proxy::Appliance>(settings_, std::move(after), image, loop, disk);
  CHECK(exports.add(std::move(appliance)).has_value());
}

nfs3::Handle ApplianceFixture::handle_of(cache::ObjectId id) { return start().view().handle(id); }

nfs3::Handle ApplianceFixture::walk(std::string_view path) {
  CallContext as_root = context_of(0, 0);
  nfs3::Handle at = root();
  while (!path.empty()) {
    std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), part.size() + 1));
    nfs3::LookupArgs args{{at, part}};
    nfs3::LookupRes res = run(service.lookup(as_root, args));
    CHECK_EQ(to_string(res.status), "NFS3_OK");
    at = res.object;
  }
  return at;
}

ApplianceFixture::Place ApplianceFixture::place(std::string_view path) {
  std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {root(), path};
  return {walk(path.substr(0, slash)), path.substr(slash + 1)};
}

Status ApplianceFixture::status_of_path(std::string_view path) { return lookup(path).status; }

nfs3::LookupRes ApplianceFixture::lookup(std::string_view path) {
  Place at = place(path);
  nfs3::LookupArgs args{{at.directory, at.name}};
  return run(service.lookup(context, args));
}

nfs3::Attributes ApplianceFixture::attributes(std::string_view path) {
  nfs3::GetattrArgs args{walk(path)};
  nfs3::GetattrRes res = run(service.getattr(context, args));
  CHECK(res.status == Status::ok);
  return res.attributes;
}

std::string ApplianceFixture::content(std::string_view path) {
  CallContext as_root = context_of(0, 0);
  nfs3::ReadArgs args{walk(path), 0, nfs3::max_transfer_size};
  std::string content;
  for (;;) {
    nfs3::ReadRes res = run(service.read(as_root, args));
    CHECK_EQ(to_string(res.status), "NFS3_OK");
    content += as_text(res.data.view());
    args.offset += res.data.size();
    if (res.eof) return content;
  }
}

std::vector<std::string> ApplianceFixture::names(std::string_view path) {
  CallContext as_root = context_of(0, 0);
  std::vector<std::string> names;
  nfs3::ReaddirArgs args{walk(path), 0, {}, 512};
  for (;;) {
    nfs3::ReaddirRes res = run(service.readdir(as_root, args));
    CHECK_EQ(to_string(res.status), "NFS3_OK");
    for (const nfs3::DirEntry& entry : res.entries) {
      args.cookie = entry.cookie;
      if (entry.name != "." && entry.name != "..") names.push_back(entry.name);
    }
    args.verifier = res.verifier;
    if (res.eof) return names;
  }
}

nfs3::CreateRes ApplianceFixture::create(std::string_view path, nfs3::CreateMode how,
                                         std::uint32_t mode) {
  Place at = place(path);
  nfs3::CreateArgs args;
  args.where = {at.directory, at.name};
  args.how = how;
  args.attributes.mode = mode;
  return run(service.create(context, args));
}

nfs3::CreateRes ApplianceFixture::mkdir(std::string_view path, std::uint32_t mode) {
  Place at = place(path);
  nfs3::MkdirArgs args;
  args.where = {at.directory, at.name};
  args.attributes.mode = mode;
  return run(service.mkdir(context, args));
}

nfs3::CreateRes ApplianceFixture::symlink(std::string_view path, std::string_view target) {
  Place at = place(path);
  nfs3::SymlinkArgs args;
  args.where = {at.directory, at.name};
  args.target = target;
  return run(service.symlink(context, args));
}

nfs3::RemoveRes ApplianceFixture::remove(std::string_view path) {
  Place at = place(path);
  nfs3::RemoveArgs args{{at.directory, at.name}};
  return run(service.remove(context, args));
}

nfs3::RemoveRes ApplianceFixture::rmdir(std::string_view path) {
  Place at = place(path);
  nfs3::RemoveArgs args{{at.directory, at.name}};
  return run(service.rmdir(context, args));
}

nfs3::RenameRes ApplianceFixture::rename(std::string_view from, std::string_view to) {
  Place from_place = place(from);
  Place to_place = place(to);
  nfs3::RenameArgs args{{from_place.directory, from_place.name},
                        {to_place.directory, to_place.name}};
  return run(service.rename(context, args));
}

nfs3::LinkRes ApplianceFixture::link(std::string_view existing, std::string_view path) {
  Place at = place(path);
  nfs3::LinkArgs args{walk(existing), {at.directory, at.name}};
  return run(service.link(context, args));
}

nfs3::WriteRes ApplianceFixture::write(std::string_view path, std::uint64_t offset,
                                       std::string_view bytes, nfs3::StableHow stable) {
  nfs3::WriteArgs args;
  args.file = walk(path);
  args.offset = offset;
  args.count = static_cast<std::uint32_t>(bytes.size());
  args.stable = stable;
  args.data = as_bytes(bytes);
  return run(service.write(context, args));
}

nfs3::ReadRes ApplianceFixture::read(std::string_view path, std::uint64_t offset,
                                     std::uint32_t count) {
  nfs3::ReadArgs args{walk(path), offset, count};
  return run(service.read(context, args));
}

nfs3::SetattrRes ApplianceFixture::setattr(std::string_view path, const nfs3::SetAttributes& set) {
  nfs3::SetattrArgs args{walk(path), set, std::nullopt};
  return run(service.setattr(context, args));
}

std::uint32_t ApplianceFixture::access(std::string_view path, std::uint32_t asked) {
  nfs3::AccessArgs args{walk(path), asked};
  nfs3::AccessRes res = run(service.access(context, args));
  CHECK(res.status == Status::ok);
  return res.access;
}

}  // namespace rowan::test
