// The merged view of one appliance: each object is the redirect store's record if there is one,
// else the image's. All changes of the appliance go through it.
//
// How operations stay atomic without locks. Every operation that looks at more than one thing or
// changes something is a plain function, a *step*: it asks this view its questions, decides,
// applies its change, all without waiting. What it needs and is not in memory makes it return
// early; attempt() fetches that one thing and runs the step again from its start. So the run that
// decides and applies sees one single state of the store, and no other operation can slip in
// between. What was fetched from the image is kept by the operation (facts.h) and cannot have
// changed, so each run gets further than the one before. Operations that wait for a slow source
// hold nothing that another operation could want.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/ids.h"
#include "cache/store.h"
#include "proxy/appliance.h"
#include "proxy/facts.h"
#include "proxy/handle.h"
#include "proxy/image.h"
#include "proxy/job_runner.h"
#include "proxy/recent_map.h"
#include "rpc/base/loop.h"
#include "rpc/base/result.h"
#include "rpc/base/task.h"
#include "rpc/nfs3.h"

namespace rowan::proxy {

// An object as it is now.
struct Node {
  nfs3::Attributes attributes;
  std::unique_ptr<cache::ObjectRecord> record;  // null: not changed
  std::optional<HandleMac> mac;
  bool is(nfs3::FileType type) const { return attributes.type == type; }
};

// An object that a name leads to. `node` is good as RecentMap says: for the rest of a step.
struct Child {
  cache::ObjectId id = cache::no_object;
  Node* node = nullptr;
};

// Changes that happen together, and what they mean for the view's memory.
class Change {
 public:
  void put(cache::ObjectId id, cache::ObjectRecord record);
  void remove(cache::ObjectId id, cache::ObjectRecord last);
  void put_name(cache::ObjectId directory, std::string_view name, cache::NameRecord record);
  void hide_name(cache::ObjectId directory, std::string_view name);   // a whiteout
  void erase_name(cache::ObjectId directory, std::string_view name);  // the image has none
  void write(cache::ObjectId id, std::uint64_t offset, ByteView bytes,
             std::shared_ptr<const Buffer> owner = nullptr);
  void truncate(cache::ObjectId id, std::uint64_t size);

 private:
  friend class MergedView;
  struct Object {
    cache::ObjectId id;
    std::unique_ptr<cache::ObjectRecord> record;  // null: removed
  };
  struct Name {
    cache::ObjectId directory;
    std::string name;
    cache::ObjectId child;  // no_object: absent
  };
  cache::Transaction transaction_;
  std::vector<Object> objects_;
  std::vector<Name> names_;
};

struct ViewLimits {
  std::size_t nodes = 32768;  // objects kept in memory
  std::size_t names = 32768;  // names kept in memory, absent ones included
};

class MergedView {
 public:
  // All of it outlives the view; `settings` are the appliance's and may change.
  MergedView(const ApplianceSettings& settings, cache::Store& store, StoreJobs& jobs, Image& image,
             Loop& loop, const ViewLimits& limits = {});
  MergedView(const MergedView&) = delete;
  MergedView& operator=(const MergedView&) = delete;
  ~MergedView();

  // --- Questions of a step. Any error: return it; attempt() knows what to do.
  // stale: there is no such object (any more).
  Result<Node*> node(Facts& facts, cache::ObjectId id);
  // The same, but NOTDIR unless it is a directory.
  Result<Node*> directory(Facts& facts, cache::ObjectId id);
  // Neither "." nor "..". not_found: no such name.
  Result<Child> child(Facts& facts, cache::ObjectId directory, std::string_view name);
  // The directory's "..": the root's is the root.
  Result<cache::ObjectId> parent(Facts& facts, cache::ObjectId directory);
  // True if taking the name away must leave a whiteout.
  Result<bool> image_has_name(Facts& facts, cache::ObjectId directory, std::string_view name);
  Result<bool> is_empty(Facts& facts, cache::ObjectId directory);

  // The object's record to be changed and put, made from the image's attributes if it has none yet.
  // Its ctime has moved on already: any change moves it.
  cache::ObjectRecord record_for_change(const Node& node) const;

  // All or nothing. After success the nodes of changed objects are as put.
  Result<cache::Ticket> apply(Facts& facts, Change& change);

  // --- What is in memory already, for calls that need no step. Null: unknown.
  Node* known_node(cache::ObjectId id) { return nodes_.find(id); }
  // no_object: known to be absent.
  const cache::ObjectId* known_name(cache::ObjectId directory, std::string_view name);

