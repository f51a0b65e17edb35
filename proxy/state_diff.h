// What differs between two states of redirect stores of one family, or between an image and a
// state: from the records that differ to lines about files. What both share is not read: the cost
// follows the size of the change. Memory does as well, up to DiffLimits.
//
// In steps on disk threads (the records) and in short turns on the strand (what the records do not
// tell: what a name led to in the image, where a directory is), so that nobody waits for it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "cache/store_family.h"
#include "proxy/content_changes.h"
#include "proxy/file_changes.h"
#include "proxy/state_reader.h"
#include "rpc/base/loop.h"
#include "rpc/base/result.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

struct DiffEnd {
  cache::StateId state = cache::no_state;  // a checkpoint; no_state: the image as it is
  Image* image = nullptr;
};

struct DiffLimits {
  std::size_t pages_per_step = 256, records_per_step = 4096;  // of a disk job
  std::size_t lookups_per_turn = 256;                         // of the strand
  std::uint64_t most_records = 6'000'000;  // about a gigabyte of memory; beyond: Errc::limit
};

struct DiffProgress {
  std::uint64_t records = 0;  // that differ, found so far
  // objects and names looked at since, of how many; 0: records are still being found
  std::uint64_t looked_at = 0, to_look_at = 0;
};

struct Comparison {
  StateChanges changes;
  std::vector<FileChange> lines;  // they refer to `changes`
};

class StateDiff {
 public:
  struct Place {  // all outlive the diff
    cache::StoreFamily& family;
    StoreJobs& jobs;
    Loop& loop;
    DiskPool& disk;
  };
  // `after` is a checkpoint.
  StateDiff(const Place& place, const DiffEnd& before, const DiffEnd& after,
            const DiffLimits& limits = {})
      : at_(place), before_(before), after_(after), limits_(limits) {}

  // Once. Errors: those of the stores and the images; limit; timed_out: stop() was called.
  Task<Result<std::unique_ptr<Comparison>>> run();
  // run() ends at its next turn.
  void stop() { stopped_ = true; }
  const DiffProgress& progress() const { return progress_; }

 private:
  struct Side {
    DiffEnd end;
    std::unique_ptr<cache::StatePin> pin;
    std::unique_ptr<cache::Store> store;
    std::unique_ptr<StateReader> reader;
  };
  // A question that the records leave open.
  struct OpenObject {
    cache::ObjectId id;
    bool after;
  };
  struct OpenName {
    std::size_t index;
    bool after;
  };
  struct Touched {
    std::vector<cache::ByteRange> ranges;  // sorted, apart
    std::uint64_t from = ~std::uint64_t{0};  // all beyond as well
  };

  Task<Result<void>> open(Side& side, const DiffEnd& end);
  Task<Result<void>> find_all();
  Task<Result<void>> collect();
  Result<void> note(cache::StoreDifference&& difference);
  void note_object(cache::ObjectDifference&& difference);
  void note_name(cache::NameDifference&& difference);
  void note_extent(const cache::ExtentDifference& difference);
  void note_purge(const cache::PurgeDifference& difference);

  Task<Result<void>> resolve_objects();
  Task<Result<void>> resolve_names();
  Task<Result<void>> resolve_children();
  Task<Result<void>> compare_content();
  Task<Result<void>> compare_file(cache::ObjectId id, ObjectChange& change);
  Task<Result<bool>> same_base(cache::ObjectId id);

  Task<Result<void>> find_places();
  static Task<Result<void>> add_directories(StateReader& reader, cache::ObjectId directory,
                                            DirectoryPlaces& places);
  Task<Result<void>> find_modified();
  Task<Result<bool>> find_place(cache::ObjectId id);
  Task<Result<bool>> leads_to(const DirectoryPlace& place, cache::ObjectId id);
  Task<Result<void>> scan_for(const std::vector<cache::ObjectId>& lost);

  // Counts a lookup, and lets others have the strand now and then. timed_out: stopped.
  Task<Result<void>> turn();
  Result<void> count_record();

  Place at_;
  DiffEnd before_, after_;
  DiffLimits limits_;
  DiffProgress progress_;
  bool stopped_ = false;
  Side old_, new_;
  std::unique_ptr<Comparison> found_;
  std::vector<OpenObject> open_objects_;
  std::vector<OpenName> open_names_;
  std::map<cache::ObjectId, Touched> touched_;
  std::vector<cache::ObjectId> named_;  // in names that changed; sorted
};

}  // namespace rowan::proxy
