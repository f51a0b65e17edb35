// One thing found on disk, and its two ways of being printed.
#pragma once

#include <string>
#include <string_view>

#include "cache/file.h"
#include "proxy/json.h"
#include "rpc/base/buffer.h"
#include "rpc/base/result.h"

namespace rowan::tools {

struct DumpedItem {
  std::string at;      // "tree page 3", "segment-00000001 block 7"
  std::string what;    // in words
  proxy::Json fields = proxy::Json::object();
  std::string damage;  // empty: whole
  bool inner = false;  // belongs to the item before: a record of a page, an edit of a group
};
std::string item_text(const DumpedItem& item);
proxy::Json item_json(const DumpedItem& item);

// Fewer bytes than asked for: the file ends there.
Result<Buffer> read_bytes(const cache::File& file, std::uint64_t offset, std::size_t size);

}  // namespace rowan::tools
