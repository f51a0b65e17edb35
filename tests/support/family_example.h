// A family of stores to be damaged: a head of the two golden lives (golden_story.h), the second
// over a checkpoint of the first, and a clone of that with changes of its own.
#pragma once

#include <map>
#include <memory>

#include "cache/store_family.h"
#include "tests/support/golden_story.h"
#include "tests/support/sim_disk.h"

namespace rowan::test {

struct FamilyExample {
  // Everything is durable; closed, or else killed.
  explicit FamilyExample(bool closes);

  SimDisk disk{3};
  std::unique_ptr<cache::Directory> root = disk.root();
  cache::StateId checkpoint = cache::no_state, clone = cache::no_state;
  std::map<cache::StateId, StoreModel> models;
  cache::Ticket applied = 0;
  bool closed;

 private:
  void change_clone(cache::StoreFamily& family);
};

}  // namespace rowan::test
