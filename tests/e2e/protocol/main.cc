// Walks every NFSv3 procedure, and every error that can be provoked, against any server:
//
//   protocol_test nfs://HOST/EXPORT?nfsport=N&mountport=N [--server ganesha] [--only WORDS]
//
// The client is libnfs, not Rowan's codec. The export must be writable by root without squash; each
// case works in a directory of its own below it. --server names a server whose known deviations
// from RFC 1813 (protocol/deviations.cc) are counted instead of failed.
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "tests/e2e/protocol/cases.h"

namespace rowan::protocol {

void Verdicts::record(const std::string& what, bool holds, const std::string& detail) {
  if (holds) {
    ++held;
    return;
  }
  const char* reason = known_deviation(server_, case_, what);
  (reason != nullptr ? deviated : failed) += 1;
  std::printf("%s %s: %s%s%s%s%s\n", reason != nullptr ? "differs" : "FAILED", case_.c_str(),
              what.c_str(), detail.empty() ? "" : ": ", detail.c_str(),
              reason != nullptr ? " -- " : "", reason != nullptr ? reason : "");
}

void Scene::status(const std::string& what, int got, std::initializer_list<int> allowed) {
  verdicts_.met.insert(got);
  bool holds = false;
  std::string names;
  for (int status : allowed) {
    holds = holds || got == status;
    const char* text = nfsstat3_to_str(status);
    names += (names.empty() ? "" : " or ") + std::string(text);
  }
  const char* text = nfsstat3_to_str(got);
  verdicts_.record(what, holds,
                   "got " + std::string(text != nullptr ? text : "?") + " (" + std::to_string(got) +
                       "), wanted " + names);
}

void Scene::that(const std::string& what, bool holds, const std::string& detail) {
  verdicts_.record(what, holds, detail);
}

FileHandle Scene::file(const std::string& name, const std::string& content, std::uint32_t mode) {
  auto made = nfs.create(dir, name, {.mode = mode});
  if (made.status != NFS3_OK)
    throw Unanswered("CREATE of " + name + ": " + nfsstat3_to_str(made.status));
  auto handle = nfs.lookup(dir, name).handle;
  if (!content.empty() && nfs.write(handle, 0, content).status != NFS3_OK)
    throw Unanswered("WRITE to " + name);
  return handle;
}

FileHandle Scene::folder(const std::string& name, std::uint32_t mode) {
  auto made = nfs.mkdir(dir, name, {.mode = mode});
  if (made.status != NFS3_OK)
    throw Unanswered("MKDIR of " + name + ": " + nfsstat3_to_str(made.status));
  return nfs.lookup(dir, name).handle;
}

fattr3 Scene::attr(const FileHandle& object) {
  auto got = nfs.getattr(object);
  if (got.status != NFS3_OK)
    throw Unanswered(std::string("GETATTR: ") + nfsstat3_to_str(got.status));
  return got.attr;
}

namespace {

// Removes what a case left, directories before their parents; bounded, for a server that lists in
// circles.
void remove_tree(Calls& nfs, const FileHandle& parent, const std::string& name, int depth = 0) {
  auto found = nfs.lookup(parent, name);
  if (found.status != NFS3_OK) return;
  if (found.attr && found.attr->type != NF3DIR) {
    nfs.remove(parent, name);
    return;
  }
  for (const auto& entry : nfs.list(found.handle, 8192).entries) {
    if (entry.name != "." && entry.name != ".." && depth < 16) {
      remove_tree(nfs, found.handle, entry.name, depth + 1);
    }
  }
  nfs.rmdir(parent, name);
}

void run_case(const Case& one, const bench::Target& target, Verdicts& verdicts) {
  verdicts.begin_case(one.name);
  auto name = "protocol-test-" + std::to_string(getpid());
  auto failed_before = verdicts.failed;
  try {
    Calls nfs(target);
    auto made = nfs.mkdir(nfs.root(), name, {.mode = 0755});
    if (made.status != NFS3_OK)
      throw Unanswered(std::string("MKDIR: ") + nfsstat3_to_str(made.status));
    Scene scene(nfs, target, nfs.lookup(nfs.root(), name).handle, verdicts);
    one.run(scene);
  } catch (const Unanswered& error) {
    verdicts.record("the case runs to its end", false, error.what());
  }
  try {
    Calls nfs(target);
    remove_tree(nfs, nfs.root(), name);
  } catch (const Unanswered& error) {
    verdicts.record("what it made can be removed", false, error.what());
  }
  if (verdicts.failed == failed_before) std::printf("ok %s\n", one.name);
  std::fflush(stdout);
}

struct Arguments {
  std::string url, server, only;
};

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    bool has_value = i + 1 < argc;
    if (word == "--server" && has_value)
      arguments.server = argv[++i];
    else if (word == "--only" && has_value)
      arguments.only = argv[++i];
    else if (arguments.url.empty() && !word.starts_with("-"))
      arguments.url = word;
    else
      return false;
  }
  return !arguments.url.empty();
}

int run(const Arguments& arguments) {
  auto target = bench::parse_target(arguments.url);
  if (!target) {
    std::fprintf(stderr, "protocol_test: %s\n", to_string(target.error()).c_str());
    return 2;
  }
  Verdicts verdicts(arguments.server);
  unsigned count = 0;
  for (auto table : {service_cases(), attribute_cases(), permission_cases(), data_cases(),
                     name_cases(), rename_cases(), listing_cases()}) {
    for (const auto& one : table) {
      if (std::string(one.name).find(arguments.only) == std::string::npos) continue;
      run_case(one, *target, verdicts);
      ++count;
    }
  }
  std::printf("%u cases, %u expectations held, %u failed, %u known deviations\n", count,
              verdicts.held, verdicts.failed, verdicts.deviated);
  // A server with known deviations may answer some of them otherwise.
  bool complete = !arguments.only.empty() || !arguments.server.empty() ||
                  met_every_error(verdicts.met);
  return verdicts.failed == 0 && verdicts.held > 0 && complete ? 0 : 1;
}

}  // namespace
}  // namespace rowan::protocol

int main(int argc, char** argv) {
  rowan::protocol::Arguments arguments;
  if (!rowan::protocol::parse(argc, argv, arguments)) {
    std::fprintf(stderr, "usage: protocol_test nfs://HOST/EXPORT [--server NAME] [--only WORDS]\n");
    return 2;
  }
  return rowan::protocol::run(arguments);
}
