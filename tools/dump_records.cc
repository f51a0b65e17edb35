#include "tools/dump_records.h"

#include "cache/catalog_records.h"
#include "cache/store_records.h"
#include "cache/table_own.h"

namespace rowan::tools {
namespace {

using namespace cache;
using proxy::Json;

std::string hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += digits[static_cast<unsigned char>(c) >> 4];
    text += digits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

// Local objects as "local 7": the bare number would have its top bit set.
std::string object_text(ObjectId id) {
  if (!is_local(id)) return std::to_string(to_number(id));
  return "local " + std::to_string(to_number(id) & ~local_object_bit);
}

// ---- the redirect store

Result<void> add(Json& fields, const ParsedKey& key, std::string_view value) {
  switch (key.kind) {
    case RecordKind::counters: {
      TRY(const Counters counters, decode_counters(value));
      fields["next_object"] = counters.next_object;
      fields["next_sequence"] = counters.next_sequence;
      fields["data_blocks"] = counters.data_blocks;
      fields["objects"] = counters.objects;
      return {};
    }
    case RecordKind::object: {
      TRY(const ObjectRecord record, decode_object(value));
      fields["is"] = describe(record);
      fields["data_blocks"] = record.data_blocks;
      if (!record.target.empty()) fields["target"] = record.target;
      return {};
    }
    case RecordKind::extent: {
      TRY(const StoredExtent extent, decode_extent(key, value));
      fields["is"] = describe(extent);
      return {};
    }
    case RecordKind::name: {
      TRY(const NameRecord record, decode_name(value));
      fields["name"] = key.name;
      fields["child"] = record.child == no_object ? "whiteout" : object_text(record.child);
      fields["sequence"] = record.sequence;
      return {};
    }
    case RecordKind::sequence: {
      TRY(const SequenceRecord record, decode_sequence(value));
      fields["sequence"] = key.number;
      fields["name"] = record.name;
      fields["child"] = object_text(record.child);
      return {};
    }
    case RecordKind::purge: {
      TRY(const auto marks, decode_purge(value));
      fields["marks"] = Json::array();
      for (const PurgeMark& mark : marks)
        fields["marks"].push_back({{"from", mark.from}, {"through", mark.through}});
      return {};
    }
  }
  return Error(Errc::corrupt, "a record of an unknown kind");
}

constexpr std::string_view name_of(RecordKind kind) {
  switch (kind) {
    case RecordKind::counters:
      return "counters";
    case RecordKind::object:
      return "object";
    case RecordKind::extent:
      return "extent";
    case RecordKind::name:
      return "name";
    case RecordKind::sequence:
      return "listing";
    case RecordKind::purge:
      return "purge";
  }
  return "?";
}

Result<DumpedRecord> store_record(std::string_view key, std::optional<std::string_view> value) {
  TRY(const ParsedKey parsed, parse_key(key));
  DumpedRecord record;
  record.what = name_of(parsed.kind);
  record.fields = Json::object();
  if (parsed.kind != RecordKind::counters) record.fields["object"] = object_text(parsed.id);
  if (value) TRY_VOID(add(record.fields, parsed, *value));
  return record;
}

// ---- the catalogue

constexpr std::string_view catalog_kinds = "opvatdnluhm";

std::string_view catalog_name(char kind) {
  constexpr std::string_view names[] = {"identity",    "alias",     "version", "attributes",
                                        "target",      "directory", "name",    "listed",
                                        "looked up",   "link",      "drifted"};
  return names[catalog_kinds.find(kind)];
}

template <class Decoded>
Result<Decoded> present(std::optional<Decoded> decoded) {
  if (!decoded) return Error(Errc::corrupt, "a value outside the grammar");
  return std::move(*decoded);
}

Result<void> add_catalog(Json& fields, char kind, std::string_view value) {
  switch (kind) {
    case 'o': {
      TRY(const auto identity, present(catalog::Identity::decode(value)));
      fields["parent"] = object_text(identity.parent);
      fields["name"] = identity.name;
      return {};
    }
    case 'v': {
      TRY(const auto counters, present(catalog::Counters::decode(value)));
      fields["objects"] = counters.objects;
      fields["bytes"] = counters.bytes;
      return {};
    }
    case 'a': {
      ImageObject object;
      if (!catalog::decode_attributes(value, object))
        return Error(Errc::corrupt, "attributes outside the grammar");
      fields["kind"] = static_cast<int>(object.attributes.kind);
      fields["mode"] = object.attributes.mode;
      fields["size"] = object.attributes.size;
      fields["source_fileid"] = object.attributes.source_fileid;
      fields["source_handle"] = hex(object.source_handle);
      fields["drifted"] = object.drifted;
      return {};
    }
    case 'd': {
      TRY(const auto state, present(catalog::DirectoryState::decode(value)));
      fields["next_position"] = state.next_position;
      fields["complete"] = state.complete;
      return {};
    }
    case 'n': {
      TRY(const auto name, present(catalog::NameValue::decode(value)));
      fields["child"] = name.child == no_object ? "absent" : object_text(name.child);
      fields["position"] = name.position;
      return {};
    }
    case 'l': {
      Listing::Entry entry{};
      if (!catalog::decode_listed(value, entry))
        return Error(Errc::corrupt, "a listing outside the grammar");
      fields["name"] = entry.name;
      fields["child"] = object_text(entry.child);
      return {};
    }
    case 'p':
    case 'h': {
      TRY(const auto id, present(catalog::decode_id(value)));
      fields["object"] = object_text(id);
      return {};
    }
    default:
      fields["value"] = std::string(value);
      return {};
  }
}

Result<DumpedRecord> catalog_record(std::string_view key, std::optional<std::string_view> value) {
  DumpedRecord record;
  record.what = catalog_name(key[0]);
  record.fields = Json::object({{"key", hex(key.substr(1))}});
  if (value) TRY_VOID(add_catalog(record.fields, key[0], *value));
  return record;
}

// ---- the table's own

Result<DumpedRecord> own_record(std::string_view key, std::optional<std::string_view> value) {
  DumpedRecord record;
  record.what = "own";
  record.fields = Json::object();
  own::Records records;
  if (value) TRY_VOID(own::decode(key, *value, records));
  for (const auto& [segment, blocks] : records.live) {
    record.what = "live blocks";
    record.fields = {{"segment", segment}, {"blocks", blocks}};
  }
  for (const auto& [id, state] : records.states) {
    record.what = "state";
    record.fields = {{"state", to_number(id)}, {"label", state.info.label}};
  }
  if (!records.dead_keys.empty()) record.what = "dead ranges";
  for (const DeadRange& range : records.dead) {
    record.fields["ranges"].push_back(
        {{"segment", range.segment}, {"block", range.block}, {"count", range.count}});
  }
  return record;
}

Result<DumpedRecord> decoded(std::string_view key, std::optional<std::string_view> value) {
  if (!key.empty() && key < own::end_key) return own_record(key, value);
  if (!key.empty() && catalog_kinds.find(key[0]) != catalog_kinds.npos)
    return catalog_record(key, value);
  return store_record(key, value);
}

}  // namespace

DumpedRecord dump_record(std::string_view key, std::optional<std::string_view> value) {
  Result<DumpedRecord> record = decoded(key, value);
  if (record) {
    if (!value) record->fields["erased"] = true;
    return std::move(*record);
  }
  DumpedRecord unreadable{"record", Json::object({{"key", hex(key)}}), record.error().detail};
  if (value) unreadable.fields["value"] = hex(*value);
  return unreadable;
}

}  // namespace rowan::tools
