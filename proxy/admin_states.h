// What states of appliances hold, in the admin interface: files of a running appliance or of a
// checkpoint, what differs between two states, files of an old one put back. STATE is APPLIANCE or
// APPLIANCE@CHECKPOINT; paths in queries are percent-encoded.
//
//   GET    /v1/appliances/STATE/stat?path=P[&follow=true][&image=true]
//   GET    /v1/appliances/STATE/list?path=P[&after=COOKIE]         a page; "next" leads to the next
//   GET    /v1/appliances/STATE/content?path=P&offset=N[&count=N]  bytes; none: the end of the file
//                        image=true: as the image has it, whatever was changed
//   POST   /v1/appliances/STATE/diff      {"before": STATE}; without it: the image
//   POST   /v1/appliances/STATE/restore   {"path": P, "to": P, "force": true}, encoded as well
//   POST   /v1/appliances/APPLIANCE/check[?offline=true][&repair=true][&background=true]
//                        answers when it is done, or with background=true as a diff does
//   GET    /v1/work/ID[?wait=true]        how far a diff, restore or check is, what came of it
//   GET    /v1/work/ID/lines?from=N       of a diff that is done, a page
//   DELETE /v1/work/ID                    stops it, forgets it
//
// Work that nobody asks about is stopped, and forgotten, after a while.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/admin_http.h"
#include "proxy/host.h"
#include "proxy/json.h"
#include "proxy/registry.h"
#include "proxy/turn.h"
#include "rpc/base/loop.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

class StateTree;

inline constexpr std::size_t max_works = 8;

// A diff, a restore or a check under way, or what came of it. Made and asked on the strand.
class LongWork {
 public:
  virtual ~LongWork() = default;
  virtual void stop() = 0;
  // Adds what there is to tell to the answer.
  virtual void tell(Json& answer) const = 0;
  // A page of lines from one on.
  virtual Result<Json> lines(std::size_t) const {
    return Error(Errc::not_found, "this work has no lines");
  }

  bool is_done() const { return done_; }
  const Result<void>& outcome() const { return outcome_; }
  void finish(Result<void> outcome) {
    outcome_ = std::move(outcome);
    done_ = true;
  }

  MonotonicTime asked{};  // last

 private:
  bool done_ = false;
  Result<void> outcome_;
};

class StatesApi {
 public:
  // All outlive it. close() is done before it is destroyed.
  StatesApi(Registry& registry, Host& host, Loop& loop, DiskPool& disk, Turn& turn)
      : registry_(registry), host_(host), loop_(loop), disk_(disk), turn_(turn) {}
  ~StatesApi();

  // Is that one of its resources?
  static bool handles(const HttpRequest& request);
  Task<HttpReply> handle(const HttpRequest& request);
  // Stops all work.
  Task<void> close();

 private:
  struct Asked {
    std::string method, collection, name, action;
    std::map<std::string, std::string, std::less<>> query;
    Json body;
    bool flag(std::string_view key) const;
    std::string text(std::string_view key) const;
    Result<std::uint64_t> number(std::string_view key, std::uint64_t otherwise) const;
  };
  static Result<Asked> parse(const HttpRequest& request);
  using Shared = std::shared_ptr<LongWork>;

  Task<Result<HttpReply>> dispatch(const Asked& asked);
  // A question about a file of a state.
  Task<Result<HttpReply>> look(const Asked& asked);
  Task<Result<HttpReply>> look_in(Appliance& appliance, std::string label, const Asked& asked);
  Task<Result<HttpReply>> look_in_image(Appliance& appliance, const Asked& asked);
  Task<Result<HttpReply>> stat(StateTree& tree, const Asked& asked);
  Task<Result<HttpReply>> list(StateTree& tree, const Asked& asked);
  Task<Result<HttpReply>> content(StateTree& tree, const Asked& asked);

  Task<Result<ApplianceRecord>> record_of(std::string appliance);
  Task<Result<HttpReply>> start_diff(const Asked& asked);
  Task<Result<HttpReply>> start_restore(const Asked& asked);
  Task<Result<HttpReply>> start_check(const Asked& asked);
  Result<HttpReply> start(Shared work, Task<void> task);
  Task<Result<HttpReply>> about_work(const Asked& asked);
  void watch();
  void sweep();

  Registry& registry_;
  Host& host_;
  Loop& loop_;
  DiskPool& disk_;
  Turn& turn_;
  std::map<std::uint64_t, Shared> works_;
  std::uint64_t next_work_ = 1;
  Loop::TimerId timer_ = 0;
  bool closing_ = false;
  TaskGroup tasks_;
};

// Each runs its work to its end and finishes it (admin_diff.cc, admin_restore.cc).
struct WorkPlace {
  Host& host;
  Loop& loop;
  DiskPool& disk;
  Turn& turn;  // of requests that touch the registry
};
struct StateOf {
  ApplianceRecord record;
  std::string checkpoint;  // empty: the running state
  std::string label() const {
    return checkpoint.empty() ? record.name : record.name + "@" + checkpoint;
  }
};
// Without `before`: the image that `after` is above.
std::pair<std::shared_ptr<LongWork>, Task<void>> make_diff(const WorkPlace& place,
                                                           std::optional<StateOf> before,
                                                           StateOf after);
struct RestoreOrder {
  std::string path, to;
  bool force = false;
};
std::pair<std::shared_ptr<LongWork>, Task<void>> make_restore(const WorkPlace& place, StateOf from,
                                                              RestoreOrder order);

struct CheckOrder {
  bool offline = false, repair = false;  // as for `rowan check`
};
std::pair<std::shared_ptr<LongWork>, Task<void>> make_check(const WorkPlace& place,
                                                            ApplianceRecord record,
                                                            CheckOrder order);

// "file", "directory", "symlink", "block", "character", "socket", "fifo"
std::string_view kind_text(nfs3::FileType type);

}  // namespace rowan::proxy
