// The door of nlohmann::json: records, the admin interface and `--json` output. Never in the data
// path. Members keep the order they were given in. What comes from outside is read through the
// functions below, which answer with a Result; exceptions do not leave proxy/json.cc.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/base/result.h"

namespace rowan::proxy {

using Json = nlohmann::ordered_json;

// malformed, with the place: not JSON, or nested more than 32 deep.
Result<Json> parse_json(std::string_view text);
// Bytes that are not UTF-8 become U+FFFD: never fails. One line, or indented by two.
std::string json_line(const Json& value);
std::string json_pretty(const Json& value);

// Members of an object. malformed, naming the member: absent, or of another type.
Result<std::string> text_member(const Json& object, std::string_view key);
Result<std::uint64_t> number_member(const Json& object, std::string_view key);
Result<bool> flag_member(const Json& object, std::string_view key);
Result<std::vector<std::string>> texts_member(const Json& object, std::string_view key);
bool has_member(const Json& object, std::string_view key);
// malformed: a member that is not in `known`, so that a misspelt setting is not silently ignored.
Result<void> only_members(const Json& object, const std::vector<std::string_view>& known);

}  // namespace rowan::proxy
