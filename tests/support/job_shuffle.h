// Jobs that were handed out and are run in any order. Walks over trees may take long in real life,
// so they are often left lying while everything else goes on.
#pragma once

#include <cstddef>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "cache/table_jobs.h"

namespace rowan::test {

class JobShuffle {
 public:
  explicit JobShuffle(std::mt19937_64& random) : random_(random) {}

  void add(std::unique_ptr<Job> job) {
    const bool walks = dynamic_cast<const cache::WalkJob*>(job.get()) != nullptr;
    const int waits = walks && random_() % 2 == 0 ? static_cast<int>(random_() % 40) : 0;
    jobs_.push_back({std::move(job), waits});
  }
  bool empty() const { return jobs_.empty(); }
  void clear() { jobs_.clear(); }

  // Null if there is none.
  std::unique_ptr<Job> take() {
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      if (jobs_[i].waits > 0) --jobs_[i].waits;
      else ready.push_back(i);
    }
    if (ready.empty()) {
      if (jobs_.empty()) return nullptr;
      ready.push_back(random_() % jobs_.size());
    }
    const std::size_t chosen = ready[random_() % ready.size()];
    std::unique_ptr<Job> job = std::move(jobs_[chosen].job);
    jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(chosen));
    return job;
  }

 private:
  struct Waiting {
    std::unique_ptr<Job> job;
    int waits = 0;   // calls of take() that leave it
  };
  std::mt19937_64& random_;
  std::vector<Waiting> jobs_;
};

}  // namespace rowan::test
