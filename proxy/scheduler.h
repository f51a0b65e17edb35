// Makes the checkpoints that appliances ask for by a schedule, and thins them.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proxy/records.h"
#include "proxy/versions.h"

namespace rowan::proxy {

// When the next one is due: `every` after the last one, and at once if that has passed or there is
// none. A last one in the future (the clock was set back) counts as made now. Seconds since 1970.
std::int64_t next_due(const Schedule& schedule, std::optional<std::int64_t> last,
                      std::int64_t now);

// Of an appliance's checkpoints those that the schedule made and its rule keeps no longer.
std::vector<std::string> superseded(const Schedule& schedule, const History& history);

// When each appliance is to be looked at again. In memory only: after a start all are looked at
// once.
class Agenda {
 public:
  // Those of these that are to be looked at now. What is known of others is forgotten.
  std::vector<const ApplianceRecord*> due(std::span<const ApplianceRecord* const> scheduled,
                                          std::int64_t now);
  void set(cache::ApplianceId id, std::int64_t when) { due_[id] = when; }
  std::size_t size() const { return due_.size(); }

 private:
  std::map<cache::ApplianceId, std::int64_t> due_;  // seconds since 1970
};

class Scheduler {
 public:
  // The appliances that are served now and have a schedule: all, or the one of that name (null:
  // none of them). The records are not kept.
  struct Appliances {
    std::function<std::vector<const ApplianceRecord*>()> all;
    std::function<const ApplianceRecord*(const std::string& name)> find;
  };
  // All outlive it.
  Scheduler(Loop& loop, Versions& versions, Appliances appliances)
      : loop_(loop), versions_(versions), appliances_(std::move(appliances)) {}

  void start();
  // Nothing is begun any more; done when what is under way has ended.
  Task<void> stop();

 private:
  void look();
  std::vector<std::string> due();
  Task<void> serve_due();
  Task<void> serve(ApplianceRecord record);
  Task<Result<void>> make_and_thin(const ApplianceRecord& record);

  Loop& loop_;
  Versions& versions_;
  Appliances appliances_;
  Agenda agenda_;
  Loop::TimerId timer_ = 0;
  bool stopping_ = false, busy_ = false;
  TaskGroup tasks_;
};

}  // namespace rowan::proxy
