#include "proxy/checkpoint_label.h"

#include "proxy/names.h"
#include "proxy/versions.h"
#include "tests/support/catch.h"

namespace rowan::proxy {
namespace {

CheckpointLabel sample() {
  CheckpointLabel label;
  label.appliance = cache::ApplianceId{0x0123456789abcdefu};
  label.name = "before-upgrade";
  label.message = "two lines:\nthe \"second\"";
  label.created = 1767571200;
  label.image = "debian";
  label.version = "2";
  label.reason = CheckpointReason::schedule;
  label.guid = ~std::uint64_t{0};
  return label;
}

TEST_CASE("a label comes back as it was") {
  CHECK(decode_label(encode_label(sample())).value() == sample());
}

TEST_CASE("a message of any bytes fits into a label") {
  for (const char filler : {'\x01', '"', '\xff', 'a'}) {
    CheckpointLabel label = sample();
    label.message.assign(max_message_bytes, filler);
    label.name.assign(64, 'n');
    label.image.assign(64, 'i');
    label.version.assign(64, 'v');
    const std::string text = encode_label(label);
    CHECK(text.size() <= 4096);
    CHECK(decode_label(text));
  }
}

TEST_CASE("what is not a label is called damaged") {
  const std::string good = encode_label(sample());
  auto with = [&](std::string_view old, std::string_view fresh) {
    std::string text = good;
    return text.replace(text.find(old), old.size(), fresh);
  };
  const std::vector<std::string> bad{"",
                                     "{}",
                                     with("schedule", "whim"),
                                     with("schedule", "clone"),
                                     with("before-upgrade", "a/b"),
                                     with("debian", "a/b"),
                                     with("1767571200", "9223372036854775808"),
                                     with("two lines", std::string(5000, 'x')),
                                     with("ffffffffffffffff", "FFFFFFFFFFFFFFFF"),
                                     with("0123456789abcdef", "+123456789abcde")};
  for (const std::string& text : bad) {
    INFO(text);
    CHECK(decode_label(text).failed_with(Errc::corrupt));
  }
}

TEST_CASE("a checkpoint without a name is named by its time") {
  CHECK(name_from_time(1767571205) == "20260105-000005");
  CHECK(name_from_time(0) == "19700101-000000");
}

TEST_CASE("a name that is taken is told apart, and is one that a label may have") {
  CheckpointLabel taken = sample();
  taken.name.assign(max_name_length, 'n');
  History history;
  history.checkpoints.push_back({cache::StateId{1}, {}, taken});
  CheckpointLabel fresh = taken;
  fresh.name = free_name(history, taken.name);
  CHECK(fresh.name != taken.name);
  CHECK(decode_label(encode_label(fresh)));
  CHECK(free_name(history, "other") == "other");
}

TEST_CASE("a state is named by appliance and checkpoint") {
  CHECK(parse_state_name("vm1").value().checkpoint.empty());
  CHECK(parse_state_name("vm1@a.b").value().appliance == "vm1");
  CHECK(parse_state_name("vm1@a.b").value().checkpoint == "a.b");
  for (const char* text : {"", "@a", "vm1@", "vm1@a@b", "vm1@.a", "v m@a"}) {
    INFO(text);
    CHECK(parse_state_name(text).failed_with(Errc::usage));
  }
}

}  // namespace
}  // namespace rowan::proxy
