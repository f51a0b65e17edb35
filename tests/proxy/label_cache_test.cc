// What is known of a pool's labels: right after a label was written anew, and bounded.
#include "proxy/label_cache.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace rowan::proxy {
namespace {

cache::StateInfo state(std::uint64_t id, const std::string& name) {
  CheckpointLabel label;
  label.appliance = cache::ApplianceId{7};
  label.name = name;
  label.image = "debian";
  label.version = "v1";
  cache::StateInfo info;
  info.id = cache::StateId{id};
  info.head = false;
  info.label = encode_label(label);
  return info;
}

TEST_CASE("a label is decoded, and again once it is another") {
  LabelCache labels;
  REQUIRE(labels.label_of(state(1, "one")) != nullptr);
  CHECK(labels.label_of(state(1, "one"))->name == "one");
  CHECK(labels.label_of(state(1, "other"))->name == "other");
  CHECK(labels.size() == 1);
}

TEST_CASE("what is no label is none, until it is one") {
  LabelCache labels;
  cache::StateInfo info = state(1, "one");
  info.label = "not a label";
  CHECK(labels.label_of(info) == nullptr);
  CHECK(labels.label_of(info) == nullptr);
  CHECK(labels.label_of(state(1, "one")) != nullptr);
}

TEST_CASE("states that are gone are forgotten once they outnumber the others") {
  LabelCache labels;
  std::vector<cache::StateInfo> all;
  for (std::uint64_t id = 1; id <= 9; ++id) all.push_back(state(id, "c" + std::to_string(id)));
  for (const cache::StateInfo& info : all) labels.label_of(info);
  all.resize(5);
  labels.keep(all);
  CHECK(labels.size() == 9);
  all.resize(4);
  labels.keep(all);
  CHECK(labels.size() == 4);
  REQUIRE(labels.label_of(all.back()) != nullptr);
  CHECK(labels.label_of(all.back())->name == "c4");
  CHECK(labels.size() == 4);
}

}  // namespace
}  // namespace rowan::proxy
