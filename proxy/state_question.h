// Questions to a store family that may first need reads or a merge, as tasks.
#pragma once

#include <memory>

#include "cache/store_family.h"
#include "proxy/appliance.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

// Operations on states (cache/store_family.h) ask for loads, or that something is written first;
// each is asked again once that is done.
template <class Question>
auto when_possible(StoreJobs& jobs, Question question) -> Task<decltype(question())> {
  while (true) {
    auto answer = co_await jobs.with_loads(question);
    if (!answer.failed_with(Errc::try_later)) co_return answer;
    bool moved = co_await jobs.progress();
    if (!moved) co_return answer;
  }
}

// Errors as StoreFamily::pin(), but for try_later; that of the disk if it cannot take what must be
// written first.
Task<Result<std::unique_ptr<cache::StatePin>>> pin_state(cache::StoreFamily& family,
                                                         StoreJobs& jobs,
                                                         cache::StateId checkpoint);

}  // namespace rowan::proxy
