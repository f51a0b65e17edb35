// The door of toml++: text in, flat settings with their places out. Rowan's file has no tables; a
// nested key is reported under its full name, so that it is refused as unknown with its place.
#include <toml++/toml.h>

#include <fstream>
#include <sstream>

#include "proxy/config.h"

namespace rowan::proxy {
namespace {

constexpr std::size_t max_config_bytes = 1u << 20;

std::string value_text(const toml::node& node, bool& simple) {
  if (auto text = node.value_exact<std::string>()) return *text;
  if (auto number = node.value_exact<std::int64_t>()) return std::to_string(*number);
  if (auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  simple = false;
  return {};
}

Result<FileSetting> setting_of(std::string key, const toml::node& node,
                               std::string_view file_name) {
  FileSetting setting;
  setting.key = std::move(key);
  setting.line = node.source().begin.line;
  setting.column = node.source().begin.column;
  bool simple = true;
  if (const toml::array* list = node.as_array()) {
    for (const toml::node& element : *list) setting.values.push_back(value_text(element, simple));
  } else if (!node.is_table()) {
    setting.values.push_back(value_text(node, simple));
  }
  if (!simple) {
    return Error(Errc::usage, std::string(file_name) + ":" + std::to_string(setting.line) + ":" +
                                  std::to_string(setting.column) + ": " + setting.key +
                                  ": write text in quotes, a whole number, true or false");
  }
  return setting;
}

}  // namespace

Result<std::vector<FileSetting>> parse_config(std::string_view text, std::string_view file_name) {
  std::vector<FileSetting> settings;
  try {
    toml::table parsed = toml::parse(text, file_name);
    for (auto&& [key, node] : parsed) {
      TRY(FileSetting setting, setting_of(std::string(key.str()), node, file_name));
      settings.push_back(std::move(setting));
    }
  } catch (const toml::parse_error& error) {
    return Error(Errc::usage, std::string(file_name) + ":" +
                                  std::to_string(error.source().begin.line) + ":" +
                                  std::to_string(error.source().begin.column) + ": " +
                                  std::string(error.description()));
  }
  return settings;
}

Result<std::vector<FileSetting>> read_config(const std::string& file_name) {
  std::ifstream in(file_name, std::ios::binary);
  if (!in) return Error(Errc::usage, file_name + ": cannot be opened; check --config");
  std::string text(max_config_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return Error(Errc::io, file_name + ": cannot be read");
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > max_config_bytes)
    return Error(Errc::usage, file_name + ": is larger than 1 MiB");
  return parse_config(text, file_name);
}

}  // namespace rowan::proxy
