#include "tools/bench/target.h"

#include <charconv>
#include <limits>

namespace rowan::bench {
namespace {

constexpr std::string_view scheme = "nfs://";

Result<std::uint32_t> parse_number(std::string_view key, std::string_view text,
                                   std::uint64_t limit) {
  std::uint64_t value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value > limit) {
    return Error(Errc::usage, "'" + std::string(text) + "' is no number for " + std::string(key));
  }
  return static_cast<std::uint32_t>(value);
}

Result<void> apply_option(Target& target, std::string_view option) {
  auto equals = option.find('=');
  if (equals == std::string_view::npos) {
    return Error(Errc::usage, "option '" + std::string(option) + "' has no value");
  }
  auto key = option.substr(0, equals);
  auto text = option.substr(equals + 1);
  constexpr std::uint64_t port_limit = std::numeric_limits<std::uint16_t>::max();
  constexpr std::uint64_t id_limit = std::numeric_limits<std::uint32_t>::max();
  if (key == "nfsport" || key == "mountport") {
    TRY(auto port, parse_number(key, text, port_limit));
    (key == "nfsport" ? target.nfs_port : target.mount_port) = static_cast<std::uint16_t>(port);
  } else if (key == "uid" || key == "gid") {
    TRY(auto id, parse_number(key, text, id_limit));
    (key == "uid" ? target.uid : target.gid) = id;
  } else if (key != "version" || text != "3") {
    return Error(Errc::usage, "option '" + std::string(option) +
                                  "' is not one of nfsport, mountport, uid, gid, version=3");
  }
  return {};
}

}  // namespace

std::string Target::url() const {
  return std::string(scheme) + host + export_path + "?nfsport=" + std::to_string(nfs_port) +
         "&mountport=" + std::to_string(mount_or_nfs_port());
}

Result<Target> parse_target(std::string_view url) {
  if (!url.starts_with(scheme)) {
    return Error(Errc::usage, "'" + std::string(url) + "' does not begin with nfs://");
  }
  auto rest = url.substr(scheme.size());
  std::string_view options;
  if (auto question = rest.find('?'); question != std::string_view::npos) {
    options = rest.substr(question + 1);
    rest = rest.substr(0, question);
  }
  auto slash = rest.find('/');
  if (slash == 0 || slash == std::string_view::npos || slash + 1 == rest.size()) {
    return Error(Errc::usage,
                 "'" + std::string(url) + "' lacks a host or an export: nfs://HOST/EXPORT");
  }
  Target target;
  target.host = rest.substr(0, slash);
  target.export_path = rest.substr(slash);
  while (!options.empty()) {
    auto end = std::min(options.find('&'), options.size());
    TRY_VOID(apply_option(target, options.substr(0, end)));
    options.remove_prefix(std::min(end + 1, options.size()));
  }
  return target;
}

}  // namespace rowan::bench
