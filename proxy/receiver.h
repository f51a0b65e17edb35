// Takes a stream from another host, frame by frame. What is half received is nobody's appliance: a
// running state of its own, in a new pool or, for an increment, beside the appliance's; its label
// says how far it is (ReceiveMark), durably behind what it speaks of. So a receive that was
// interrupted at any moment goes on where the disk is. At the end the state is compared with what
// the sender counted, and becomes visible at once.
//
// On one strand; requests take turns.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cache/stream_frames.h"
#include "proxy/held_pools.h"
#include "proxy/host.h"
#include "proxy/registry.h"
#include "proxy/sender.h"
#include "proxy/stream_header.h"

namespace rowan::proxy {

class Receiver {
 public:
  // All outlive it.
  Receiver(Loop& loop, DiskPool& disk, Registry& registry, Host& host, HeldPools& pools,
           Sender& sender)
      : loop_(loop),
        disk_(disk),
        registry_(registry),
        host_(host),
        pools_(pools),
        sender_(sender) {}

  struct Wish {
    std::string name;
    StreamHeader header;
    std::string text;          // of the header
    ImageVersion image;        // resolved; of the image that header.appliance names
    bool new_identity = false;
    bool force = false;        // what the appliance holds now is put aside
  };
  // Begins, or goes on with what was received before of the same stream. Gives the key up to which
  // that is. exists: another stream is half received under that name, or there is such an
  // appliance; not_found: the base of an increment is not here; busy: the appliance has changed
  // since the base. Each with the remedy.
  Task<Result<std::string>> begin(Wish wish);
  // not_found: begin() first; corrupt.
  Task<Result<void>> take_names(std::string name, std::string content);
  Task<Result<void>> take_changes(std::string name, std::string content);

  struct Done {
    ApplianceRecord record;
    std::string checkpoint;    // its name here
    std::string put_aside;     // what the appliance held until now; empty: nothing of its own
    Result<void> served;       // a new one: what its start said
  };
  // corrupt: what was received is not what was sent; busy: the appliance has changed since the
  // base; not_found: the base was removed.
  Task<Result<Done>> end(std::string name, cache::ChangeTotals totals);
  // not_found: nothing is half received under that name.
  Task<Result<void>> abort(std::string name);
  // Those that nobody went on with for receive_patience_seconds. Errors are logged.
  Task<void> give_up_abandoned();

  struct Standing {
    std::int64_t touched = 0;               // when something was received last
    std::optional<std::uint64_t> bytes;     // of data so far; not known of an increment
  };
  // not_found: nothing is half received under that name; stale: its state is gone.
  Task<Result<Standing>> standing(std::string name);
  // The appliance is about to be removed: an increment for it has nowhere to go.
  Task<Result<void>> appliance_goes(ApplianceRecord record);

 private:
  Task<Result<ReceiveRecord>> begin_new(const Wish& wish);
  Task<Result<ReceiveRecord>> begin_increment(const Wish& wish, const ApplianceRecord& known);
  Task<Result<std::string>> reached(const ReceiveRecord& receive);
  Task<Result<void>> touch(std::string name);
  Task<Result<bool>> changed_since(const ApplianceRecord& record, Pool& pool, cache::StateId base);
  Task<Result<void>> apply(Pool& pool, cache::Store& store, std::string changes);
  Task<Result<Checkpoint>> seal(const ReceiveRecord& receive, Pool& pool,
                                const cache::ChangeTotals& totals);
  Task<Result<Done>> end_new(const ReceiveRecord& receive, Pool& pool, const Checkpoint& made);
  Task<Result<Done>> end_increment(const ReceiveRecord& receive, Pool& pool,
                                   const Checkpoint& made);
  Task<Result<void>> forget(const ReceiveRecord& receive);
  Task<Result<void>> drop(Pool& pool, cache::StateId state);
  Task<Result<void>> refuse_misfit(const ReceiveRecord& receive, Pool& pool);
  Task<Result<void>> drop_sealed(const ReceiveRecord& receive);
  Task<Result<void>> on_disk(std::function<Result<void>()> work);

  Loop& loop_;
  DiskPool& disk_;
  Registry& registry_;
  Host& host_;
  HeldPools& pools_;
  Sender& sender_;
};

}  // namespace rowan::proxy
