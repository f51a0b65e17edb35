#include "proxy/state_question.h"

namespace rowan::proxy {

Task<Result<std::unique_ptr<cache::StatePin>>> pin_state(cache::StoreFamily& family,
                                                         StoreJobs& jobs,
                                                         cache::StateId checkpoint) {
  auto question = [&family, checkpoint] { return family.pin(checkpoint); };
  Result<std::unique_ptr<cache::StatePin>> pinned = co_await when_possible(jobs, question);
  if (pinned.failed_with(Errc::try_later) && family.failure()) co_return *family.failure();
  if (pinned.failed_with(Errc::try_later) && family.stalled()) co_return *family.stalled();
  co_return pinned;
}

}  // namespace rowan::proxy
