#include "proxy/stream_header.h"

#include "cache/table_versions.h"
#include "proxy/frame_answer.h"
#include "proxy/json.h"
#include "tests/support/catch.h"

namespace rowan::proxy {
namespace {

StreamHeader sample() {
  StreamHeader header;
  header.appliance.name = "vm1";
  header.appliance.id = cache::ApplianceId{0x8000000000000001u};
  header.appliance.key.fill(std::byte{0xab});
  header.appliance.fsid = 77;
  header.appliance.image = "debian";
  header.appliance.version = "2";
  header.appliance.allow = {"10.0.0.0/8"};
  header.appliance.quota_bytes = 1 << 30;
  header.appliance.pool = PoolId{5};
  header.checkpoint.appliance = header.appliance.id;
  header.checkpoint.name = "monday";
  header.checkpoint.image = "debian";
  header.checkpoint.version = "2";
  header.checkpoint.reason = CheckpointReason::send;
  header.checkpoint.guid = 0xf00dull << 40;
  header.base = 99;
  header.base_name = "sunday";
  header.source = "nfs://10.0.0.1/debian";
  return header;
}

TEST_CASE("a stream's header comes back as it was") {
  for (const std::uint64_t base : {std::uint64_t{0}, std::uint64_t{99}}) {
    StreamHeader wanted = sample();
    wanted.base = base;
    if (base == 0) wanted.base_name.clear();
    const auto header = decode_header(encode_header(wanted));
    REQUIRE(header);
    CHECK(encode_record(header->appliance) == encode_record(wanted.appliance));
    CHECK((header->checkpoint == wanted.checkpoint));
    CHECK(header->base == wanted.base);
    CHECK(header->base_name == wanted.base_name);
    CHECK(header->source == wanted.source);
  }
}

TEST_CASE("a header that lacks something, or is of a later format, is refused as that") {
  const Json whole = *parse_json(encode_header(sample()));
  for (const char* member : {"appliance", "checkpoint", "source", "base_name"}) {
    Json less = whole;
    less.erase(member);
    CHECK(decode_header(json_line(less)).failed_with(Errc::corrupt));
  }
  Json later = whole;
  later["format"] = 2;
  CHECK(decode_header(json_line(later)).failed_with(Errc::not_supported));
  CHECK(decode_header("{").failed_with(Errc::corrupt));
  CHECK(decode_header("[]").failed_with(Errc::corrupt));
}

TEST_CASE("the mark of a half-received state comes back, other labels are none") {
  const ReceiveMark mark{0xfeed, 1'700'000'000, std::string("E\0\xff", 3)};
  const auto found = decode_mark(encode_mark(mark));
  REQUIRE(found);
  CHECK(found->guid == mark.guid);
  CHECK(found->touched == mark.touched);
  CHECK(found->reached == mark.reached);
  const std::string longest = encode_mark({1, 1, std::string(cache::max_key_bytes, 'k')});
  CHECK(longest.size() <= cache::max_label_bytes);
  for (const char* label : {"", "receiving ", "receiving 12", "{}"}) CHECK(!decode_mark(label));
  CHECK(!decode_mark(encode_mark(mark) + "0"));
  std::string other = encode_mark(mark);
  other[other.find(' ', 10)] = '-';
  CHECK(!decode_mark(other));
  CHECK(!decode_mark("receiving " + hex_id(1) + " " + hex_id(std::uint64_t{1} << 63) + " "));
  CHECK(!decode_mark(encode_label(sample().checkpoint)));
}

TEST_CASE("hexadecimal text comes back as bytes") {
  const std::string bytes("\0\x7f\xff rowan", 9);
  CHECK(*parse_hex_text(hex_text(bytes)) == bytes);
  for (const char* text : {"0", "0g", "AB", "abc"})
    CHECK(parse_hex_text(text).failed_with(Errc::malformed));
}

TEST_CASE("a frame between daemon and command comes back, and is refused when it is cut") {
  const FrameAnswer answer{cache::StreamFrame::changes, std::string("c\0k", 3), "content"};
  const std::string text = encode_frame_answer(answer);
  const auto found = decode_frame_answer(text);
  REQUIRE(found);
  CHECK((found->type == answer.type));
  CHECK(found->cursor == answer.cursor);
  CHECK(found->content == answer.content);
  for (std::size_t size = 0; size < 6; ++size)
    CHECK(decode_frame_answer(text.substr(0, size)).failed_with(Errc::malformed));
  CHECK(decode_frame_answer(std::string("\x9\0\0", 3)).failed_with(Errc::malformed));
}

}  // namespace
}  // namespace rowan::proxy
