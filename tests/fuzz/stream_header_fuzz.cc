// The texts that come with a stream and are written on states: headers, records, labels, marks,
// envelopes of frames. No input crashes a decoder, and what decodes has one form that is stable
// and, for a label, has room where it is kept. The first byte chooses the decoder; 'h' and 'r' have
// the sum of the appliance's record made right, so that what is behind it is reached.
// sources: proxy/stream_header.cc proxy/checkpoint_label.cc proxy/frame_answer.cc proxy/json.cc
// sources: proxy/names.cc proxy/records.cc proxy/keep_rule.cc proxy/access_list.cc
// sources: proxy/size_text.cc
#include "proxy/stream_header.h"

#include "cache/table_versions.h"
#include "proxy/frame_answer.h"
#include "proxy/json.h"
#include "tests/fuzz/stable.h"

namespace {

using namespace rowan;
using namespace rowan::proxy;
using rowan::fuzz::check_stable_text;

std::string text_of(const ApplianceRecord& record) { return encode_record(record); }
std::string text_of(const ReceiveRecord& record) { return encode_record(record); }

// FNV-1a, as proxy/records.h says of `sum`.
std::string sum_of(const Json& record) {
  std::uint64_t sum = 0xcbf29ce484222325u;
  for (const char c : json_line(record))
    sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hex_id(sum);
}

// A record of these members, with the sum that belongs to them.
std::string sealed(const char* kind, std::uint64_t format, Json record) {
  Json envelope;
  envelope["format"] = format;
  envelope["kind"] = kind;
  envelope["sum"] = sum_of(record);
  envelope["record"] = std::move(record);
  return json_pretty(envelope);
}

void try_label(std::string_view text) {
  check_stable_text(text, decode_label, encode_label);
  auto label = decode_label(text);
  if (!label) return;
  FUZZ_CHECK(encode_label(*label).size() <= cache::max_label_bytes);
  FUZZ_CHECK((*decode_label(encode_label(*label)) == *label));
}

void try_mark(std::string_view text) {
  check_stable_text(text, decode_mark, encode_mark);
  auto mark = decode_mark(text);
  FUZZ_CHECK(!mark || encode_mark(*mark) == text);
}

void try_header(std::string_view text) {
  auto object = parse_json(text);
  // The record of the appliance is given as an object here.
  if (object && has_member(*object, "appliance") && (*object)["appliance"].is_object()) {
    (*object)["appliance"] = sealed("appliance", 2, (*object)["appliance"]);
    check_stable_text(json_line(*object), decode_header, encode_header);
  }
  check_stable_text(text, decode_header, encode_header);
}

void try_records(std::string_view text) {
  auto encode_appliance = [](const ApplianceRecord& record) { return text_of(record); };
  auto encode_receive = [](const ReceiveRecord& record) { return text_of(record); };
  auto object = parse_json(text);
  if (!object) return;
  check_stable_text(sealed("appliance", 2, *object), decode_appliance_record, encode_appliance);
  if (has_member(*object, "appliance") && (*object)["appliance"].is_object())
    (*object)["appliance"] = sealed("appliance", 2, (*object)["appliance"]);
  check_stable_text(sealed("receive", 1, *object), decode_receive_record, encode_receive);
}

void try_envelope(std::string_view bytes) {
  check_stable_text(bytes, decode_frame_answer, encode_frame_answer);
  auto answer = decode_frame_answer(bytes);
  FUZZ_CHECK(!answer || encode_frame_answer(*answer) == bytes);
}

CheckpointLabel sample_label() {
  CheckpointLabel label;
  label.appliance = cache::ApplianceId{0x8000000000000001u};
  label.name = "monday";
  label.message = "before \"it\"\n";
  label.created = 1'700'000'000;
  label.image = "debian";
  label.version = "2";
  label.reason = CheckpointReason::send;
  label.guid = 0xf00d;
  return label;
}

StreamHeader sample_header(std::uint64_t base) {
  StreamHeader header;
  ApplianceRecord& record = header.appliance;
  record.name = "vm1";
  record.id = sample_label().appliance;
  record.fsid = 77;
  record.image = "debian";
  record.version = "2";
  record.allow = {"10.0.0.0/8"};
  record.pool = PoolId{5};
  record.schedule = {std::chrono::hours(1), "24h,7d"};
  header.checkpoint = sample_label();
  header.base = base;
  header.base_name = "sunday";
  header.source = "nfs://h/debian";
  return header;
}

// The record's own members, as the decoders above take them.
Json members_of(const std::string& record) { return (*parse_json(record))["record"]; }

}  // namespace

std::vector<std::string> rowan::fuzz::seeds() {
  const StreamHeader header = sample_header(99);
  Json open = *parse_json(encode_header(header));
  open["appliance"] = members_of(encode_record(header.appliance));
  ReceiveRecord receive;
  receive.name = "vm1";
  receive.stream = "header";
  receive.appliance = header.appliance;
  Json receive_open = members_of(encode_record(receive));
  receive_open["appliance"] = open["appliance"];
  const FrameAnswer answer{cache::StreamFrame::changes, "ckey", "content"};
  return {"h" + encode_header(header),
          "h" + encode_header(sample_header(0)),
          "h" + json_line(open),
          "r" + json_line(open["appliance"]),
          "r" + json_line(receive_open),
          "l" + encode_label(sample_label()),
          "m" + encode_mark({0xfeed, 1'700'000'000, std::string("E\0\xff", 3)}),
          "m" + encode_mark({}),
          "e" + encode_frame_answer(answer)};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = rowan::as_text(rowan::fuzz::view(data + 1, size - 1));
  switch (data[0]) {
    case 'h': try_header(text); break;
    case 'r': try_records(text); break;
    case 'l': try_label(text); break;
    case 'm': try_mark(text); break;
    case 'e': try_envelope(text); break;
    default: break;
  }
  return 0;
}
