#include "tests/sim/versions_sim.h"

#include <algorithm>
#include <utility>

#include "proxy/stream_header.h"
#include "tests/sim/seeded_random.h"
#include "tests/support/catch.h"

namespace rowan::sim {

using proxy::HttpReply;
using proxy::Json;
using proxy::json_line;
using test::ModelFs;
using test::ModelObject;
using test::TreeEntry;

namespace {

constexpr std::size_t most_checkpoints = 4;

std::vector<TreeEntry> small_image() {
  using cache::FileKind;
  return {{"i0", FileKind::directory, 0, 0, "", 0777},
          {"i1", FileKind::regular, 30'000, 1, "", 0666},
          {"i0/i2", FileKind::regular, 5000, 2, ""},
          {"i0/i3", FileKind::symlink, 0, 0, "../i1", 0777},
          {"i0/i4", FileKind::directory, 0, 0, "", 0755},
          {"i0/i4/i5", FileKind::regular, 100, 3, ""}};
}

Tree model_of(const std::vector<TreeEntry>& image) {
  ModelFs fs;
  std::map<std::string, test::ModelId> ids{{"", test::model_root}};
  test::ModelId next = 2;
  for (const TreeEntry& entry : image) {
    const std::size_t slash = entry.path.rfind('/');
    const bool deep = slash != std::string::npos;
    const std::string parent = deep ? entry.path.substr(0, slash) : "";
    ModelObject object;
    object.mode = entry.mode;
    if (entry.kind == cache::FileKind::directory) object.type = nfs3::FileType::directory;
    if (entry.kind == cache::FileKind::symlink) {
      object.type = nfs3::FileType::symlink;
      object.content = entry.target;
    }
    if (entry.kind == cache::FileKind::regular) {
      object.content.resize(entry.size);
      test::fill_content(entry, 0, std::as_writable_bytes(std::span(object.content)));
    }
    const test::ModelId id = next++;
    ids[entry.path] = id;
    fs.put(ids.at(parent), deep ? entry.path.substr(slash + 1) : entry.path, id,
           std::move(object));
  }
  return std::make_shared<const TreeModel>(std::move(fs));
}

template <class Map>
std::string any_key(const Map& map, std::uint64_t pick) {
  if (map.empty()) return "";
  auto at = map.begin();
  std::advance(at, static_cast<long>(pick % map.size()));
  return at->first;
}

Task<Outcome> perform_one(nfs3::Service& service, Handles handles, Operation operation) {
  Outcome outcome;
  co_await perform(service, handles, std::move(operation), outcome);
  co_return outcome;
}

bool changes(const Operation& operation) {
  using Kind = Operation::Kind;
  return operation.kind != Kind::lookup && operation.kind != Kind::access &&
         operation.kind != Kind::read && operation.kind != Kind::readlink &&
         operation.kind != Kind::commit;
}

}  // namespace

VersionsSimulation::VersionsSimulation(std::uint64_t seed) : random_(seed) {
  seed_random(seed);
  const std::vector<TreeEntry> image = small_image();
  image_ = model_of(image);
  for (auto& host : hosts_) host = std::make_unique<Host>(random_(), image);
}

bool VersionsSimulation::chance(double probability) {
  return std::uniform_real_distribution<>(0, 1)(random_) < probability;
}

void VersionsSimulation::note(const Host& host, const std::string& what) {
  story_.push_back((&host == hosts_[0].get() ? "one: " : "two: ") + what);
}

void VersionsSimulation::fail(const std::string& what) {
  std::string text;
  const std::size_t shown = std::min<std::size_t>(story_.size(), 40);
  for (std::size_t i = story_.size() - shown; i < story_.size(); ++i) text += "\n  " + story_[i];
  FAIL(what << "; it came to this:" << text);
  std::abort();
}

Json VersionsSimulation::answer(const HttpReply& reply) {
  if (reply.status != 200) fail("refused: " + reply.body);
  return proxy::parse_json(reply.body).value();
}

std::string VersionsSimulation::any_appliance(const Host& host) {
  return any_key(host.model.appliances, random_());
}

std::string VersionsSimulation::any_checkpoint(const Host& host, const std::string& appliance) {
  return any_key(host.model.appliances.at(appliance).checkpoints, random_());
}

std::string VersionsSimulation::free_name(const Host& host) {
  for (const char* name : {"a", "b", "c"})
    if (!host.model.appliances.contains(name)) return name;
  return "";
}

// ---- what a power cut leaves

void VersionsSimulation::risk(Host& host, double probability) {
  if (chance(probability)) host.machine.arm(random_());
}

void VersionsSimulation::lag(Host& host) {
  for (std::uint64_t steps = below(12); steps > 0; --steps) host.machine.step();
}

void VersionsSimulation::conclude(Host& host, bool acknowledged, std::vector<HostModel> left) {
  if (!host.machine.power_is_cut()) {
    host.machine.disarm();
    host.model = std::move(left.back());
    return;
  }
  ++counts.cuts;
  note(host, acknowledged ? "power cut behind it" : "power cut within it");
  if (!acknowledged) ++counts.unacknowledged;
  if (acknowledged) left = {left.back()};
  host.machine.restart_after_cut();
  explain(host, std::move(left), true);
}

void VersionsSimulation::explain(Host& host, std::vector<HostModel> left, bool after_cut) {
  const SeenHost seen = look_at(host.machine);
  std::string text;
  for (auto model = left.rbegin(); model != left.rend(); ++model) {
    const std::string found = difference(*model, seen, ids_);
    if (found.empty()) {
      if (after_cut) narrow(*model, seen, ids_);
      learn(*model, seen, ids_);
      host.model = std::move(*model);
      return;
    }
    text += "\n  " + found;
  }
  fail("nothing explains what is there:" + text);
}

// ---- clients

Handles VersionsSimulation::handles_of(const ApplianceModel& appliance) {
  proxy::HandleSealer sealer(appliance.id, appliance.key);
  Handles handles;
  for (const auto& [id, object] : appliance.now()->fs.objects()) {
    const auto known = ids_.find(id);
    if (known == ids_.end()) fail("an object that nobody has seen");
    handles[id] = sealer.seal(known->second);
  }
  return handles;
}

// The tree after an operation that was answered so.
Tree VersionsSimulation::done(const Operation& operation, const Outcome& outcome,
                              const Tree& before, const Handles& handles) {
  ModelFs after = before->fs;
  const Outcome expected = do_to_model(after, operation);
  if (!agree(operation, expected, outcome, handles)) {
    fail("answered " + std::string(nfs3::to_string(outcome.status)) + " instead of " +
         std::string(nfs3::to_string(expected.status)));
  }
  if (outcome.status != nfs3::Status::ok || !changes(operation)) return before;
  if (outcome.handle && after.find(operation.made) != nullptr)
    ids_.try_emplace(operation.made, proxy::parse_handle(*outcome.handle)->object);
  return std::make_shared<const TreeModel>(std::move(after));
}

void VersionsSimulation::keep(ApplianceModel& appliance, const Operation& operation,
                              const Tree& after, bool acknowledged) {
  using Kind = Operation::Kind;
  const bool stable =
      operation.kind != Kind::write || operation.stable != nfs3::StableHow::unstable;
  if (operation.kind == Kind::commit && acknowledged) appliance.running = {appliance.now()};
  if (after == appliance.now()) return;
  // What shows nothing may have written nothing.
  const bool shown = after->lines != appliance.now()->lines;
  if (stable && shown && acknowledged) appliance.running.clear();
  appliance.running.push_back(after);
}

void VersionsSimulation::work(Host& host) {
  const std::string name = any_appliance(host);
  if (name.empty()) return;
  for (std::uint64_t i = below(5); i < 5; ++i) {
    if (!host.model.appliances.contains(name)) return;
    const ApplianceModel& appliance = host.model.appliances.at(name);
    const Handles handles = handles_of(appliance);
    const Operation operation =
        random_operation({random_, appliance.now()->fs, handles, next_id_});
    note(host, name + ": " + describe(operation));
    risk(host, 0.04);
    const Outcome outcome =
        host.machine.run(perform_one(host.machine.host().nfs(), handles, operation));
    const bool acknowledged = !host.machine.power_is_cut();
    const Tree after = done(operation, outcome, appliance.now(), handles);
    HostModel model = host.model;
    keep(model.appliances.at(name), operation, after, acknowledged);
    lag(host);
    // Whether it is there: one of the trees that may be left says so.
    conclude(host, acknowledged, {std::move(model)});
  }
}

// ---- operators

void VersionsSimulation::add_appliance(HostModel& model, Host& host, const std::string& name,
                                       Tree tree) {
  const proxy::ApplianceRecord record = host.machine.registry().appliance(name).value();
  ApplianceModel& fresh = model.appliances[name];
  fresh.id = record.id;
  fresh.key = record.key;
  fresh.fsid = record.fsid;
  fresh.running = {std::move(tree)};
}

void VersionsSimulation::create(Host& host) {
  const std::string name = free_name(host);
  if (name.empty()) return;
  note(host, "create " + name);
  risk(host, 0.2);
  Json body;
  body["name"] = name;
  body["image"] = "img";
  answer(host.machine.ask("POST", "/v1/appliances", json_line(body)));
  const bool acknowledged = !host.machine.power_is_cut();
  HostModel after = host.model;
  add_appliance(after, host, name, image_);
  lag(host);
  conclude(host, acknowledged, {host.model, std::move(after)});
}

namespace {

std::uint64_t guid_of(const Json& entry) {
  return proxy::parse_hex_id(proxy::text_member(entry, "guid").value()).value();
}

}  // namespace

void VersionsSimulation::checkpoint(Host& host) {
  const std::string name = any_appliance(host);
  if (name.empty() || host.model.appliances.at(name).checkpoints.size() >= most_checkpoints) return;
  const std::string label = "c" + std::to_string(++next_name_);
  note(host, "checkpoint " + name + "@" + label);
  risk(host, 0.2);
  Json body;
  body["name"] = label;
  const Json made = answer(
      host.machine.ask("POST", "/v1/appliances/" + name + "/checkpoints", json_line(body)));
  const bool acknowledged = !host.machine.power_is_cut();
  HostModel after = host.model;
  ApplianceModel& appliance = after.appliances.at(name);
  appliance.running = {appliance.now()};
  appliance.checkpoints[label] = {appliance.now(), guid_of(made)};
  lag(host);
  conclude(host, acknowledged, {host.model, std::move(after)});
}

// The operation is wholly in the checkpoint, or wholly not.
void VersionsSimulation::checkpoint_beside_work(Host& host) {
  const std::string name = any_appliance(host);
  if (name.empty() || host.model.appliances.at(name).checkpoints.size() >= most_checkpoints) return;
  const ApplianceModel& before = host.model.appliances.at(name);
  const Handles handles = handles_of(before);
  Operation operation = random_operation({random_, before.now()->fs, handles, next_id_});
  operation.stable = nfs3::StableHow::file_sync;
  const std::string label = "c" + std::to_string(++next_name_);
  note(host, "checkpoint " + name + "@" + label + " beside " + describe(operation));
  Json body;
  body["name"] = label;
  proxy::HttpRequest request{"POST", "/v1/appliances/" + name + "/checkpoints", json_line(body)};
  auto asked = host.machine.asking(request);
  auto performed = perform_one(host.machine.host().nfs(), handles, operation);
  std::optional<HttpReply> reply;
  std::optional<Outcome> outcome;
  if (chance(0.5)) {
    host.machine.run_both(std::move(asked), std::move(performed), below(10), reply, outcome);
  } else {
    host.machine.run_both(std::move(performed), std::move(asked), below(10), outcome, reply);
  }
  const Tree after = done(operation, *outcome, before.now(), handles);
  const std::uint64_t guid = guid_of(answer(*reply));
  HostModel without = host.model;
  without.appliances.at(name).running = {after};
  HostModel with = without;
  without.appliances.at(name).checkpoints[label] = {before.now(), guid};
  with.appliances.at(name).checkpoints[label] = {after, guid};
  explain(host, {std::move(without), std::move(with)});
}

void VersionsSimulation::roll_back(Host& host) {
  const std::string name = any_appliance(host);
  if (name.empty()) return;
  const std::string to = any_checkpoint(host, name);
  if (to.empty()) return;
  note(host, "rollback " + name + "@" + to);
  risk(host, 0.25);
  const Json done = answer(host.machine.ask("POST", "/v1/appliances/" + name + "@" + to +
                                                        "/rollback"));
  const bool acknowledged = !host.machine.power_is_cut();
  HostModel after = host.model;
  ApplianceModel& appliance = after.appliances.at(name);
  const Json& kept = done["kept"];
  appliance.checkpoints[proxy::text_member(kept, "name").value()] = {appliance.now(),
                                                                     guid_of(kept)};
  appliance.running = {appliance.checkpoints.at(to).tree};
  lag(host);
  conclude(host, acknowledged, {host.model, std::move(after)});
}

void VersionsSimulation::clone(Host& host) {
  const std::string name = any_appliance(host), fresh = free_name(host);
  if (name.empty() || fresh.empty()) return;
  const std::string from = chance(0.4) ? "" : any_checkpoint(host, name);
  const std::string state = from.empty() ? name : name + "@" + from;
  note(host, "clone " + state + " as " + fresh);
  risk(host, 0.3);
  Json body;
  body["name"] = fresh;
  answer(host.machine.ask("POST", "/v1/appliances/" + state + "/clone", json_line(body)));
  const bool acknowledged = !host.machine.power_is_cut();
  HostModel after = host.model;
  ApplianceModel& origin = after.appliances.at(name);
  origin.running = {origin.now()};
  add_appliance(after, host, fresh,
                from.empty() ? origin.now() : origin.checkpoints.at(from).tree);
  // Of the running state's: all that was answered is on disk once the clone is.
  if (!from.empty()) after.appliances.at(name).running = host.model.appliances.at(name).running;
  lag(host);
  conclude(host, acknowledged, {host.model, std::move(after)});
}

void VersionsSimulation::drop_checkpoint(Host& host) {
  const std::string name = any_appliance(host);
  if (name.empty()) return;
  const std::string label = any_checkpoint(host, name);
  if (label.empty()) return;
  note(host, "remove " + name + "@" + label);
  risk(host, 0.25);
  answer(host.machine.ask("DELETE", "/v1/appliances/" + name + "@" + label));
  const bool acknowledged = !host.machine.power_is_cut();
  HostModel after = host.model;
  after.appliances.at(name).checkpoints.erase(label);
  lag(host);
  conclude(host, acknowledged, {host.model, std::move(after)});
}

void VersionsSimulation::remove(Host& host) {
  const std::string name = any_appliance(host);
  if (!name.empty()) remove(host, name);
}

void VersionsSimulation::remove(Host& host, const std::string& name) {
  note(host, "remove " + name);
  risk(host, 0.3);
  answer(host.machine.ask("DELETE", "/v1/appliances/" + name));
  const bool acknowledged = !host.machine.power_is_cut();
  std::vector<HostModel> left{host.model};
  const auto receive = host.model.receives.find(name);
  // An increment has nowhere to go; it is given up first.
  if (receive != host.model.receives.end() && receive->second.stream->base != 0)
    left = without_receive(host.model, name);
  HostModel after = left.back();
  after.appliances.erase(name);
  left.push_back(std::move(after));
  lag(host);
  conclude(host, acknowledged, std::move(left));
}

void VersionsSimulation::check_served(Host& host) {
  const std::string name = any_appliance(host);
  if (name.empty()) return;
  note(host, "check " + name);
  const Json found = answer(host.machine.ask("POST", "/v1/appliances/" + name + "/check"));
  if (!found["findings"].empty()) fail("check: " + found["findings"].dump());
}

void VersionsSimulation::restart(Host& host) {
  note(host, "restart");
  host.machine.halt();
  host.machine.boot();
  // Everything was made durable.
  for (auto& [name, appliance] : host.model.appliances) appliance.running = {appliance.now()};
  explain(host, {host.model});
}

void VersionsSimulation::cut_power(Host& host) {
  note(host, "power cut");
  ++counts.cuts;
  host.machine.cut_power(random_());
  explain(host, {host.model}, true);
}

void VersionsSimulation::verify(Host& host) {
  note(host, "verify");
  HostModel now = host.model;
  for (auto& [name, appliance] : now.appliances) appliance.running = {appliance.now()};
  const SeenHost seen = look_at(host.machine);
  const std::string found = difference(now, seen, ids_);
  if (!found.empty()) fail("what is shown: " + found);
  const std::string orphans = host.machine.orphans();
  if (!orphans.empty()) fail(orphans);
  const std::string damage = host.machine.check();
  if (!damage.empty()) fail("check: " + damage);
}

// ---- the history

void VersionsSimulation::begin() {
  for (auto& host : hosts_) {
    host->machine.boot();
    if (!host->machine.registry().add_version({"img", ""}, "/img")) fail("no image");
  }
  Host& one = *hosts_[0];
  create(one);
  while (one.model.appliances.empty()) create(one);
  // Every object is seen, so that its name travels.
  explain(one, {one.model});
  std::shared_ptr<const Stream> stream;
  while (stream == nullptr) stream = produce(one, "a", "", "");
  Host& two = *hosts_[1];
  Delivery delivery{stream, "a", false, false};
  while (!deliver(two, delivery, stream->bytes.size()) && !two.model.appliances.contains("a")) {
  }
}

void VersionsSimulation::step() {
  using Act = void (VersionsSimulation::*)(Host&);
  struct Choice {
    unsigned weight;
    Act act;
  };
  using S = VersionsSimulation;
  static constexpr Choice choices[] = {
      {30, &S::work}, {6, &S::checkpoint},      {5, &S::checkpoint_beside_work},
      {6, &S::roll_back}, {4, &S::clone},       {7, &S::drop_checkpoint},
      {3, &S::create},    {8, &S::send},        {16, &S::receive},
      {3, &S::abort},     {2, &S::check_served}, {2, &S::restart},
      {4, &S::cut_power}, {4, &S::verify}};
  unsigned total = 0;
  for (const Choice& choice : choices) total += choice.weight;
  Host& host = any_host();
  // Now and then, and only so often that there is something to work on.
  if (host.model.appliances.size() > 1 && chance(0.04)) return remove(host);
  std::uint64_t pick = below(total);
  for (const Choice& choice : choices) {
    if (pick < choice.weight) return (this->*choice.act)(host);
    pick -= choice.weight;
  }
}

void VersionsSimulation::run(int steps) {
  begin();
  for (int i = 0; i < steps; ++i) step();
  for (auto& host : hosts_) verify(*host);
  end();
}

// Half-received ones that nobody goes on with are given up; what is left of them goes as well.
void VersionsSimulation::forget_receives(Host& host) {
  note(host, "a week later");
  host.machine.later(proxy::receive_patience_seconds + 1);
  host.model.receives.clear();
  restart(host);
  verify(host);
}

void VersionsSimulation::end() {
  for (auto& host : hosts_) {
    if (chance(0.5)) forget_receives(*host);
    while (!host->model.receives.empty()) abort(*host, host->model.receives.begin()->first);
    while (!host->model.appliances.empty()) remove(*host, host->model.appliances.begin()->first);
    const std::string orphans = host->machine.orphans();
    if (!orphans.empty()) fail(orphans);
    host->machine.halt();
    const std::string remains = host->machine.remains();
    if (!remains.empty()) fail(remains);
  }
}

}  // namespace rowan::sim
