// What two hosts must hold, written down plainly: the tree of every state of every appliance, and
// what is half received. Values: copies are what may be left after a power cut.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/records.h"
#include "tests/sim/machine.h"
#include "tests/support/model_fs.h"

namespace rowan::sim {

struct TreeModel {
  explicit TreeModel(test::ModelFs model);
  test::ModelFs fs;
  std::map<std::string, test::ModelId> ids;  // by path
  std::map<std::string, std::string> lines;
};
// Another pointer: something was changed, even if the model shows nothing of it.
using Tree = std::shared_ptr<const TreeModel>;
// An object has the same id wherever it is.
using ObjectIds = std::map<test::ModelId, cache::ObjectId>;

struct CheckpointModel {
  Tree tree;
  std::uint64_t guid = 0;   // 0: not heard of yet
};
// A checkpoint with this name is one whose name was not heard of.
inline const std::string unheard = "*";

struct ApplianceModel {
  cache::ApplianceId id{};
  proxy::ApplianceKey key{};
  std::uint64_t fsid = 0;
  // What a power cut may leave; the last is what clients see.
  std::vector<Tree> running;
  std::map<std::string, CheckpointModel> checkpoints;

  const Tree& now() const { return running.back(); }
  const CheckpointModel* find(std::uint64_t guid) const;
};

struct Stream {
  std::string bytes, header;
  std::string checkpoint;        // its name
  std::uint64_t guid = 0, base = 0;
  cache::ApplianceId appliance{};
  proxy::ApplianceKey key{};
  std::uint64_t fsid = 0;
  Tree tree;
};

struct ReceiveModel {
  std::shared_ptr<const Stream> stream;
  bool new_identity = false, force = false;
  // Of an increment that came to its end but for the last steps: its checkpoint, and whether the
  // appliance goes on from it.
  std::string sealed;
  bool rolled_back = false;
  // It was being given up when the power went: nothing may be left of it but the note.
  bool given_up = false;
  bool may_be_new = false;   // begun again after that, otherwise forced than at first
};

struct HostModel {
  std::map<std::string, ApplianceModel> appliances;
  std::map<std::string, ReceiveModel> receives;
};

// What a host shows.
struct SeenHost {
  std::map<std::string, proxy::ApplianceRecord> records;
  std::map<std::string, SeenAppliance> appliances;
  std::vector<std::string> receives;
};
SeenHost look_at(Machine& machine);

// Empty if that is what the model says.
std::string difference(const HostModel& model, const SeenHost& seen, const ObjectIds& ids);
// Once there is no difference: what was not known is.
void learn(HostModel& model, const SeenHost& seen, ObjectIds& ids);
// Behind a power cut: what is left of the running states is what is shown.
void narrow(HostModel& model, const SeenHost& seen, const ObjectIds& ids);

}  // namespace rowan::sim
