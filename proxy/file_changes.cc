#include "proxy/file_changes.h"

#include <algorithm>
#include <utility>

// An object that lost a name and got another was renamed. More names than it lost are links, if it
// was there before, and else additions; more that it lost than it got are removals: of the object
// only if it is not there any more.

namespace rowan::proxy {
namespace {

using cache::ObjectId;

// Deeper than any path a client can name: a loop in damaged records ends here.
constexpr int deepest = 4096;

// A name that an object lost or got.
struct Use {
  ObjectId object;
  const NameChange* name;
  bool got;
};

struct Names {
  std::vector<const NameChange*> lost, got;
};

class Collector {
 public:
  explicit Collector(const StateChanges& changes) : in_(changes) {}

  std::vector<FileChange> run() {
    collect_uses();
    for (std::size_t at = 0; at < uses_.size();) {
      const ObjectId id = uses_[at].object;
      Names names;
      for (; at < uses_.size() && uses_[at].object == id; ++at)
        (uses_[at].got ? names.got : names.lost).push_back(uses_[at].name);
      add_names(id, names);
    }
    for (const auto& [id, object] : in_.objects) {
      if (!has_use(id)) add_modified(id, object);
    }
    std::ranges::stable_sort(out_, {}, [](const FileChange& change) {
      const bool later = change.what != FileChange::What::removed;
      return std::make_pair(std::string_view(change.path), later);
    });
    return std::move(out_);
  }

 private:
  // Grouped by object, in the order the names came in.
  void collect_uses() {
    for (const NameChange& change : in_.names) {
      if (change.before == change.after) continue;
      if (change.before != cache::no_object) uses_.push_back({change.before, &change, false});
      if (change.after != cache::no_object) uses_.push_back({change.after, &change, true});
    }
    std::ranges::stable_sort(uses_, {}, &Use::object);
  }

  bool has_use(ObjectId id) const {
    const auto at = std::ranges::lower_bound(uses_, id, {}, &Use::object);
    return at != uses_.end() && at->object == id;
  }

  std::string old_path(const NameChange& name) const {
    return path_of(in_.before, in_.root, name.directory, name.name);
  }
  std::string new_path(const NameChange& name) const {
    return path_of(in_.after, in_.root, name.directory, name.name);
  }

  FileChange about(ObjectId id, FileChange::What what) const {
    FileChange change;
    change.what = what;
    const auto found = in_.objects.find(id);
    if (found == in_.objects.end()) return change;
    const ObjectChange& object = found->second;
    change.object = &object;
    if (object.after) change.kind = object.after->kind;
    else if (object.before) change.kind = object.before->kind;
    if (what == FileChange::What::removed || !object.before || !object.after) return change;
    const FileFacts &was = *object.before, &is = *object.after;
    const bool regular = is.kind == cache::FileKind::regular;
    change.content = regular && (object.content_bytes != 0 || was.size != is.size);
    change.mode = was.mode != is.mode;
    change.owner = was.uid != is.uid || was.gid != is.gid;
    change.target = was.target != is.target;
    return change;
  }

  void add_names(ObjectId id, const Names& names) {
    const std::size_t moved = std::min(names.lost.size(), names.got.size());
    for (std::size_t i = 0; i < moved; ++i) {
      FileChange change = about(id, FileChange::What::renamed);
      change.path = new_path(*names.got[i]);
      change.old_path = old_path(*names.lost[i]);
      out_.push_back(std::move(change));
    }
    for (std::size_t i = moved; i < names.lost.size(); ++i) {
      FileChange change = about(id, FileChange::What::removed);
      change.path = old_path(*names.lost[i]);
      out_.push_back(std::move(change));
    }
    for (std::size_t i = moved; i < names.got.size(); ++i) add_got(id, names, i, moved);
    // What else changed is told with the names it got, or else with one that it kept.
    const auto object = in_.objects.find(id);
    if (names.got.empty() && object != in_.objects.end()) add_modified(id, object->second);
  }

  // The first name of a new object is its addition; every other name is a link to a name it has.
  void add_got(ObjectId id, const Names& names, std::size_t i, std::size_t moved) {
    const auto object = in_.objects.find(id);
    const bool is_new = object != in_.objects.end() && !object->second.before;
    const bool first = i == 0 && moved == 0 && is_new;
    FileChange change =
        about(id, first ? FileChange::What::added : FileChange::What::linked);
    change.path = new_path(*names.got[i]);
    if (!first && i > 0) change.old_path = new_path(*names.got[0]);
    if (!first && i == 0) change.old_path = place_of(id);
    out_.push_back(std::move(change));
  }

  void add_modified(ObjectId id, const ObjectChange& object) {
    if (!looks_changed(object)) return;
    FileChange change = about(id, FileChange::What::modified);
    change.path = place_of(id);
    out_.push_back(std::move(change));
  }

  std::string place_of(ObjectId id) const {
    if (id == in_.root) return "/";
    const auto place = in_.places.find(id);
    if (place == in_.places.end()) return "?";
    return path_of(in_.after, in_.root, place->second.parent, place->second.name);
  }

  const StateChanges& in_;
  std::vector<Use> uses_;
  std::vector<FileChange> out_;
};

}  // namespace

std::string path_of(const DirectoryPlaces& places, ObjectId root, ObjectId directory,
                    std::string_view name) {
  std::string path = "/" + std::string(name);
  for (int depth = 0; directory != root; ++depth) {
    const auto place = places.find(directory);
    if (place == places.end() || depth == deepest) return "?" + path;
    path = "/" + place->second.name + path;
    directory = place->second.parent;
  }
  return path;
}

bool looks_changed(const ObjectChange& object) {
  if (!object.before || !object.after) return false;
  if (object.content_bytes != 0) return true;
  FileFacts was = *object.before;
  // A directory's size says nothing about it.
  if (was.kind == cache::FileKind::directory) was.size = object.after->size;
  return was != *object.after;
}

std::vector<FileChange> file_changes(const StateChanges& changes) {
  return Collector(changes).run();
}

}  // namespace rowan::proxy
