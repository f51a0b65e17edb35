// Concurrent askers of the same question share one answer.
#pragma once

#include <map>
#include <memory>
#include <utility>

#include "rpc/base/loop.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

template <class Key, class Answer>
class SingleFlight {
 public:
  // Questions under way belong to `group`: its owner waits for them before this object goes.
  SingleFlight(Loop& loop, TaskGroup& group) : loop_(loop), group_(group) {}

  // ask(key) -> Task<Answer>; called at most once at a time for a key. It goes on although its
  // first asker may not wait any more.
  template <class Ask>
  Task<Answer> run(Key key, Ask ask) {
    std::shared_ptr<Shared<Answer>> flight;
    if (auto under_way = flights_.find(key); under_way != flights_.end()) {
      flight = under_way->second;
      ++joined_;
    } else {
      flight = std::make_shared<Shared<Answer>>(loop_);
      flights_.emplace(key, flight);
      Task<Answer> question = ask(key);
      group_.start(fly(std::move(question), std::move(key), flight));
    }
    co_await flight->wait();
    co_return flight->value();
  }

  bool under_way(const Key& key) const { return flights_.contains(key); }
  std::uint64_t joined() const { return joined_; }

 private:
  Task<void> fly(Task<Answer> question, Key key, std::shared_ptr<Shared<Answer>> flight) {
    Answer answer = co_await question;
    flights_.erase(key);
    flight->set(std::move(answer));
  }

  Loop& loop_;
  TaskGroup& group_;
  std::map<Key, std::shared_ptr<Shared<Answer>>> flights_;
  std::uint64_t joined_ = 0;
};

}  // namespace rowan::proxy
