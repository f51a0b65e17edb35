#include "proxy/file_changes.h"

#include "tests/support/catch.h"

namespace rowan::proxy {
namespace {

using cache::FileKind;
using cache::ObjectId;
using What = FileChange::What;

constexpr ObjectId root{1}, etc{2}, file{10}, other{11};

FileFacts facts(std::uint64_t size = 5, FileKind kind = FileKind::regular) {
  FileFacts made;
  made.kind = kind;
  made.mode = 0644;
  made.size = size;
  return made;
}

StateChanges empty() {
  StateChanges changes;
  changes.root = root;
  changes.before[etc] = changes.after[etc] = {root, "etc"};
  return changes;
}

// "what path (old path)", one to a line.
std::string told(const StateChanges& changes) {
  static constexpr char letters[] = "+-RLM";
  std::string text;
  for (const FileChange& change : file_changes(changes)) {
    text += letters[static_cast<std::size_t>(change.what)];
    text += " " + change.path;
    if (!change.old_path.empty()) text += " (" + change.old_path + ")";
    if (change.content) text += " content";
    if (change.mode) text += " mode";
    if (change.owner) text += " owner";
    if (change.target) text += " target";
    text += "\n";
  }
  return text;
}

TEST_CASE("a new name of a new object was added, a lost one of an old object removed") {
  StateChanges changes = empty();
  changes.names = {{etc, "new", {}, file}, {root, "old", other, {}}};
  changes.objects[file].after = facts();
  changes.objects[other].before = facts();
  CHECK(told(changes) == "+ /etc/new\n- /old\n");
}

TEST_CASE("a name lost and another got is a rename, with what else changed") {
  StateChanges changes = empty();
  changes.names = {{etc, "a", file, {}}, {root, "b", {}, file}};
  CHECK(told(changes) == "R /b (/etc/a)\n");
  changes.objects[file] = {facts(5), facts(9), 4096};
  CHECK(told(changes) == "R /b (/etc/a) content\n");
}

TEST_CASE("a file replaced under its name was removed and added") {
  StateChanges changes = empty();
  changes.names = {{etc, "conf", other, file}};
  changes.objects[file].after = facts();
  changes.objects[other].before = facts();
  CHECK(told(changes) == "- /etc/conf\n+ /etc/conf\n");
}

TEST_CASE("a rename onto another file removes that one") {
  StateChanges changes = empty();
  changes.names = {{etc, "conf", other, file}, {etc, "conf.new", file, {}}};
  changes.objects[other].before = facts();
  CHECK(told(changes) == "- /etc/conf\nR /etc/conf (/etc/conf.new)\n");
}

TEST_CASE("a second name is a link to the first") {
  StateChanges changes = empty();
  changes.names = {{root, "second", {}, file}};
  changes.places[file] = {etc, "first"};
  CHECK(told(changes) == "L /second (/etc/first)\n");
  changes.names.push_back({root, "third", {}, file});
  changes.objects[file].after = facts();
  CHECK(told(changes) == "+ /second\nL /third (/second)\n");
}

TEST_CASE("one of several names lost is a removal of that name") {
  StateChanges changes = empty();
  changes.names = {{root, "second", file, {}}};
  changes.objects[file] = {facts(), facts(), 0};
  CHECK(told(changes) == "- /second\n");
}

TEST_CASE("what a client can see of a file is told apart") {
  StateChanges changes = empty();
  changes.places[file] = {etc, "conf"};
  ObjectChange& object = changes.objects[file];
  object = {facts(), facts(), 0};
  CHECK(told(changes).empty());
  object.content_bytes = 4096;
  CHECK(told(changes) == "M /etc/conf content\n");
  object = {facts(), facts(), 0};
  object.after->mode = 0600;
  object.after->gid = 7;
  CHECK(told(changes) == "M /etc/conf mode owner\n");
  object = {facts(0, FileKind::symlink), facts(0, FileKind::symlink), 0};
  object.after->target = "elsewhere";
  CHECK(told(changes) == "M /etc/conf target\n");
}

TEST_CASE("what changed of a file that only lost a name is told with one it kept") {
  StateChanges changes = empty();
  changes.names = {{etc, "gone", file, {}}};
  changes.places[file] = {etc, "kept"};
  changes.objects[file] = {facts(5), facts(9), 4096};
  CHECK(told(changes) == "- /etc/gone\nM /etc/kept content\n");
  changes.objects[file] = {facts(), facts(), 0};
  CHECK(told(changes) == "- /etc/gone\n");
}

TEST_CASE("a directory whose size moved has not changed") {
  StateChanges changes = empty();
  changes.objects[etc] = {facts(1, FileKind::directory), facts(2, FileKind::directory), 0};
  changes.places[etc] = {root, "etc"};
  CHECK(told(changes).empty());
  changes.objects[root] = changes.objects[etc];
  changes.objects[root].after->mode = 0700;
  CHECK(told(changes) == "M / mode\n");
}

TEST_CASE("paths are those of the state they belong to") {
  StateChanges changes = empty();
  changes.after[etc] = {root, "config"};
  changes.names = {{root, "etc", etc, {}}, {root, "config", {}, etc}, {etc, "a", file, other}};
  changes.objects[file].before = facts();
  changes.objects[other].after = facts();
  CHECK(told(changes) == "R /config (/etc)\n+ /config/a\n- /etc/a\n");
}

TEST_CASE("places that are not known, or lead in a circle, end") {
  StateChanges changes = empty();
  changes.names = {{ObjectId{99}, "lost", {}, file}};
  CHECK(told(changes) == "L ?/lost (?)\n");
  changes.after[etc] = {etc, "etc"};
  CHECK(path_of(changes.after, root, etc, "x").starts_with("?/etc/etc/"));
}

}  // namespace
}  // namespace rowan::proxy
