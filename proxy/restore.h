// Puts a file or a directory of one state of an appliance into another, the running one: content,
// mode, owner, times, links among what is restored, devices. What is in a directory there and was
// not in the old one stays.
//
// Each file is made under a name of its own ("NAME.rowan-restore-...") and takes its place when it
// is complete and on disk: whoever looks sees the old one or the new one. After an error what was
// put back so far stays.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "proxy/state_tree.h"
#include "rpc/base/result.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

struct RestoreCounts {
  std::uint64_t files = 0, directories = 0, symlinks = 0, links = 0, others = 0;
  std::uint64_t bytes = 0;  // of files, holes included
};

struct RestoreOptions {
  // A directory may make room for something that is none, and the other way round.
  bool force = false;
};

class Restore {
 public:
  // Both outlive it.
  Restore(StateTree& from, StateTree& to, const RestoreOptions& options);

  // `path` of the old state to `target` ("": the same path, whose missing directories are put back
  // as well). Gives the target's path. exists, with the remedy: something of another kind is there.
  Task<Result<std::string>> run(std::string path, std::string target);
  // Before the next object; what is there stays.
  void stop() { stopped_ = true; }
  const RestoreCounts& counts() const { return counts_; }

 private:
  using Found = StateTree::Found;
  using ObjectId = cache::ObjectId;

  // Where something is to be put.
  struct Spot {
    Found directory;
    std::string name, path;
  };

  Task<Result<Spot>> spot_of(std::string target);
  Task<Result<Found>> directories_above(const Found& old);
  Task<Result<void>> put(Found old, Spot spot);
  Task<Result<void>> put_directory(const Found& old, const Spot& spot, const Found* existing);
  Task<Result<void>> put_entries(const Found& old, const Found& made);
  Task<Result<void>> put_other(const Found& old, const Spot& spot, const Found* existing);

  Task<Result<ObjectId>> make(const Found& old, const Spot& at);
  Task<Result<ObjectId>> make_directory(const Found& old, const Spot& at);
  Task<Result<ObjectId>> make_special(const Found& old, const Spot& at);
  Task<Result<void>> copy_content(const Found& old, ObjectId made);
  Task<Result<void>> write(ObjectId made, std::uint64_t offset, ByteView bytes);
  Task<Result<void>> set_attributes(const Found& old, ObjectId made);
  Task<Result<void>> rename(const Spot& from, const Spot& to);
  Task<Result<void>> remove_all(const Found& directory, std::string name);
  Task<void> remove_quietly(Spot spot);
  Spot temporary(const Spot& spot);
  void count(nfs3::FileType type);

  StateTree &from_, &to_;
  RestoreOptions options_;
  RestoreCounts counts_;
  bool stopped_ = false;
  std::uint32_t salt_;  // of names
  std::uint64_t next_name_ = 0;
  std::map<ObjectId, ObjectId> linked_;  // of files with several names: the one made for them
};

}  // namespace rowan::proxy
