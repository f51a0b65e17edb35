// One record of a table, decoded by the server's own decoders: the redirect store's, the
// catalogue's and the table's own are told apart by the key's first byte.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/json.h"

namespace rowan::tools {

struct DumpedRecord {
  std::string what;    // "extent", "name", "identity"
  proxy::Json fields;  // an object
  std::string damage;  // why it could not be decoded; the fields are then key and value in hex
};

// Without a value: an erased entry.
DumpedRecord dump_record(std::string_view key, std::optional<std::string_view> value);

}  // namespace rowan::tools
