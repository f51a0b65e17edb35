// Reads everything a store is known to hold: what is whole, what says that it is damaged, and what
// is wrong without saying so, which nothing may ever be.
#pragma once

#include <string>
#include <vector>

#include "cache/store.h"
#include "tests/support/store_model.h"

namespace rowan::test {

struct Survey {
  int whole = 0;     // objects and directories that are as the model has them
  int damaged = 0;   // that answered with corrupt, naming themselves
  std::string wrong; // the first wrong answer, in words; empty: none
};

// `size_of_all`: at least the longest file's size. Missing objects and names, other bytes, errors
// other than corrupt, and corrupt without the object's number are wrong.
Survey survey(cache::Store& store, const StoreModel& model, std::uint64_t size_of_all);

}  // namespace rowan::test
