// What is kept of images and appliances besides their data: durable, versioned, checksummed text.
//
// A record is one JSON object, {"format": 1, "kind": "appliance", "sum": "...", "record": {...}},
// so that a person can read it; `sum` is the checksum of the compact text of `record`, so that a
// flipped bit in a key or an id is found before a handle is made from it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cache/ids.h"
#include "proxy/appliance.h"
#include "rpc/base/clock.h"
#include "rpc/base/result.h"

namespace rowan::proxy {

struct ImageVersion {
  std::string label;         // "1", "2", or the operator's word
  cache::VersionId id{};     // names it in the catalogue and the block cache
  std::string source;        // nfs://... or an absolute directory
  std::int64_t created = 0;  // seconds since 1970, UTC
};

struct ImageRecord {
  std::string name;
  std::vector<ImageVersion> versions;  // oldest first; never empty
};

std::string_view to_string(Durability durability);
Result<Durability> parse_durability(std::string_view text);

// Checkpoints that are made by themselves.
struct Schedule {
  Duration every{};  // zero: none
  std::string keep;  // a KeepRule (keep_rule.h); empty: all are kept
};

// The stores of appliances that were cloned from one another lie in one pool (store_pool.h).
enum class PoolId : std::uint64_t {};

struct ApplianceRecord {
  std::string name;
  cache::ApplianceId id{};
  ApplianceKey key{};  // of its handles' MAC; never shown
  std::uint64_t fsid = 0;
  std::string image, version;
  std::vector<std::string> allow;  // CIDR; empty: loopback only
  std::uint64_t quota_bytes = 0;   // 0: none
  Durability durability = Durability::sync;
  bool root_squash = false;
  std::int64_t created = 0;
  PoolId pool{};                             // random, never zero
  cache::StateId head = cache::first_state;  // its running state in the pool
  Schedule schedule;
};

// An appliance that is being received from another host.
struct ReceiveRecord {
  std::string name;
  std::string stream;          // the header of the stream (stream_header.h)
  ApplianceRecord appliance;   // as it shall be; `head` is the running state that takes the changes
  cache::StateId base{};       // the checkpoint here that an increment begins from; or no_state
  bool force = false;          // what the appliance holds by then is put aside
  std::int64_t touched = 0;    // when it was last gone on with, to a day; seconds since 1970
};

// What its appliance is opened with. usage: of the networks in `allow`.
Result<ApplianceSettings> settings_of(const ApplianceRecord& record);

std::string encode_record(const ImageRecord& record);
std::string encode_record(const ApplianceRecord& record);
std::string encode_record(const ReceiveRecord& record);
// corrupt: not such a record, or damaged; not_supported: of a later format, or of one that is not
// read any more.
Result<ImageRecord> decode_image_record(std::string_view text);
Result<ApplianceRecord> decode_appliance_record(std::string_view text);
Result<ReceiveRecord> decode_receive_record(std::string_view text);

// A 64-bit id as 16 hexadecimal digits: JSON numbers above 2^53 do not survive every reader.
std::string hex_id(std::uint64_t id);
// malformed: anything but 16 digits in lower case.
Result<std::uint64_t> parse_hex_id(std::string_view text);

}  // namespace rowan::proxy
