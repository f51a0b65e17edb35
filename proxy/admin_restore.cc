// Files of a checkpoint on their way back into the running appliance.
#include "proxy/admin_states.h"
#include "proxy/restore.h"

namespace rowan::proxy {
namespace {

class RestoreWork final : public LongWork {
 public:
  RestoreWork(const WorkPlace& place, StateOf from, RestoreOrder order)
      : place_(place), from_(std::move(from)), order_(std::move(order)) {}

  void stop() override {
    stopped_ = true;
    if (restore_) restore_->stop();
  }

  void tell(Json& answer) const override {
    answer["kind"] = "restore";
    answer["from"] = from_.label();
    answer["appliance"] = from_.record.name;
    if (!target_.empty()) answer["path"] = target_;
    const RestoreCounts counts = restore_ ? restore_->counts() : counts_;
    answer["files"] = counts.files;
    answer["directories"] = counts.directories;
    answer["symlinks"] = counts.symlinks;
    answer["links"] = counts.links;
    answer["others"] = counts.others;
    answer["bytes"] = counts.bytes;
  }

  static Task<void> run(std::shared_ptr<RestoreWork> self) {
    Result<void> done = co_await self->restore();
    self->finish(std::move(done));
  }

 private:
  Task<Result<void>> restore() {
    Host& host = place_.host;
    const MonotonicTime now = place_.loop.clock().now();
    Result<Appliance*> old = co_await host.open_state(from_.record, from_.checkpoint);
    if (!old) co_return std::move(old).error();
    Appliance::Call old_call(**old, nfs3::Procedure::null, now);
    Result<Appliance*> running = co_await host.open_state(from_.record, "");
    if (!running) co_return std::move(running).error();
    Appliance::Call call(**running, nfs3::Procedure::null, now);
    StateTree from((*old)->view(), from_.label());
    StateTree to((*running)->view(), from_.record.name);
    RestoreOptions options;
    options.force = order_.force;
    restore_ = std::make_unique<Restore>(from, to, options);
    if (stopped_) restore_->stop();
    Result<std::string> target = co_await restore_->run(order_.path, order_.to);
    counts_ = restore_->counts();
    restore_.reset();
    old_call.done(nfs3::Status::ok);
    call.done(nfs3::Status::ok);
    if (!target) co_return std::move(target).error();
    target_ = std::move(*target);
    co_return Result<void>();
  }

  WorkPlace place_;
  StateOf from_;
  RestoreOrder order_;
  bool stopped_ = false;
  std::string target_;
  RestoreCounts counts_;
  std::unique_ptr<Restore> restore_;
};

}  // namespace

std::pair<std::shared_ptr<LongWork>, Task<void>> make_restore(const WorkPlace& place, StateOf from,
                                                              RestoreOrder order) {
  auto work = std::make_shared<RestoreWork>(place, std::move(from), std::move(order));
  Task<void> task = RestoreWork::run(work);
  return {std::move(work), std::move(task)};
}

}  // namespace rowan::proxy
