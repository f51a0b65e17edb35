// Random histories: what the records tell of two states, against what a client sees that walks both
// from end to end.
#include <algorithm>
#include <random>

#include "tests/support/catch.h"
#include "tests/support/family_world.h"
#include "tests/support/run_jobs.h"
#include "tests/support/seeds.h"

namespace rowan::proxy {
namespace {

using cache::StateId;
using test::FamilyWorld;
using test::SeenObject;
using test::SeenTree;
using Random = std::mt19937_64;


class History {
 public:
  explicit History(std::uint64_t seed) : world_(seed), random_(seed) {
    for (const char* directory : {"a", "b", "a/c", "a/c/d"}) add_directory(directory);
    world_.image().add_link("b/hard", "a/f0");
    world_.image().add_symlink("b/soft", "../a");
    world_.start();
  }

  void go_on(std::size_t operations) {
    for (std::size_t i = 0; i < operations; ++i) {
      if (i % 8 == 0) look();
      one();
    }
    if (random_() % 2 == 0) test::run_jobs(world_.family());
  }

  FamilyWorld& world() { return world_; }

 private:
  void add_directory(const std::string& path) {
    world_.image().add_directory(path);
    for (int i = 0; i < 4; ++i) {
      const std::size_t size = random_() % 4 == 0 ? 140'000 : random_() % 9000;
      world_.image().add_file(path + "/f" + std::to_string(i),
                              std::string(size, static_cast<char>('a' + i)));
    }
  }

  void look() {
    paths_.clear();
    directories_ = {""};
    for (const auto& [id, seen] : world_.walk(world_.checkpoint())) {
      for (const std::string& path : seen.paths) {
        if (path == "/") continue;
        paths_.push_back(path.substr(1));
        if (seen.attributes.type == nfs3::FileType::directory)
          directories_.push_back(path.substr(1) + "/");
      }
    }
  }

  const std::string& some() { return paths_[random_() % paths_.size()]; }
  // A name that is free, or taken.
  std::string place() {
    return directories_[random_() % directories_.size()] + "n" + std::to_string(random_() % 12);
  }
  bool exists(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash != std::string::npos && !exists(path.substr(0, slash))) return false;
    return world_.client().status_of_path(path) == nfs3::Status::ok;
  }
  bool parent_exists(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos || exists(path.substr(0, slash));
  }

