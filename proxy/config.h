// The settings of `rowan serve`, from one table: the command line, the configuration file, the help
// text and the tests all walk it. Precedence: command line, then file, then default.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/base/log.h"
#include "rpc/base/result.h"

namespace rowan::proxy {

struct ServeConfig {
  std::vector<std::string> listen{"127.0.0.1:2049"};  // ADDR:PORT; port 0: any free one
  std::uint64_t cache_bytes = 10ull << 30;
  Level log_level = Level::info;
  bool rpcbind = false;  // register with the system's rpcbind
};

enum class OptionKind : std::uint8_t { text, list, flag };

struct Option {
  std::string_view name;  // "cache-size": both the flag's and the file's name
  OptionKind kind;
  std::string_view value_name;  // "SIZE"; empty for a flag
  std::string_view default_text;
  std::string_view help;
  // Puts the values (one, or several of a list; "true" or "false" of a flag) into the settings.
  Result<void> (*apply)(ServeConfig& config, std::span<const std::string> values);
};

std::span<const Option> serve_options();

// A host and a port as written after --listen: "127.0.0.1:2049", "[::1]:0". usage: anything else,
// names included.
struct ListenAddress {
  std::string host;
  std::uint16_t port = 0;
};
Result<ListenAddress> parse_listen_address(std::string_view text);

Result<Level> parse_log_level(std::string_view text);

// One key of a configuration file, as text.
struct FileSetting {
  std::string key;
  std::vector<std::string> values;
  std::uint32_t line = 0, column = 0;
};
// Reads TOML (proxy/config_file.cc, the door of toml++). usage: with file, line and column.
Result<std::vector<FileSetting>> parse_config(std::string_view text, std::string_view file_name);
Result<std::vector<FileSetting>> read_config(const std::string& file_name);

// Applies settings that are not in `except` (those given on the command line). A key that is not in
// the table, or a value of the wrong kind, is an error with its place.
Result<void> apply_settings(ServeConfig& config, const std::vector<FileSetting>& settings,
                            std::string_view file_name, std::span<const std::string> except);

}  // namespace rowan::proxy
