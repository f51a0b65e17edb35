// An appliance whose store is one of a family on a simulated disk, asked as a client would ask it;
// its checkpoints, each as clients would see it, and what the product says differs between them.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proxy/state_diff.h"
#include "tests/support/appliance_fixture.h"
#include "tests/support/sim_disk.h"

namespace rowan::test {

// An object as clients see it.
struct SeenObject {
  nfs3::Attributes attributes;
  std::string content;           // of a file, or a target
  std::set<std::string> paths;   // "/a/b"
  // directory and name: a directory that moved takes its names along
  std::map<std::pair<std::uint64_t, std::string>, std::string> names;  // to the path
};
using SeenTree = std::map<std::uint64_t, SeenObject>;

class FamilyWorld {
 public:
  explicit FamilyWorld(std::uint64_t seed = 1);
  ~FamilyWorld();

  // Opens the appliance; the image is built before.
  void start();
  ApplianceFixture& client() { return client_; }
  MemoryImage& image() { return client_.image; }
  cache::StoreFamily& family() { return *family_; }
  SimDisk& disk() { return disk_; }

  cache::StateId checkpoint();
  // Read-only; to be closed before it is destroyed.
  std::unique_ptr<proxy::Appliance> view(cache::StateId state);
  // What a client that walks everything sees; no_state: the image as it is.
  SeenTree walk(cache::StateId state);
  Result<std::unique_ptr<proxy::Comparison>> diff(cache::StateId before, cache::StateId after,
                                                  const proxy::DiffLimits& limits = {});
  // Lines as "+ /a", "- /a", "R /b (/a)", "L /b (/a)", "M /a content mode owner".
  std::string told(cache::StateId before, cache::StateId after);

 private:
  proxy::StoreJobs& jobs() { return *jobs_; }
  void walk_directory(proxy::Appliance& appliance, cache::ObjectId directory,
                      const std::string& path, SeenTree& tree);
  std::string content_of(proxy::Appliance& appliance, cache::ObjectId id,
                         const nfs3::Attributes& attributes);

  SimDisk disk_;
  std::unique_ptr<cache::Directory> root_ = disk_.root();
  std::unique_ptr<cache::StoreFamily> family_;
  ApplianceFixture client_;
  std::unique_ptr<proxy::StoreJobs> jobs_;
  cache::StateId empty_ = cache::no_state;
};

// One line of told().
std::string line_of(const proxy::FileChange& change);

}  // namespace rowan::test
