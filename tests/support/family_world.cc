#include "tests/support/family_world.h"

#include <utility>

#include "proxy/merged_view.h"
#include "proxy/redirect.h"
#include "rpc/base/check.h"
#include "tests/support/run_jobs.h"

namespace rowan::test {

using cache::ObjectId;
using cache::StateId;

namespace {

cache::StoreOptions small_options() {
  cache::StoreOptions options;
  options.table.memory_table_bytes = 64 << 10;
  options.table.page_cache_bytes = 1 << 20;
  options.table.segment_bytes = 8 << 20;
  options.table.reserve_bytes = 0;
  return options;
}

std::uint64_t number(ObjectId id) { return cache::to_number(id); }

}  // namespace

FamilyWorld::FamilyWorld(std::uint64_t seed) : disk_(seed) {
  auto made = cache::StoreFamily::create(*root_, small_options());
  CHECK(made.has_value());
  family_ = std::move(*made);
  jobs_ = std::make_unique<proxy::StoreJobs>(client_.loop, client_.disk, *family_);
}

FamilyWorld::~FamilyWorld() {
  if (std::unique_ptr<proxy::Appliance> appliance =
          client_.exports.remove(plain_settings().id))
    static_cast<void>(client_.run(appliance->close()));
}

void FamilyWorld::start() {
  // What the image is as long as nothing was changed.
  empty_ = checkpoint();
  auto store = loading(*family_, [&] { return family_->store(cache::first_state); });
  CHECK(store.has_value());
  auto appliance = std::make_unique<proxy::Appliance>(plain_settings(), std::move(*store), jobs(),
                                                      image(), client_.loop);
  CHECK(client_.exports.add(std::move(appliance)).has_value());
}

StateId FamilyWorld::checkpoint() {
  while (true) {
    auto made = family_->checkpoint(cache::first_state, "label");
    if (made) return *made;
    CHECK(made.failed_with(Errc::try_later));
    run_jobs(*family_);
  }
}

std::string FamilyWorld::content_of(proxy::Appliance& appliance, ObjectId id,
                                    const nfs3::Attributes& attributes) {
  const proxy::Caller caller = proxy::make_caller(context_of(0, 0).credentials, false);
  const proxy::redirect::Op op{appliance.view(), caller};
  if (attributes.type == nfs3::FileType::symlink)
    return client_.run(proxy::redirect::readlink(op, id)).target;
  std::string content;
  while (attributes.type == nfs3::FileType::regular && content.size() < attributes.size) {
    auto res = client_.run(proxy::redirect::read(op, id, content.size(), 1u << 20));
    CHECK(res.status == nfs3::Status::ok && res.data.size() > 0);
    content.append(reinterpret_cast<const char*>(res.data.data()), res.data.size());
  }
  return content;
}

void FamilyWorld::walk_directory(proxy::Appliance& appliance, ObjectId directory,
                                 const std::string& path, SeenTree& tree) {
  const proxy::Caller caller = proxy::make_caller(context_of(0, 0).credentials, false);
  const proxy::redirect::Op op{appliance.view(), caller};
  nfs3::ReaddirplusArgs args;
  args.dircount = args.maxcount = 1u << 20;
  auto res = client_.run(proxy::redirect::readdirplus(op, directory, args));
  CHECK(res.status == nfs3::Status::ok && res.eof);
  for (const nfs3::DirEntry& entry : res.entries) {
    if (entry.name == "." || entry.name == "..") continue;
    const std::string full = path + "/" + entry.name;
    SeenObject& seen = tree[entry.fileid];
    if (seen.paths.empty()) {
      seen.attributes = *entry.attributes;
      seen.content = content_of(appliance, ObjectId{entry.fileid}, seen.attributes);
    }
    seen.paths.insert(full);
    seen.names[{number(directory), entry.name}] = full;
    if (seen.attributes.type == nfs3::FileType::directory)
      walk_directory(appliance, ObjectId{entry.fileid}, full, tree);
  }
}

std::unique_ptr<proxy::Appliance> FamilyWorld::view(StateId state) {
  auto store = loading(*family_, [&] { return family_->store(state); });
  CHECK(store.has_value());
  proxy::ApplianceSettings settings = plain_settings("view", 0x77);
  settings.read_only = true;
  return std::make_unique<proxy::Appliance>(settings, std::move(*store), jobs(), image(),
                                            client_.loop);
}

SeenTree FamilyWorld::walk(StateId state) {
  if (state == cache::no_state) state = empty_;
  std::unique_ptr<proxy::Appliance> opened = view(state);
  proxy::Appliance& appliance = *opened;
  SeenTree tree;
  auto root = client_.run(appliance.view().load_node(cache::image_root));
  CHECK(root.has_value());
  tree[number(cache::image_root)].attributes = (*root)->attributes;
  tree[number(cache::image_root)].paths.insert("/");
  walk_directory(appliance, cache::image_root, "", tree);
  CHECK(client_.run(appliance.close()).has_value());
  return tree;
}

Result<std::unique_ptr<proxy::Comparison>> FamilyWorld::diff(StateId before, StateId after,
                                                             const proxy::DiffLimits& limits) {
  const proxy::StateDiff::Place place{*family_, jobs(), client_.loop, client_.disk};
  const proxy::DiffEnd old_end{before, &image()}, new_end{after, &image()};
  proxy::StateDiff diff(place, old_end, new_end, limits);
  auto found = client_.run(diff.run());
  return found;
}

std::string line_of(const proxy::FileChange& change) {
  static constexpr char letters[] = "+-RLM";
  std::string text(1, letters[static_cast<std::size_t>(change.what)]);
  text += " " + change.path;
  if (!change.old_path.empty()) text += " (" + change.old_path + ")";
  if (change.content) text += " content";
  if (change.mode) text += " mode";
  if (change.owner) text += " owner";
  if (change.target) text += " target";
  return text;
}

std::string FamilyWorld::told(StateId before, StateId after) {
  auto found = diff(before, after);
  if (!found) return to_string(found.error());
  std::string text;
  for (const proxy::FileChange& change : (**found).lines) text += line_of(change) + "\n";
  return text;
}

}  // namespace rowan::test
