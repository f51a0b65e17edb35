#include "tests/sim/versions_model.h"

#include <algorithm>
#include <set>
#include <utility>

namespace rowan::sim {

TreeModel::TreeModel(test::ModelFs model) : fs(std::move(model)), lines(dump_model(fs, ids)) {}

const CheckpointModel* ApplianceModel::find(std::uint64_t guid) const {
  for (const auto& [name, checkpoint] : checkpoints) {
    if (checkpoint.guid == guid) return &checkpoint;
  }
  return nullptr;
}

SeenHost look_at(Machine& machine) {
  SeenHost seen;
  seen.records = machine.registry().appliances();
  for (const auto& [name, record] : seen.records) seen.appliances[name] = machine.look_at(record);
  for (const auto& [name, receive] : machine.registry().receives()) seen.receives.push_back(name);
  return seen;
}

namespace {

template <class Map>
std::vector<std::string> names_of(const Map& map) {
  std::vector<std::string> names;
  for (const auto& [name, value] : map) names.push_back(name);
  return names;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return "{" + text + "}";
}

std::string tree_difference(const TreeModel& model, const SeenState& seen, const ObjectIds& ids) {
  for (const auto& [path, line] : model.lines) {
    const auto found = seen.lines.find(path);
    if (found == seen.lines.end()) return "'" + path + "' is missing";
    if (found->second != line)
      return "'" + path + "' is [" + found->second + "] instead of [" + line + "]";
    const auto known = ids.find(model.ids.at(path));
    if (known != ids.end() && known->second != seen.objects.at(path))
      return "'" + path + "' is another object";
  }
  for (const auto& [path, line] : seen.lines)
    if (!model.lines.contains(path)) return "'" + path + "' is too much";
  return "";
}

// Names of the checkpoints with the unheard-of one's, if there is just one that can be it.
std::map<std::string, CheckpointModel> with_names(const ApplianceModel& model,
                                                  const SeenAppliance& seen) {
  std::map<std::string, CheckpointModel> named = model.checkpoints;
  auto nameless = named.extract(unheard);
  if (nameless.empty()) return named;
  for (const auto& [name, checkpoint] : seen.checkpoints) {
    if (named.contains(name)) continue;
    nameless.key() = name;
    named.insert(std::move(nameless));
    break;
  }
  return named;
}

std::string appliance_difference(const ApplianceModel& model, const proxy::ApplianceRecord& record,
                                 const SeenAppliance& seen, const ObjectIds& ids) {
  if (record.id != model.id || record.key != model.key || record.fsid != model.fsid)
    return "another identity";
  const auto checkpoints = with_names(model, seen);
  if (names_of(checkpoints) != names_of(seen.checkpoints)) {
    return "checkpoints " + joined(names_of(seen.checkpoints)) + " instead of " +
           joined(names_of(checkpoints));
  }
  for (const auto& [name, checkpoint] : checkpoints) {
    if (checkpoint.guid != 0 && checkpoint.guid != seen.guids.at(name))
      return "@" + name + " is another checkpoint";
    const std::string found = tree_difference(*checkpoint.tree, seen.checkpoints.at(name), ids);
    if (!found.empty()) return "@" + name + ": " + found;
  }
  std::string found;
  for (auto tree = model.running.rbegin(); tree != model.running.rend(); ++tree) {
    found = tree_difference(**tree, seen.running, ids);
    if (found.empty()) return "";
  }
  return "running: " + found;
}

void learn_tree(const TreeModel& tree, const SeenState& seen, ObjectIds& ids) {
  for (const auto& [path, id] : tree.ids) ids.try_emplace(id, seen.objects.at(path));
}

}  // namespace

std::string difference(const HostModel& model, const SeenHost& seen, const ObjectIds& ids) {
  if (names_of(model.appliances) != names_of(seen.appliances)) {
    return "appliances " + joined(names_of(seen.appliances)) + " instead of " +
           joined(names_of(model.appliances));
  }
  if (names_of(model.receives) != seen.receives) {
    return "receives " + joined(seen.receives) + " instead of " + joined(names_of(model.receives));
  }
  for (const auto& [name, appliance] : model.appliances) {
    const std::string found = appliance_difference(appliance, seen.records.at(name),
                                                   seen.appliances.at(name), ids);
    if (!found.empty()) return name + ": " + found;
  }
  return "";
}

void learn(HostModel& model, const SeenHost& seen, ObjectIds& ids) {
  for (auto& [name, appliance] : model.appliances) {
    const SeenAppliance& shown = seen.appliances.at(name);
    appliance.checkpoints = with_names(appliance, shown);
    for (auto& [checkpoint, value] : appliance.checkpoints) {
      value.guid = shown.guids.at(checkpoint);
      learn_tree(*value.tree, shown.checkpoints.at(checkpoint), ids);
    }
    learn_tree(*appliance.now(), shown.running, ids);
  }
}

void narrow(HostModel& model, const SeenHost& seen, const ObjectIds& ids) {
  for (auto& [name, appliance] : model.appliances) {
    const SeenState& shown = seen.appliances.at(name).running;
    auto is_shown = [&](const Tree& tree) { return tree_difference(*tree, shown, ids).empty(); };
    const auto left = std::find_if(appliance.running.rbegin(), appliance.running.rend(), is_shown);
    appliance.running = {*left};
  }
}

}  // namespace rowan::sim
