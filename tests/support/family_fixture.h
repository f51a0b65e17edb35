// A family of stores on a simulated disk, driven on one thread; and what a stream does between two.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cache/change_walk.h"
#include "cache/store_family.h"
#include "tests/support/run_jobs.h"
#include "tests/support/sim_disk.h"
#include "tests/support/small_options.h"

namespace rowan::test {

struct FamilyFixture {
  explicit FamilyFixture(std::uint64_t seed = 1) : disk(seed) { open(true); }

  void open(bool fresh);
  void close();                    // the family, as in a crash
  // Stores of heads there may be only one of; fails the test on errors.
  std::unique_ptr<cache::Store> store(cache::StateId state);
  void apply(cache::Transaction& transaction);   // to `head`
  cache::StateId checkpoint(std::string label = {});
  void settle() { make_durable(*family, family->applied()); }
  std::unique_ptr<cache::StatePin> pin(cache::StateId state);
  // Closes, and gives the checker's first finding.
  std::string check();

  SimDisk disk;
  cache::StoreOptions options{.table = small_table()};
  std::unique_ptr<cache::Directory> root;
  std::unique_ptr<cache::StoreFamily> family;
  cache::StateId head_state = cache::first_state;
  std::unique_ptr<cache::Store> head;
};

// The changes that lead to `after`, in pages.
struct SentChanges {
  std::vector<std::string> pages;
  std::vector<std::string> reached;   // after each page
  cache::ChangeTotals totals;
};
SentChanges send(FamilyFixture& from, cache::StateId before, cache::StateId after,
                 std::size_t page_bytes, std::string behind = {});
// Makes the changes of a page in the head.
void take(FamilyFixture& into, const std::string& page);
// What receive() does last: the checkpoint, and what leads to it.
cache::ChangeTotals verify(FamilyFixture& of, cache::StateId before, cache::StateId after);

}  // namespace rowan::test
