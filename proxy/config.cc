#include "proxy/config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "proxy/size_text.h"

namespace rowan::proxy {
namespace {

using Values = std::span<const std::string>;

constexpr std::size_t max_listen_addresses = 16;
// Below this a single large file already evicts the boot's working set; nothing would be cached in
// effect.
constexpr std::uint64_t least_cache_bytes = 16ull << 20;

Result<void> apply_listen(ServeConfig& config, Values values) {
  if (values.empty() || values.size() > max_listen_addresses) {
    return Error(Errc::usage, "give 1 to " + std::to_string(max_listen_addresses) + " addresses");
  }
  for (const std::string& value : values) {
    Result<ListenAddress> address = parse_listen_address(value);
    if (!address) return std::move(address).error();
  }
  config.listen.assign(values.begin(), values.end());
  return {};
}

Result<void> apply_cache_size(ServeConfig& config, Values values) {
  TRY(std::uint64_t bytes, parse_size(values.front()));
  if (bytes < least_cache_bytes) {
    return Error(Errc::usage, "the block cache needs at least " + size_text(least_cache_bytes));
  }
  config.cache_bytes = bytes;
  return {};
}

Result<void> apply_log_level(ServeConfig& config, Values values) {
  TRY(config.log_level, parse_log_level(values.front()));
  return {};
}

Result<void> apply_rpcbind(ServeConfig& config, Values values) {
  if (values.front() != "true" && values.front() != "false") {
    return Error(Errc::usage, "give true or false");
  }
  config.rpcbind = values.front() == "true";
  return {};
}

constexpr std::array<Option, 4> table{{
    {"listen", OptionKind::list, "ADDR:PORT", "127.0.0.1:2049",
     "Serve NFS, MOUNT and portmap there, over TCP and UDP; repeatable; port 0 takes a free one",
     apply_listen},
    {"cache-size", OptionKind::text, "SIZE", "10G", "Limit of the block cache on disk",
     apply_cache_size},
    {"log-level", OptionKind::text, "LEVEL", "info",
     "Least level to log: debug, info, warn or error", apply_log_level},
    {"rpcbind", OptionKind::flag, "", "false",
     "Register with this machine's rpcbind, so that clients need not be told the port",
     apply_rpcbind},
}};

bool is_ip_address(const std::string& host) {
  in6_addr scratch;
  return inet_pton(AF_INET, host.c_str(), &scratch) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &scratch) == 1;
}

std::string place(std::string_view file_name, const FileSetting& setting) {
  return std::string(file_name) + ":" + std::to_string(setting.line) + ":" +
         std::to_string(setting.column) + ": ";
}

Result<void> apply_setting(ServeConfig& config, const Option& option, const FileSetting& setting) {
  if (option.kind != OptionKind::list && setting.values.size() != 1) {
    return Error(Errc::usage, "takes one value, not a list");
  }
  return option.apply(config, setting.values);
}

}  // namespace

std::span<const Option> serve_options() { return table; }

Result<ListenAddress> parse_listen_address(std::string_view text) {
  Error wrong(Errc::usage,
              "'" + std::string(text) +
                  "' is not ADDR:PORT; write 127.0.0.1:2049, 0.0.0.0:2049 or [::1]:2049");
  std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong;
  std::string_view host = text.substr(0, colon);
  std::string_view port = text.substr(colon + 1);
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  ListenAddress address;
  address.host = host;
  if (!is_ip_address(address.host) || bracketed != (host.find(':') != std::string_view::npos))
    return wrong;
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (port.empty() || error != std::errc{} || end != port.data() + port.size()) return wrong;
  return address;
}

Result<Level> parse_log_level(std::string_view text) {
  if (text == "debug") return Level::debug;
  if (text == "info") return Level::info;
  if (text == "warn") return Level::warn;
  if (text == "error") return Level::error;
  return Error(Errc::usage,
               "'" + std::string(text) + "' is not a log level; use debug, info, warn or error");
}

Result<void> apply_settings(ServeConfig& config, const std::vector<FileSetting>& settings,
                            std::string_view file_name, std::span<const std::string> except) {
  for (const FileSetting& setting : settings) {
    auto option = std::find_if(table.begin(), table.end(),
                               [&](const Option& entry) { return entry.name == setting.key; });
    if (option == table.end()) {
      return Error(Errc::usage, place(file_name, setting) + "unknown setting '" + setting.key +
                                    "'; 'rowan serve --help' lists the settings");
    }
    if (std::find(except.begin(), except.end(), setting.key) != except.end()) continue;
    Result<void> applied = apply_setting(config, *option, setting);
    if (!applied) {
      return Error(Errc::usage,
                   place(file_name, setting) + setting.key + ": " + applied.error().detail);
    }
  }
  return {};
}

}  // namespace rowan::proxy
