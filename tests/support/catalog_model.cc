#include "tests/support/catalog_model.h"

#include <algorithm>
#include <set>

#include "rpc/base/check.h"
#include "tests/support/run_jobs.h"

namespace rowan::test {

using namespace cache;

SourceTree SourceTree::random(std::mt19937_64& random, int objects) {
  SourceTree tree;
  tree.nodes[root_number] = {FileKind::directory, 1, {}, {}};
  std::vector<FileNumber> directories{root_number};
  FileNumber last_file = 0;
  for (FileNumber number = 2; number < root_number + static_cast<FileNumber>(objects); ++number) {
    Node node;
    const std::uint64_t kind = random() % 10;
    if (kind < 2) node.kind = FileKind::directory;
    else if (kind < 3) node.kind = FileKind::symlink;
    Node& parent = tree.nodes[directories[random() % directories.size()]];
    // In no order of names, so that the listing's order is seen to be the source's.
    const std::string name = std::to_string(random() % 1000) + "-" + std::to_string(number);
    (random() % 8 == 0 ? parent.unlisted : parent.listed).emplace_back(name, number);
    node.names = 1;
    if (kind == 9 && last_file != 0 && tree.nodes[last_file].names == 1) {
      parent.listed.emplace_back("link-" + name, last_file);
      tree.nodes[last_file].names = 2;
    }
    if (node.kind == FileKind::directory) directories.push_back(number);
    if (node.kind == FileKind::regular) last_file = number;
    tree.nodes[number] = node;
  }
  return tree;
}

SourceEntry SourceTree::entry(VersionId version, std::string name, FileNumber number) const {
  const Node& node = nodes.at(number);
  SourceEntry entry;
  entry.name = std::move(name);
  entry.attributes.kind = node.kind;
  entry.attributes.nlink = node.names;
  entry.attributes.size = number * 100 + static_cast<std::uint64_t>(version);
  entry.attributes.source_fileid = number;
  entry.source_handle = "handle " + std::to_string(number);
  return entry;
}

bool operator==(const CatalogModel::Object& a, const CatalogModel::Object& b) {
  return a.id == b.id && a.told.name == b.told.name && a.told.attributes == b.told.attributes &&
         a.told.source_handle == b.told.source_handle && a.directory == b.directory &&
         a.target == b.target && a.drifted == b.drifted;
}

void CatalogModel::add_root(VersionId version, const SourceEntry& root) {
  Object object{image_root, root, 0, {}, false};
  versions[version].objects.try_emplace(root_number, std::move(object));
}

void CatalogModel::intern(Version& version, FileNumber directory, const SourceEntry& entry) {
  const FileNumber number = entry.attributes.source_fileid;
  version.names[{directory, entry.name}] = number;
  version.objects.try_emplace(number, Object{no_object, entry, directory, {}, false});
}

void CatalogModel::add_entry(VersionId id, FileNumber directory, const SourceEntry& entry) {
  Version& version = versions[id];
  if (version.names.contains({directory, entry.name})) return;
  const auto listing = version.directories.find(directory);
  if (listing != version.directories.end() && listing->second.complete) return;
  intern(version, directory, entry);
}

void CatalogModel::add_absent(VersionId id, FileNumber directory, const std::string& name) {
  Version& version = versions[id];
  const auto listing = version.directories.find(directory);
  if (listing != version.directories.end() && listing->second.complete) return;
  version.names.try_emplace({directory, name}, 0);
}

void CatalogModel::add_page(VersionId id, FileNumber number,
                            const std::vector<SourceEntry>& entries, const std::string& cursor,
                            bool last) {
  Version& version = versions[id];
  Directory& directory = version.directories[number];
  if (directory.complete) return;
  auto list = [&](const std::string& name) {
    std::vector<std::string>& listed = directory.listed;
    if (std::find(listed.begin(), listed.end(), name) == listed.end()) listed.push_back(name);
  };
  for (const SourceEntry& entry : entries) {
    const auto known = version.names.find({number, entry.name});
    if (known == version.names.end()) intern(version, number, entry);
    if (known == version.names.end() || known->second != 0) list(entry.name);
  }
  directory.cursor = last ? "" : cursor;
  directory.complete = last;
  if (!last) return;
  for (const auto& [name, child] : version.names) {
    if (name.first == number && child != 0) list(name.second);
  }
}

namespace {

std::string text(ObjectId id) { return std::to_string(to_number(id)); }

}  // namespace

std::string CatalogModel::learn_ids(Catalog& catalog, VersionId version) {
  const auto learned = versions.find(version);
  if (learned == versions.end()) return "";
  std::map<FileNumber, Object>& objects = learned->second.objects;
  std::set<ObjectId> taken{no_object};
  for (const auto& [number, object] : objects) taken.insert(object.id);
  for (auto& [number, object] : objects) {
    if (object.id != no_object) continue;
    const ObjectId directory = objects.at(object.directory).id;
    const std::string& name = object.told.name;
    auto id = loading(catalog, [&] { return catalog.lookup(version, directory, name); });
    if (!id) return "looking up " + name + ": " + to_string(id.error());
    if (!taken.insert(*id).second || is_local(*id)) return name + " got the id " + text(*id);
    object.id = *id;
    if (object.told.attributes.nlink > 1) continue;
    const auto [known, fresh] = ids.try_emplace({object.directory, name}, *id);
    if (known->second != *id)
      return name + " was " + text(known->second) + " and is " + text(*id) + " now";
  }
  return "";
}

// ---- comparing

namespace {

class Comparison {
 public:
  Comparison(Catalog& catalog, VersionId version, const CatalogModel::Version& model)
      : catalog_(catalog), version_(version), model_(model) {}