  // One of them may well be refused: by a name that is taken, a directory that is not empty.
  void one() {
    test::ApplianceFixture& client = world_.client();
    const std::string old = some(), name = place();
    if (!exists(old) || !parent_exists(name)) return;
    switch (random_() % 10) {
      case 0:
        client.create(name);
        break;
      case 1:
        client.mkdir(name);
        break;
      case 2:
        client.symlink(name, "to/" + std::to_string(random_() % 3));
        break;
      case 3:
        client.link(old, name);
        break;
      case 4:
      case 5:
        client.rename(old, random_() % 3 == 0 ? some_existing() : name);
        break;
      case 6:
        if (client.remove(old).status != nfs3::Status::ok) client.rmdir(old);
        break;
      case 7:
        set(old);
        break;
      default:
        client.write(old, random_() % 150'000, std::string(1 + random_() % 9000, 'w'));
    }
  }

  std::string some_existing() {
    for (int i = 0; i < 20; ++i) {
      const std::string path = some();
      if (exists(path)) return path;
    }
    return "n0";
  }

  void set(const std::string& path) {
    nfs3::SetAttributes set;
    switch (random_() % 3) {
      case 0:
        set.mode = 0600 + static_cast<std::uint32_t>(random_() % 64);
        break;
      case 1:
        set.uid = static_cast<std::uint32_t>(random_() % 3);
        break;
      default:
        set.size = random_() % 2 == 0 ? random_() % 200'000 : random_() % 2 * 140'000;
    }
    world_.client().setattr(path, set);
  }

  FamilyWorld world_;
  Random random_;
  std::vector<std::string> paths_, directories_;
};

// ---- the same difference from two walks

// "lost /a", "got /b", "changed /b content mode": what pairs with what is left open.
using Lines = std::multiset<std::string>;

struct Flags {
  bool content = false, mode = false, owner = false, target = false;
  bool any() const { return content || mode || owner || target; }
};

Flags flags_of(const SeenObject& was, const SeenObject& is) {
  Flags flags;
  const bool regular = is.attributes.type == nfs3::FileType::regular;
  flags.content = regular && was.content != is.content;
  flags.mode = was.attributes.mode != is.attributes.mode;
  flags.owner =
      was.attributes.uid != is.attributes.uid || was.attributes.gid != is.attributes.gid;
  flags.target = !regular && was.content != is.content;
  return flags;
}

Lines expected_names(const SeenTree& before, const SeenTree& after) {
  Lines lines;
  static const SeenObject nothing;
  for (const auto& [id, was] : before) {
    const auto found = after.find(id);
    const SeenObject& is = found == after.end() ? nothing : found->second;
    for (const auto& [name, path] : was.names)
      if (!is.names.contains(name)) lines.insert("lost " + path);
  }
  for (const auto& [id, is] : after) {
    const auto found = before.find(id);
    const SeenObject& was = found == before.end() ? nothing : found->second;
    for (const auto& [name, path] : is.names)
      if (!was.names.contains(name)) lines.insert("got " + path);
  }
  return lines;
}

Lines names_of(const Comparison& found) {
  using enum FileChange::What;
  Lines lines;
  for (const FileChange& change : found.lines) {
    if (change.what == removed) lines.insert("lost " + change.path);
    if (change.what == renamed) lines.insert("lost " + change.old_path);
    if (change.what == added || change.what == renamed || change.what == linked)
      lines.insert("got " + change.path);
  }
  return lines;
}

// By every path the object has in the second state.
std::map<std::string, const FileChange*> by_path(const Comparison& found) {
  std::map<std::string, const FileChange*> lines;
  for (const FileChange& change : found.lines)
    if (change.what != FileChange::What::removed) lines[change.path] = &change;
  return lines;
}

const FileChange* line_about(const SeenObject& seen,
                             const std::map<std::string, const FileChange*>& lines) {
  for (const std::string& path : seen.paths) {
    const auto found = lines.find(path);
    if (found != lines.end()) return found->second;
  }
  return nullptr;
}

// A file of the image is found by the one name it is known by, and that one may be gone.
bool is_told_without_place(const Comparison& found) {
  auto is_lost = [](const FileChange& change) { return change.path.starts_with("?/"); };
  return std::ranges::any_of(found.lines, is_lost);
}

void check_flags(const SeenTree& before, const SeenTree& after, const Comparison& found,
                 std::uint64_t image_link) {
  const auto lines = by_path(found);
  for (const auto& [id, is] : after) {
    const auto was = before.find(id);
    const FileChange* line = line_about(is, lines);
    if (was == before.end()) continue;
    const Flags flags = flags_of(was->second, is);
    INFO("object " << id << " at " << *is.paths.begin());
    if (line == nullptr && flags.any())
      CHECK((id == image_link && is_told_without_place(found)));
    if (line == nullptr) continue;
    // Bytes that were written as they were may count as changed.
    if (flags.content) CHECK(line->content);
    CHECK(line->mode == flags.mode);
    CHECK(line->owner == flags.owner);
    CHECK(line->target == flags.target);
    if (line->what == FileChange::What::modified) CHECK(is.paths.contains(line->path));
    if (line->what == FileChange::What::linked && !line->old_path.empty())
      CHECK(is.paths.contains(line->old_path));
  }
}

void compare(FamilyWorld& world, StateId before, StateId after) {
  auto found = world.diff(before, after);
  REQUIRE(found);
  const SeenTree was = world.walk(before), is = world.walk(after);
  std::string text;
  for (const FileChange& change : (**found).lines) text += test::line_of(change) + "\n";
  INFO(text);
  CHECK(names_of(**found) == expected_names(was, is));
  check_flags(was, is, **found, cache::to_number(world.image().find("a/f0")));
}

TEST_CASE("random histories: the difference is what two walks see") {
  for (std::uint64_t seed : test::seeds(40)) {
    INFO("ROWAN_SIM_SEED=" << seed);
    History history(seed);
    FamilyWorld& world = history.world();
    std::vector<StateId> states{cache::no_state};
    for (int i = 0; i < 4; ++i) {
      history.go_on(20);
      states.push_back(world.checkpoint());
    }
    for (std::size_t i = 0; i + 1 < states.size(); ++i) {
      compare(world, states[i], states.back());
      if (i > 0) compare(world, states.back(), states[i]);  // and back again
    }
  }
}

}  // namespace
}  // namespace rowan::proxy
