// Drives a table, a store or anything else with next_job()/complete() on one thread, jobs one after
// the other.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "cache/ids.h"
#include "rpc/base/loop.h"
#include "rpc/base/result.h"

namespace rowan::test {

// Until next_job() gives nothing.
template <class Subject>
void run_jobs(Subject& subject) {
  while (std::unique_ptr<Job> job = subject.next_job()) {
    job->run();
    subject.complete(std::move(job));
  }
}

// `ask()` again and again while it says needs_load, with the load done in between.
template <class Subject, class Ask>
auto loading(Subject& subject, Ask ask) {
  for (int i = 0; i < 10'000; ++i) {
    auto answer = ask();
    if (!answer.failed_with(Errc::needs_load)) return answer;
    std::unique_ptr<Job> job = subject.take_load();
    CHECK(job != nullptr);
    job->run();
    subject.complete(std::move(job));
  }
  CHECK(!"still needs_load after 10000 loads");
  return ask();
}

template <class Subject>
void make_durable(Subject& subject, cache::Ticket ticket) {
  subject.want_durable(ticket);
  run_jobs(subject);
}

template <class Subject>
void close_cleanly(Subject& subject) {
  subject.prepare_close();
  run_jobs(subject);
}

}  // namespace rowan::test
