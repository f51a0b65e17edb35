#include "proxy/restore.h"

#include "tests/support/catch.h"
#include "tests/support/family_world.h"

namespace rowan::proxy {
namespace {

using cache::StateId;
using nfs3::FileType;
using test::FamilyWorld;
using test::SeenTree;

struct World : FamilyWorld {
  World() {
    image().add_directory("etc");
    image().add_directory("usr");
    image().add_directory("usr/bin");
    image().add_file("etc/hosts", "127.0.0.1 localhost\n");
    image().add_file("usr/bin/cc", std::string(300'000, 'c'));
    image().add_symlink("bin", "usr/bin");
    image().add_symlink("loop", "loop");
    image().add_device("null", cache::FileKind::character, 1, 3);
    start();
  }

  // What restore() puts back of a state, or the error.
  std::string restore(StateId state, const std::string& path, const std::string& to = "",
                      bool force = false) {
    std::unique_ptr<Appliance> old = view(state);
    StateTree from(old->view(), "vm1@old"), running(c.appliance().view(), "vm1");
    RestoreOptions options;
    options.force = force;
    Restore work(from, running, options);
    Result<std::string> done = c.run(work.run(path, to));
    counts = work.counts();
    REQUIRE(c.run(old->close()));
    return done ? *done : to_string(done.error());
  }
  // Everything a client sees below a path, with attributes, without numbers and change times.
  std::string below(StateId state, const std::string& path) {
    std::map<std::string, std::string> lines;
    for (const auto& [id, seen] : walk(state)) {
      const nfs3::Attributes& a = seen.attributes;
      for (const std::string& name : seen.paths) {
        if (!name.starts_with(path)) continue;
        const bool directory = a.type == FileType::directory;
        lines[name] = std::to_string(a.mode) + " " + std::to_string(a.uid) + ":" +
                      std::to_string(a.gid) + " " + std::to_string(a.mtime.seconds) + " " +
                      std::to_string(directory ? 0 : a.nlink) + " " +
                      std::to_string(seen.content.size()) + " bytes, hash " +
                      std::to_string(std::hash<std::string>()(seen.content));
      }
    }
    std::string text;
    for (const auto& [name, line] : lines) text += name + " " + line + "\n";
    return text;
  }

  test::ApplianceFixture& c = client();
  RestoreCounts counts;
};

TEST_CASE("paths lead through links, dots and slashes, as root sees them") {
  World w;
  StateTree tree(w.c.appliance().view(), "vm1");
  auto path_of = [&](std::string path, bool follow) {
    Result<StateTree::Found> found = w.c.run(tree.find(std::move(path), follow));
    return found ? found->path : std::string(to_string(found.error().code));
  };
  CHECK(path_of("/", true) == "/");
  CHECK(path_of("//etc/./hosts", false) == "/etc/hosts");
  CHECK(path_of("usr/bin/../../../etc", false) == "/etc");
  CHECK(path_of("/bin/cc", false) == "/usr/bin/cc");
  CHECK(path_of("/bin", false) == "/bin");
  CHECK(path_of("/bin", true) == "/usr/bin");
  CHECK(path_of("/loop", false) == "/loop");
  CHECK(path_of("/loop/x", false) == to_string(Errc::limit));
  CHECK(path_of("/etc/none", false) == to_string(Errc::not_found));
  CHECK(path_of("/etc/hosts/x", false) == to_string(Errc::not_directory));
}

TEST_CASE("a file comes back with content, mode, owner and times; of the new one nothing is left") {
  World w;
  nfs3::SetAttributes set;
  set.mode = 0640;
  set.uid = 7;
  w.c.setattr("etc/hosts", set);
  const StateId old = w.checkpoint();
  const std::string before = w.below(old, "/etc");
  w.c.write("etc/hosts", 0, "overwritten, and made longer than it was");
  w.c.loop.advance(std::chrono::hours(1));
  set.mode = 0777;
  w.c.setattr("etc/hosts", set);
  REQUIRE(w.restore(old, "/etc/hosts") == "/etc/hosts");
  CHECK(w.c.content("etc/hosts") == "127.0.0.1 localhost\n");
  CHECK(w.c.names("etc") == std::vector<std::string>{"hosts"});
  const std::string after = w.below(w.checkpoint(), "/etc/hosts");
  CHECK(before.ends_with(after));
  CHECK(w.counts.files == 1);
  CHECK(w.counts.bytes == 20);
}

TEST_CASE("a whole directory comes back as it was") {
  World w;
  w.c.mkdir("d");
  w.c.mkdir("d/inner", 0711);
  w.c.create("d/file", nfs3::CreateMode::guarded, 04755);
  w.c.write("d/file", 200'000, "behind a hole");
  w.c.link("d/file", "d/inner/same");
  w.c.symlink("d/inner/sym", "../file");
  w.c.rename("null", "d/null");
  w.c.rename("usr/bin", "d/bin");
  const StateId old = w.checkpoint();
  const std::string before = w.below(old, "/d");
  for (const char* path : {"d/inner/sym", "d/inner/same", "d/file", "d/null", "d/bin/cc"})
    w.c.remove(path);
  for (const char* path : {"d/bin", "d/inner", "d"}) w.c.rmdir(path);
  REQUIRE(w.c.status_of_path("d") == nfs3::Status::noent);
  REQUIRE(w.restore(old, "d") == "/d");
  const StateId now = w.checkpoint();
  CHECK(w.below(now, "/d") == before);
  CHECK(w.counts.directories == 3);
  CHECK(w.counts.links == 1);
  // A hole stays one.
  CHECK(w.c.attributes("d/file").used <= 8192);
  // And the same below another name; what is there and was not stays.
  w.c.mkdir("elsewhere");
  w.c.create("elsewhere/mine");
  REQUIRE(w.restore(old, "d", "/elsewhere") == "/elsewhere");
  CHECK(w.c.names("elsewhere") ==
        std::vector<std::string>{"mine", "inner", "file", "null", "bin"});
}

TEST_CASE("missing directories above are put back, with --to they must be there") {
  World w;
  w.c.mkdir("a", 0750);
  w.c.mkdir("a/b", 0700);
  w.c.create("a/b/f");
  const StateId old = w.checkpoint();
  w.c.remove("a/b/f");
  w.c.rmdir("a/b");
  w.c.rmdir("a");
  const std::string refused = w.restore(old, "a/b/f", "a/b/f");
  CHECK(refused.find("make that directory first") != std::string::npos);
  CHECK(w.restore(old, "a/b/f") == "/a/b/f");
  CHECK(w.c.attributes("a/b").mode == 0700);
  CHECK(w.c.attributes("a").mode == 0750);
}

TEST_CASE("a directory makes room for a file, or a file for a directory, only if forced to") {
  World w;
  w.c.create("x");
  w.c.write("x", 0, "file");
  w.c.mkdir("y");
  w.c.create("y/in");
  const StateId old = w.checkpoint();
  w.c.remove("x");
  w.c.mkdir("x");
  w.c.create("x/mine");
  w.c.remove("y/in");
  w.c.rmdir("y");
  w.c.create("y");
  for (const char* path : {"x", "y"})
    CHECK(w.restore(old, path).find("replace it with --force") != std::string::npos);
  CHECK(w.c.status_of_path("x/mine") == nfs3::Status::ok);
  CHECK(w.restore(old, "x", "", true) == "/x");
  CHECK(w.restore(old, "y", "", true) == "/y");
  CHECK(w.c.content("x") == "file");
  CHECK(w.c.names("y") == std::vector<std::string>{"in"});
  for (const std::string& name : w.c.names(""))
    CHECK(name.find("rowan-restore") == std::string::npos);
}

TEST_CASE("a copy that fails leaves the file that is there, and nothing beside it") {
  World w;
  const StateId old = w.checkpoint();
  w.c.appliance().store().set_quota(100 << 10);
  const std::string failed = w.restore(old, "usr/bin/cc", "etc/hosts");
  CHECK(failed.find("quota") != std::string::npos);
  CHECK(w.c.content("etc/hosts") == "127.0.0.1 localhost\n");
  CHECK(w.c.names("etc") == std::vector<std::string>{"hosts"});
}

}  // namespace
}  // namespace rowan::proxy