  // --- Handles
  bool verify(const HandleClaim& claim);
  nfs3::Handle handle(cache::ObjectId id);

  // --- Waiting
  // Runs `step(facts)` -> Result<T> until it gives a value or an error that is not about something
  // to fetch. `step` is a named object of the awaiting coroutine.
  template <class Step>
  auto attempt(Step& step) -> Task<decltype(step(std::declval<Facts&>()))>;
  // The same for a step that mostly needs nothing fetched: a first run without a coroutine.
  // nullopt: it takes an attempt().
  template <class Step>
  auto try_now(Step& step) -> std::optional<decltype(step(std::declval<Facts&>()))> {
    Facts facts;
    auto answer = step(facts);
    if (!answer.has_value()) return std::nullopt;
    return answer;
  }
  // stale and so on: as node().
  Task<Result<Node*>> load_node(cache::ObjectId id);
  // After this a question that said needs_load can be asked again.
  Task<Result<void>> load();
  // The ticket's changes survive power loss; with async durability at once, and the disk has them
  // some time after async_flush.
  Task<Result<void>> stable(cache::Ticket ticket);
  Task<Result<void>> durable(cache::Ticket ticket);

  const ApplianceSettings& settings() const { return settings_; }
  cache::Store& store() { return store_; }
  Image& image() { return image_; }
  Loop& loop() { return loop_; }
  // "/usr/bin/cc" as well as it is known, for messages.
  std::string describe(cache::ObjectId id);
  // False when enough was logged lately: one client reading damage in a loop must not fill the
  // disk.
  bool may_log();

 private:
  struct NameKey {
    cache::ObjectId directory;
    std::string name;
  };
  struct NameProbe {
    cache::ObjectId directory;
    std::string_view name;
  };
  struct NameHash {
    using is_transparent = void;
    template <class Key>
    std::size_t operator()(const Key& key) const noexcept {
      std::size_t hash = std::hash<std::string_view>()(key.name);
      return hash ^ std::hash<cache::ObjectId>()(key.directory);
    }
  };
  struct NameEqual {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const noexcept {
      return a.directory == b.directory && std::string_view(a.name) == std::string_view(b.name);
    }
  };
  static constexpr int max_attempts = 100'000;  // each learns something; a listing of millions ends
  static constexpr int max_busy_waits = 100;

  static constexpr Duration async_flush = std::chrono::seconds(1);
  static constexpr Duration log_window = std::chrono::seconds(60);
  static constexpr int log_lines_per_window = 20;
  static constexpr int deepest_described = 64;

  void flush_soon();
  Node* remember(cache::ObjectId id, const nfs3::Attributes& attributes,
                 std::unique_ptr<cache::ObjectRecord> record);
  void remember_name(cache::ObjectId directory, std::string_view name, cache::ObjectId child);
  Result<cache::ObjectId> find_name(Facts& facts, cache::ObjectId directory, std::string_view name);
  Result<bool> shows_image_name(cache::ObjectId directory, const cache::Listing::Entry& entry);
  Result<bool> shows_any_image_name(Facts& facts, cache::ObjectId directory);

  const ApplianceSettings& settings_;
  cache::Store& store_;
  Image& image_;
  Loop& loop_;
  StoreJobs& jobs_;
  HandleSealer sealer_;
  Loop::TimerId flush_timer_ = 0;
  MonotonicTime log_window_end_{};
  int log_lines_ = 0;
  RecentMap<cache::ObjectId, Node> nodes_;
  RecentMap<NameKey, cache::ObjectId, NameHash, NameEqual> names_;
};

template <class Step>
auto MergedView::attempt(Step& step) -> Task<decltype(step(std::declval<Facts&>()))> {
  Facts facts;
  int busy_waits = 0;
  for (int i = 0; i < max_attempts; ++i) {
    facts.store_is_busy = false;
    auto answer = step(facts);
    if (answer.has_value()) co_return answer;
    if (facts.wanting()) {
      co_await facts.ask(image_);
    } else if (answer.failed_with(Errc::needs_load)) {
      Result<void> loaded = co_await load();
      if (!loaded) co_return std::move(loaded).error();
    } else if (facts.store_is_busy && busy_waits++ < max_busy_waits) {
      Result<void> written = co_await durable(store_.applied());
      if (!written) co_return std::move(written).error();
    } else {
      co_return answer;
    }
  }
  co_return Errc::try_later;
}

}  // namespace rowan::proxy
