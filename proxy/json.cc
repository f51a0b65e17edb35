#include "proxy/json.h"

#include <algorithm>

namespace rowan::proxy {
namespace {

constexpr int max_depth = 32;

Error wrong_member(std::string_view key, std::string_view wanted) {
  return Error(Errc::malformed, "member '" + std::string(key) + "' must be " + std::string(wanted));
}

const Json* member(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  auto found = object.find(std::string(key));
  return found == object.end() ? nullptr : &*found;
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
  bool too_deep = false;
  auto watch = [&too_deep](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > max_depth;
    return !too_deep;
  };
  try {
    Json parsed = Json::parse(text, watch);
    if (too_deep) return Error(Errc::malformed, "JSON nested more than 32 deep");
    return parsed;
  } catch (const Json::exception& error) {
    // "[json.exception.parse_error.101] parse error at ...": the bracket says nothing to a user.
    std::string_view what = error.what();
    std::size_t end = what.find("] ");
    return Error(
        Errc::malformed,
        "not JSON: " + std::string(end == std::string_view::npos ? what : what.substr(end + 2)));
  }
}

std::string json_line(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}
std::string json_pretty(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace);
}

bool has_member(const Json& object, std::string_view key) { return member(object, key) != nullptr; }

Result<std::string> text_member(const Json& object, std::string_view key) {
  const Json* value = member(object, key);
  if (value == nullptr || !value->is_string()) return wrong_member(key, "a string");
  return value->get_ref<const std::string&>();
}

Result<std::uint64_t> number_member(const Json& object, std::string_view key) {
  const Json* value = member(object, key);
  if (value == nullptr || !value->is_number_unsigned())
    return wrong_member(key, "a whole number, not negative");
  return value->get<std::uint64_t>();
}

Result<bool> flag_member(const Json& object, std::string_view key) {
  const Json* value = member(object, key);
  if (value == nullptr || !value->is_boolean()) return wrong_member(key, "true or false");
  return value->get<bool>();
}

Result<std::vector<std::string>> texts_member(const Json& object, std::string_view key) {
  const Json* value = member(object, key);
  if (value == nullptr || !value->is_array()) return wrong_member(key, "a list of strings");
  std::vector<std::string> texts;
  for (const Json& element : *value) {
    if (!element.is_string()) return wrong_member(key, "a list of strings");
    texts.push_back(element.get_ref<const std::string&>());
  }
  return texts;
}

Result<void> only_members(const Json& object, const std::vector<std::string_view>& known) {
  if (!object.is_object()) return Error(Errc::malformed, "must be a JSON object");
  for (auto member_of = object.begin(); member_of != object.end(); ++member_of) {
    if (std::find(known.begin(), known.end(), member_of.key()) == known.end()) {
      return Error(Errc::malformed, "unknown member '" + member_of.key() + "'");
    }
  }
  return {};
}

}  // namespace rowan::proxy
