// A plain model of what an engine holds after each of its batches: after a crash it must be one of
// them, and none before what was acknowledged.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "cache/ids.h"

namespace rowan::test {

template <class Model>
class BatchModels {
 public:
  bool empty() const { return models_.empty(); }
  // Of the engine as it was made.
  void begin(cache::Ticket ticket, Model model) {
    first_ = acknowledged_ = ticket;
    models_.push_back(std::move(model));
  }
  // After a crash: the engine ends there, and goes on from there.
  void go_back_to(cache::Ticket found) {
    while (last() > found) models_.pop_back();
    acknowledged_ = found;
  }

  cache::Ticket last() const { return first_ + models_.size() - 1; }
  const Model& newest() const { return models_.back(); }
  // Only if problem_of_end() has none.
  const Model& after(cache::Ticket ticket) const { return models_[ticket - first_]; }
  // All from that on: does `test` hold for one of them?
  template <class Test>
  bool any_since(cache::Ticket ticket, Test test) const {
    return std::any_of(models_.begin() + static_cast<std::ptrdiff_t>(ticket - first_),
                       models_.end(), test);
  }

  // What the next batch makes.
  void add(Model model) { models_.push_back(std::move(model)); }
  // The batches up to that one change nothing that is modelled.
  void repeat_through(cache::Ticket ticket) {
    while (last() < ticket) models_.push_back(models_.back());
  }
  // Nothing before this is found any more.
  void acknowledge(cache::Ticket durable) {
    acknowledged_ = std::max(acknowledged_, durable);
    for (; first_ < acknowledged_; ++first_) models_.pop_front();
  }

  // Empty: an engine may end there.
  std::string problem_of_end(cache::Ticket ticket) const {
    if (ticket < acknowledged_)
      return "batch " + std::to_string(acknowledged_) +
             " was acknowledged, but the last one is " + std::to_string(ticket);
    if (ticket > last())
      return "the last batch is " + std::to_string(ticket) + ", but " + std::to_string(last()) +
             " were made";
    return "";
  }

 private:
  std::deque<Model> models_;   // after ticket first_, first_ + 1, ...
  cache::Ticket first_ = 0, acknowledged_ = 0;
};

}  // namespace rowan::test
