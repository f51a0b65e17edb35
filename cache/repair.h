// `rowan check --repair`: makes a closed, damaged store or family of stores one that opens and says
// what was lost. Everything that verifies is kept, in every state. Bytes of a file that are lost
// are an error to read until they are written anew, cut off or removed with the file.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cache/file.h"
#include "cache/ids.h"
#include "cache/table_check.h"
#include "rpc/base/result.h"

namespace rowan::cache {

struct LostPart {
  enum class Kind : std::uint8_t {
    // acknowledged changes of this object, at the end of the journal; which ones is not known
    changes,
    // attributes: an image object shows the image's again, a local one is gone, with its name
    object,
    // bytes [from, to) of a file cannot be read (some of them may have been the image's)
    bytes,
    // ---- what may have been there, from `object` to `last_object`:
    // attributes of image objects, which show the image's if so
    objects,
    // of these directories: local names (then listed as gone), or image names that were hidden
    names,
    // truncations that were being worked off: extending such a file may show old bytes
    truncations,
  };
  Kind kind = Kind::object;
  StateId state = no_state;          // no_state: of the end of the journal, or of several
  ObjectId object = no_object, last_object = no_object;
  std::uint64_t from = 0, to = 0;
  // Where it was or is to be found, if something still says so.
  ObjectId parent = no_object;
  std::string name;
};

struct RepairOptions {
  std::function<void(const CheckProgress&)> progress{};
};

struct RepairReport {
  std::vector<std::string> findings;   // damage, with its places
  std::vector<LostPart> lost;
  std::uint64_t lost_batches = 0;
  bool repaired = false;               // false: nothing had to be changed
};

// Errors: busy, not_found, not_supported, io, no_space; corrupt: not to be repaired, and why. After
// an error, and after a crash at any time, the store is what it was.
// What was lost is also left beside the store, as text, in the file `repair-report`: the last thing
// that is written before the store is another.
Result<RepairReport> repair_store(Directory& directory, const RepairOptions& options);

// A sentence without the object's path.
std::string describe(const LostPart& part);

}  // namespace rowan::cache
