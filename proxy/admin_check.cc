// A store that is walked or repaired for an operator, as work under way.
#include "cache/store_records.h"
#include "proxy/admin_states.h"
#include "proxy/store_walk.h"

namespace rowan::proxy {
namespace {

class CheckWork final : public LongWork {
 public:
  CheckWork(const WorkPlace& place, ApplianceRecord record, CheckOrder order)
      : place_(place), record_(std::move(record)), order_(order) {}

  // A repair goes to its end: the appliance is closed for it.
  void stop() override { walk_.stop(); }

  void tell(Json& answer) const override {
    answer["kind"] = "check";
    answer["name"] = record_.name;
    if (!is_done()) {
      tell_progress(answer);
    } else if (order_.repair) {
      answer["repaired"] = repaired_.changed;
      answer["findings"] = repaired_.findings;
      answer["lost"] = repaired_.lost;
    } else {
      answer["ok"] = repaired_.findings.empty();
      answer["findings"] = repaired_.findings;
    }
  }

  // Holds itself until it is done.
  static Task<void> run(std::shared_ptr<CheckWork> self) {
    // Clients of a served one go on, and so does everything else.
    const bool alone = self->order_.offline || self->order_.repair;
    if (alone) co_await self->place_.turn.take();
    Result<void> done = co_await self->look();
    if (alone) self->place_.turn.give_back();
    self->finish(std::move(done));
  }

 private:
  void tell_progress(Json& answer) const {
    const cache::CheckProgress progress = walk_.progress();
    const std::uint64_t unit = progress.data ? cache::data_block_size : 1;
    answer["repair"] = order_.repair;
    answer["unit"] = progress.data ? "bytes" : "pages";
    answer["looked_at"] = progress.done * unit;
    answer["to_look_at"] = progress.total * unit;
  }

  Task<Result<void>> look() {
    if (order_.repair) {
      CO_TRY(repaired_, co_await place_.host.repair_store(record_, walk_));
    } else {
      CO_TRY(repaired_.findings,
             co_await place_.host.check_store(record_, order_.offline, walk_));
    }
    co_return Result<void>();
  }

  WorkPlace place_;
  ApplianceRecord record_;
  CheckOrder order_;
  StoreWalk walk_;
  Repaired repaired_;
};

}  // namespace

std::pair<std::shared_ptr<LongWork>, Task<void>> make_check(const WorkPlace& place,
                                                            ApplianceRecord record,
                                                            CheckOrder order) {
  auto work = std::make_shared<CheckWork>(place, std::move(record), order);
  Task<void> task = CheckWork::run(work);
  return {std::move(work), std::move(task)};
}

}  // namespace rowan::proxy
