// Random transactions on a store and its model together: a few small files that are written, cut,
// replaced and removed, and names.
#pragma once

#include <deque>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tests/support/store_model.h"

namespace rowan::test {

inline constexpr std::uint64_t history_file_size = 20 << 10;
// The last is a local one, whose number the store must have given out.
inline const std::vector<std::uint64_t> history_objects{5, 6, cache::local_object_bit | 1};

class StoreHistory {
 public:
  explicit StoreHistory(std::mt19937_64& random) : random_(random) {}

  // Adds one to three changes to both. What they write stays valid until the next call.
  // `next_sequence` gives positions of names.
  void add_changes(cache::Transaction& transaction, StoreModel& model,
                   const std::function<std::uint64_t()>& next_sequence);

 private:
  bool chance(double probability);
  void add_change(cache::Transaction& transaction, StoreModel& model,
                  const std::function<std::uint64_t()>& next_sequence);
  void write(cache::Transaction& transaction, StoreModel& model, std::uint64_t number);
  void change_name(cache::Transaction& transaction, StoreModel& model, std::uint64_t number,
                   const std::function<std::uint64_t()>& next_sequence);

  std::mt19937_64& random_;
  std::deque<std::string> kept_;
  std::int64_t stamp_ = 0;
  int letter_ = 0;
};

}  // namespace rowan::test
