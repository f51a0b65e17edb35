// Streams between the two hosts, as rowan send and rowan receive make and take them.
#include <algorithm>
#include <utility>

#include "cache/frame_stream.h"
#include "proxy/frame_answer.h"
#include "proxy/stream_header.h"
#include "tests/sim/versions_sim.h"

namespace rowan::sim {

using cache::StreamFrame;
using proxy::FrameAnswer;
using proxy::HttpReply;
using proxy::Json;
using proxy::json_line;

namespace {

constexpr std::size_t most_streams = 4;

std::string text_of(const Json& object, const char* key) {
  return proxy::text_member(object, key).value();
}

}  // namespace

// ---- sending

void VersionsSimulation::send(Host& host) {
  const std::string name = any_appliance(host);
  if (name.empty()) return;
  const std::string checkpoint = chance(0.6) ? "" : any_checkpoint(host, name);
  const std::string since = chance(0.3) ? "" : any_checkpoint(host, name);
  auto stream = produce(host, name, checkpoint, since == checkpoint ? "" : since);
  if (stream == nullptr) return;
  streams_.push_back(std::move(stream));
  if (streams_.size() > most_streams) streams_.pop_front();
}

// Null: the power went meanwhile.
std::shared_ptr<const Stream> VersionsSimulation::produce(Host& host, const std::string& name,
                                                          const std::string& checkpoint,
                                                          const std::string& since) {
  const std::string state = checkpoint.empty() ? name : name + "@" + checkpoint;
  note(host, "send " + state + (since.empty() ? "" : " since " + since));
  risk(host, 0.15);
  Json body = Json::object();
  if (!since.empty()) body["since"] = since;
  const Json begun =
      answer(host.machine.ask("POST", "/v1/appliances/" + state + "/send", json_line(body)));
  const bool acknowledged = !host.machine.power_is_cut();
  auto stream = std::make_shared<Stream>();
  stream->header = text_of(begun, "header");
  const proxy::StreamHeader header = proxy::decode_header(stream->header).value();
  stream->checkpoint = header.checkpoint.name;
  stream->guid = header.checkpoint.guid;
  stream->base = header.base;
  stream->appliance = header.appliance.id;
  stream->key = header.appliance.key;
  stream->fsid = header.appliance.fsid;
  HostModel after = host.model;
  ApplianceModel& appliance = after.appliances.at(name);
  if (checkpoint.empty()) {
    appliance.running = {appliance.now()};
    appliance.checkpoints[stream->checkpoint] = {appliance.now(), stream->guid};
  }
  stream->tree = appliance.checkpoints.at(stream->checkpoint).tree;
  const bool whole = fetch_frames(host, name, begun, *stream);
  conclude(host, acknowledged, {host.model, std::move(after)});
  if (!whole) return nullptr;
  return stream;
}

// False: the power went meanwhile.
bool VersionsSimulation::fetch_frames(Host& host, const std::string& name, const Json& begun,
                                      Stream& stream) {
  cache::FrameWriter writer;
  cache::ChangeTotals totals;
  stream.bytes = writer.head();
  stream.bytes += writer.frame(static_cast<std::uint8_t>(StreamFrame::header), stream.header);
  Json request;
  for (const char* key : {"state", "base", "image", "version"}) request[key] = text_of(begun, key);
  std::string cursor;
  do {
    request["cursor"] = proxy::hex_text(cursor);
    const HttpReply reply =
        host.machine.ask("POST", "/v1/appliances/" + name + "/frames", json_line(request));
    if (host.machine.power_is_cut()) return false;
    if (reply.status != 200) fail("a frame: " + reply.body);
    const FrameAnswer frame = proxy::decode_frame_answer(reply.body).value();
    if (frame.type == StreamFrame::changes)
      totals.add(cache::decode_changes(frame.content)->totals);
    stream.bytes += writer.frame(static_cast<std::uint8_t>(frame.type), frame.content);
    cursor = frame.cursor;
  } while (!cursor.empty());
  stream.bytes += writer.frame(static_cast<std::uint8_t>(StreamFrame::totals),
                               cache::encode(totals));
  stream.bytes += writer.end();
  return true;
}

// ---- receiving

void VersionsSimulation::receive(Host& host) {
  Delivery delivery;
  const auto& half = host.model.receives;
  if (!half.empty() && chance(0.7)) {
    auto at = half.begin();
    std::advance(at, static_cast<long>(below(half.size())));
    delivery = {at->second.stream, at->first, at->second.new_identity, at->second.force};
  } else if (!streams_.empty()) {
    delivery.stream = streams_[below(streams_.size())];
    const char* names[] = {"a", "b", "c"};
    delivery.name = names[below(3)];
    // Mostly where it may belong.
    for (const auto& [name, appliance] : host.model.appliances)
      if (delivery.stream->base != 0 && appliance.find(delivery.stream->base) && chance(0.9))
        delivery.name = name;
    if (delivery.stream->base == 0 && chance(0.8)) delivery.name = free_name(host);
    delivery.new_identity = chance(0.3);
    delivery.force = chance(0.4);
  }
  if (delivery.stream == nullptr || delivery.name.empty()) return;
  const std::size_t all = delivery.stream->bytes.size();
  const bool cut = chance(0.35);
  counts.cut_streams += cut ? 1 : 0;
  deliver(host, delivery, cut ? below(all) : all);
}

bool VersionsSimulation::deliver(Host& host, const Delivery& delivery, std::size_t bytes) {
  const Stream& stream = *delivery.stream;
  note(host, "receive " + delivery.name + " " + stream.checkpoint + " " + std::to_string(bytes) +
                 " of " + std::to_string(stream.bytes.size()) +
                 (stream.base != 0 ? ", an increment" : "") + (delivery.force ? ", forced" : "") +
                 (delivery.new_identity ? ", as another" : ""));
  cache::FrameReader reader;
  std::string reached, totals;
  for (std::size_t at = 0; at < bytes;) {
    const std::size_t piece = std::min<std::size_t>(bytes - at, 1 + below(30'000));
    reader.feed(std::string_view(stream.bytes).substr(at, piece));
    at += piece;
    for (;;) {
      auto frame = reader.next();
      if (!frame) fail("the stream: " + to_string(frame.error()));
      if (!*frame) break;
      const auto type = static_cast<StreamFrame>((*frame)->type);
      const std::string& content = (*frame)->content;
      if (type == StreamFrame::header && !begin_receive(host, delivery, reached)) return false;
      if (type == StreamFrame::names && !hand_on(host, delivery.name, (*frame)->type, content))
        return false;
      const bool fresh =
          type == StreamFrame::changes && cache::decode_changes(content)->reached > reached;
      if (fresh && !hand_on(host, delivery.name, (*frame)->type, content)) return false;
      if (type == StreamFrame::totals) totals = content;
    }
  }
  if (reader.ended()) return end_receive(host, delivery.name, totals);
  if (!reader.cut_short().detail.empty()) return true;
  fail("a cut stream is not called that");
}

bool VersionsSimulation::begin_receive(Host& host, const Delivery& delivery,
                                       std::string& reached) {
  risk(host, 0.15);
  const Verdict verdict = may_begin(host.model, delivery);
  Json body;
  body["header"] = delivery.stream->header;
  body["new_identity"] = delivery.new_identity;
  body["force"] = delivery.force;
  const HttpReply reply =
      host.machine.ask("POST", "/v1/receives/" + delivery.name, json_line(body));
  const bool acknowledged = !host.machine.power_is_cut();
  judge(reply, verdict);
  std::vector<HostModel> left{host.model};
  if (reply.status == 200) {
    reached = proxy::parse_hex_text(text_of(answer(reply), "reached")).value();
    if (!reached.empty()) ++counts.resumed;
    HostModel after = host.model;
    ReceiveModel& receive = after.receives[delivery.name];
    // Begun anew, or with what was said at first.
    if (receive.stream == nullptr)
      receive = {delivery.stream, delivery.new_identity, delivery.force, "", false, false, false};
    receive.may_be_new = receive.given_up && receive.force != delivery.force;
    left.push_back(std::move(after));
  } else if (verdict == Verdict::may && host.model.receives.contains(delivery.name)) {
    HostModel after = host.model;
    after.receives.erase(delivery.name);
    left.push_back(std::move(after));
  }
  lag(host);
  const bool cut = host.machine.power_is_cut();
  conclude(host, acknowledged, std::move(left));
  return reply.status == 200 && !cut;
}

bool VersionsSimulation::hand_on(Host& host, const std::string& name, std::uint8_t type,
                                 const std::string& content) {
  risk(host, 0.15);
  const FrameAnswer frame{static_cast<StreamFrame>(type), {}, content};
  const HttpReply reply = host.machine.ask("POST", "/v1/receives/" + name + "/frame",
                                           proxy::encode_frame_answer(frame));
  const bool acknowledged = !host.machine.power_is_cut();
  if (reply.status != 200) fail("a frame is not taken: " + reply.body);
  lag(host);
  const bool cut = host.machine.power_is_cut();
  conclude(host, acknowledged, {host.model});
  return !cut;
}

bool VersionsSimulation::end_receive(Host& host, const std::string& name,
                                     const std::string& totals) {
  note(host, "end of the stream");
  risk(host, 0.4);
  const Verdict verdict = may_end(host.model, name);
  const FrameAnswer last{StreamFrame::totals, {}, totals};
  const HttpReply reply = host.machine.ask("POST", "/v1/receives/" + name + "/end",
                                           proxy::encode_frame_answer(last));
  const bool acknowledged = !host.machine.power_is_cut();
  judge(reply, verdict);
  std::vector<HostModel> left{host.model};
  if (reply.status == 200) {
    ++counts.received;
    const HostModel after = after_end(host, name, answer(reply));
    left = during_end(host.model, name, after);
  }
  lag(host);
  const bool cut = host.machine.power_is_cut();
  conclude(host, acknowledged, std::move(left));
  return reply.status == 200 && !cut;
}

// ---- what a host must say to a stream

// The appliance since the base of an increment.
VersionsSimulation::Verdict VersionsSimulation::unchanged(const ApplianceModel& appliance,
                                                          std::uint64_t base) {
  const CheckpointModel& from = *appliance.find(base);
  if (from.tree == appliance.now()) return Verdict::must;
  return from.tree->lines == appliance.now()->lines ? Verdict::may : Verdict::must_not;
}

VersionsSimulation::Verdict VersionsSimulation::may_begin(const HostModel& model,
                                                          const Delivery& delivery) const {
  const Stream& stream = *delivery.stream;
  const auto half = model.receives.find(delivery.name);
  if (half != model.receives.end()) {
    if (half->second.stream->header != stream.header) return Verdict::must_not;
    // All but the note that there is something half received may have been done.
    return half->second.rolled_back || half->second.given_up ? Verdict::may : Verdict::must;
  }
  const auto known = model.appliances.find(delivery.name);
  const bool is_known = known != model.appliances.end();
  if (stream.base == 0) {
    auto same = [&](const auto& entry) { return entry.second.id == stream.appliance; };
    const bool twice = !delivery.new_identity &&
                       std::any_of(model.appliances.begin(), model.appliances.end(), same);
    return is_known || twice ? Verdict::must_not : Verdict::must;
  }
  if (!is_known || known->second.find(stream.base) == nullptr ||
      known->second.find(stream.guid) != nullptr)
    return Verdict::must_not;
  return delivery.force ? Verdict::must : unchanged(known->second, stream.base);
}

VersionsSimulation::Verdict VersionsSimulation::may_end(const HostModel& model,
                                                        const std::string& name) const {
  const ReceiveModel& receive = model.receives.at(name);
  const Stream& stream = *receive.stream;
  const auto known = model.appliances.find(name);
  if (stream.base == 0) {
    auto same = [&](const auto& entry) { return entry.second.id == stream.appliance; };
    const bool twice = !receive.new_identity &&
                       std::any_of(model.appliances.begin(), model.appliances.end(), same);
    return known != model.appliances.end() || twice ? Verdict::must_not : Verdict::must;
  }
  // Its base was removed meanwhile; that it was sealed before may help.
  if (known->second.find(stream.base) == nullptr)
    return receive.sealed.empty() ? Verdict::must_not : Verdict::may;
  const Verdict verdict = unchanged(known->second, stream.base);
  if (receive.may_be_new && verdict != Verdict::must) return Verdict::may;
  if (receive.force) return Verdict::must;
  return receive.sealed.empty() || verdict == Verdict::must ? verdict : Verdict::may;
}

void VersionsSimulation::judge(const HttpReply& reply, Verdict verdict) {
  const bool taken = reply.status == 200;
  counts.refused += taken ? 0 : 1;
  if (!taken) story_.push_back("refused: " + reply.body);
  if (taken && verdict == Verdict::must_not) fail("taken, though it must not be");
  if (!taken && verdict == Verdict::must) fail("not taken: " + reply.body);
  if (reply.status >= 500) fail("a failure: " + reply.body);
}

HostModel VersionsSimulation::after_end(Host& host, const std::string& name, const Json& answer) {
  const ReceiveModel& receive = host.model.receives.at(name);
  const Stream& stream = *receive.stream;
  const std::string state = text_of(answer, "checkpoint");
  const std::string made = state.substr(state.find('@') + 1);
  const std::string aside = text_of(answer, "put_aside");
  HostModel after = host.model;
  after.receives.erase(name);
  if (stream.base == 0) {
    add_appliance(after, host, name, stream.tree);
    ApplianceModel& fresh = after.appliances.at(name);
    const bool same = fresh.id == stream.appliance && fresh.key == stream.key &&
                      fresh.fsid == stream.fsid;
    if (same == receive.new_identity) fail("received with a wrong identity");
    fresh.checkpoints[made] = {stream.tree, stream.guid};
    return after;
  }
  ++counts.increments;
  ApplianceModel& appliance = after.appliances.at(name);
  if (const CheckpointModel* base = appliance.find(stream.base); base && !receive.rolled_back) {
    const Verdict same = unchanged(appliance, stream.base);
    if (aside.empty() && same == Verdict::must_not) fail("what it held was not put aside");
    if (!aside.empty() && same == Verdict::must) fail("nothing was put aside as " + aside);
  }
  if (!aside.empty()) {
    ++counts.put_aside;
    appliance.checkpoints[aside] = {appliance.now(), host.machine.guid_of(name, aside)};
  }
  appliance.checkpoints[made] = {stream.tree, stream.guid};
  appliance.running = {stream.tree};
  return after;
}

// An increment's checkpoint comes first, then the appliance goes on from it; what it held until
// then is kept, or dropped if that was nothing of its own.
std::vector<HostModel> VersionsSimulation::during_end(const HostModel& before,
                                                      const std::string& name,
                                                      const HostModel& after) const {
  const Stream& stream = *before.receives.at(name).stream;
  if (stream.base == 0) return {before, after};
  std::string made;
  for (const auto& [label, checkpoint] : after.appliances.at(name).checkpoints)
    if (checkpoint.guid == stream.guid) made = label;
  HostModel sealed = before;
  ApplianceModel& appliance = sealed.appliances.at(name);
  appliance.checkpoints[made] = {stream.tree, stream.guid};
  sealed.receives.at(name).sealed = made;
  HostModel rolled = sealed;
  rolled.receives.at(name).rolled_back = true;
  rolled.appliances.at(name).running = {stream.tree};
  HostModel beside = rolled;
  beside.appliances.at(name).checkpoints[unheard] = {appliance.now(), 0};
  return {before, sealed, rolled, beside, after};
}

// ---- giving up

// A checkpoint that was sealed goes as well, unless the appliance runs on it.
std::vector<HostModel> VersionsSimulation::without_receive(const HostModel& before,
                                                           const std::string& name) {
  HostModel kept = before, begun = before;
  kept.receives.erase(name);
  begun.receives.at(name).given_up = true;
  const std::string& sealed = before.receives.at(name).sealed;
  if (sealed.empty() || !before.appliances.at(name).checkpoints.contains(sealed))
    return {begun, kept};
  HostModel half = begun, gone = kept;
  half.appliances.at(name).checkpoints.erase(sealed);
  gone.appliances.at(name).checkpoints.erase(sealed);
  return {begun, half, kept, gone};
}

void VersionsSimulation::abort(Host& host) {
  if (host.model.receives.empty()) return;
  auto at = host.model.receives.begin();
  std::advance(at, static_cast<long>(below(host.model.receives.size())));
  abort(host, at->first);
}

void VersionsSimulation::abort(Host& host, const std::string& name) {
  note(host, "abort " + name);
  risk(host, 0.3);
  const std::string taken = name;
  answer(host.machine.ask("DELETE", "/v1/receives/" + taken));
  const bool acknowledged = !host.machine.power_is_cut();
  std::vector<HostModel> left = without_receive(host.model, taken);
  const bool open = left.size() > 2;
  if (acknowledged) left.erase(left.begin(), left.end() - (open ? 2 : 1));
  lag(host);
  conclude(host, acknowledged && !open, left);
  if (open) explain(host, std::move(left));
}

}  // namespace rowan::sim