  std::string run() {
    counts();
    for (const auto& [number, expected] : model_.objects) object(expected);
    for (const auto& [name, child] : model_.names) lookup(name.first, name.second, child);
    for (const auto& [number, expected] : model_.objects) {
      if (expected.told.attributes.kind == FileKind::directory) listing(number, expected.id);
    }
    drifted();
    return problem_;
  }

 private:
  void say(const std::string& what) {
    if (problem_.empty())
      problem_ = "version " + std::to_string(static_cast<std::uint64_t>(version_)) + ": " + what;
  }

  template <class Ask>
  auto ask(const std::string& what, Ask question) {
    auto answer = loading(catalog_, question);
    if (!answer) say(what + ": " + to_string(answer.error()));
    return answer;
  }

  void counts() {
    std::uint64_t bytes = 0;
    for (const auto& [number, object] : model_.objects) {
      if (object.told.attributes.kind == FileKind::regular) bytes += object.told.attributes.size;
    }
    if (catalog_.object_count(version_) != model_.objects.size())
      say(std::to_string(catalog_.object_count(version_)) + " objects instead of " +
          std::to_string(model_.objects.size()));
    if (catalog_.known_bytes(version_) != bytes) say("other known bytes");
  }

  void object(const CatalogModel::Object& expected) {
    const std::string what = "object " + text(expected.id) + " (" + expected.told.name + ")";
    auto found = ask(what, [&] { return catalog_.object(version_, expected.id); });
    if (!found) return;
    if (found->attributes != expected.told.attributes) say(what + " has other attributes");
    if (found->source_handle != expected.told.source_handle) say(what + " has another handle");
    if (found->target != expected.target) say(what + " has another target");
    if (found->drifted != expected.drifted) say(what + " drifted or not");
    if (expected.told.attributes.nlink > 1) return;   // the name of another version may stand there
    const ObjectId parent =
        expected.directory == 0 ? no_object : model_.objects.at(expected.directory).id;
    if (found->parent != parent || found->name != expected.told.name)
      say(what + " has another place");
    (void)ask("the path of " + what, [&] { return catalog_.path(expected.id); });
  }

  void lookup(FileNumber directory, const std::string& name, FileNumber child) {
    const ObjectId parent = model_.objects.at(directory).id;
    auto found = ask("looking up " + name, [&] { return catalog_.lookup(version_, parent, name); });
    const ObjectId wanted = child == 0 ? no_object : model_.objects.at(child).id;
    if (found && *found != wanted) say(name + " is " + text(*found) + ", not " + text(wanted));
  }

  void listing(FileNumber number, ObjectId id) {
    const auto known = model_.directories.find(number);
    const CatalogModel::Directory expected =
        known == model_.directories.end() ? CatalogModel::Directory() : known->second;
    const std::string what = "the listing of directory " + text(id);
    std::uint64_t position = 0;
    for (const std::string& name : expected.listed) {
      auto page = ask(what, [&] { return catalog_.list(version_, id, position, 1); });
      if (!page) return;
      if (page->entries.size() != 1) return say(what + " is too short");
      const Listing::Entry& entry = page->entries[0];
      if (entry.name != name || entry.position <= position)
        return say(what + " has " + entry.name + " instead of " + name);
      const FileNumber child = model_.names.at({number, name});
      if (entry.child != model_.objects.at(child).id) say(what + ": another id for " + name);
      position = entry.position;
    }
    auto end = ask(what, [&] { return catalog_.list(version_, id, position, 1); });
    if (!end) return;
    if (!end->entries.empty() || end->complete != expected.complete)
      say(what + " ends otherwise");
    if (!expected.complete && end->source_cursor != expected.cursor)
      say(what + " goes on elsewhere");
    auto never = loading(catalog_, [&] { return catalog_.lookup(version_, id, "never told"); });
    if (expected.complete ? !never || *never != no_object : !never.failed_with(Errc::not_found))
      say("a name that nobody told of in directory " + text(id));
  }

  void drifted() {
    std::set<ObjectId> expected;
    for (const auto& [number, object] : model_.objects) {
      if (object.drifted) expected.insert(object.id);
    }
    auto found = ask("drift", [&] { return catalog_.drifted(version_, 10'000); });
    if (found && std::set<ObjectId>(found->begin(), found->end()) != expected)
      say("other objects have drifted");
  }

  Catalog& catalog_;
  VersionId version_;
  const CatalogModel::Version& model_;
  std::string problem_;
};

}  // namespace

std::string difference(Catalog& catalog, const CatalogModel& model,
                       const std::vector<VersionId>& versions) {
  for (const VersionId version : versions) {
    const auto known = model.versions.find(version);
    const CatalogModel::Version nothing;
    const CatalogModel::Version& expected =
        known == model.versions.end() ? nothing : known->second;
    if (std::string found = Comparison(catalog, version, expected).run(); !found.empty())
      return found;
    auto root = loading(catalog, [&] { return catalog.object(version, image_root); });
    if (expected.objects.empty() && !root.failed_with(Errc::not_found))
      return "the root of a version that nobody told of";
  }
  return "";
}

}  // namespace rowan::test
