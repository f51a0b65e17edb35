#include "proxy/nfs_url.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "rpc/service.h"

namespace rowan::proxy {
namespace {

constexpr std::string_view scheme = "nfs://";
constexpr std::size_t longest_host = 255;

Error wrong(std::string_view text, const std::string& what) {
  return Error(Errc::usage, "'" + std::string(text) + "': " + what +
                                "; a source is nfs://HOST[:PORT]/EXPORT"
                                "[?nfsport=N&mountport=N&uid=N&gid=N]");
}

std::optional<std::uint32_t> number(std::string_view text, std::uint32_t least,
                                    std::uint32_t most) {
  std::uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (value < least || value > most) return std::nullopt;
  return value;
}

std::optional<std::uint16_t> port_number(std::string_view text) {
  auto value = number(text, 1, 65535);
  if (!value) return std::nullopt;
  return static_cast<std::uint16_t>(*value);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

bool needs_escape(char c) {
  return c <= ' ' || c >= 0x7f || c == '%' || c == '?' || c == '#' || c == '&';
}

std::string escape(std::string_view text) {
  static constexpr char hex[] = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    if (!needs_escape(c)) {
      out += c;
      continue;
    }
    auto byte = static_cast<unsigned char>(c);
    out += {'%', hex[byte >> 4], hex[byte & 15]};
  }
  return out;
}

// An empty component, "." or ".." would be resolved by the server in its own way.
bool is_clean_path(std::string_view path) {
  if (path == "/") return true;
  for (std::size_t start = 1; start <= path.size();) {
    std::size_t end = std::min(path.find('/', start), path.size());
    std::string_view name = path.substr(start, end - start);
    if (name.empty() || name == "." || name == ".." || name.size() > 255) return false;
    start = end + 1;
  }
  return path.find('\0') == std::string_view::npos;
}

bool is_host(std::string_view host) {
  return !host.empty() && host.size() <= longest_host &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '.' || c == '-' || c == '_' || c == ':' || c == '%';
         });
}

// "HOST", "HOST:PORT", "[V6]" or "[V6]:PORT". False: none of these.
bool parse_authority(std::string_view text, NfsUrl& url) {
  std::string_view host = text, port;
  bool has_port = false;
  if (text.starts_with('[')) {
    std::size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    host = text.substr(1, close - 1);
    std::string_view rest = text.substr(close + 1);
    has_port = rest.starts_with(':');
    if (!rest.empty() && !has_port) return false;
    if (has_port) port = rest.substr(1);
  } else if (std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    has_port = true;
  }
  if (!is_host(host)) return false;
  url.host = host;
  if (!has_port) return true;
  url.nfs_port = port_number(port);
  return url.nfs_port.has_value();
}

Result<void> apply_option(std::string_view text, std::string_view option, NfsUrl& url) {
  std::size_t equals = option.find('=');
  std::string_view key = option.substr(0, equals);
  std::string_view value = equals == std::string_view::npos ? "" : option.substr(equals + 1);
  constexpr auto any = std::numeric_limits<std::uint32_t>::max();
  bool good = false;
  if (key == "nfsport") {
    good = (url.nfs_port = port_number(value)).has_value();
  } else if (key == "mountport") {
    good = (url.mount_port = port_number(value)).has_value();
  } else if (key == "uid" || key == "gid") {
    auto id = number(value, 0, any);
    good = id.has_value();
    if (id) (key == "uid" ? url.uid : url.gid) = *id;
  } else if (key == "version") {
    good = value == "3";
    if (!good) return wrong(text, "only NFS version 3 is spoken");
  } else {
    return wrong(text, "unknown option '" + std::string(key) + "'");
  }
  if (!good) return wrong(text, "'" + std::string(option) + "' has no valid number");
  return {};
}

}  // namespace

bool is_nfs_url(std::string_view text) { return text.starts_with(scheme); }

Result<NfsUrl> parse_nfs_url(std::string_view text) {
  if (!is_nfs_url(text)) return wrong(text, "it does not begin with nfs://");
  std::string_view rest = text.substr(scheme.size());
  std::string_view options;
  if (std::size_t mark = rest.find('?'); mark != std::string_view::npos) {
    options = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  NfsUrl url;
  std::size_t slash = rest.find('/');
  if (!parse_authority(rest.substr(0, slash), url)) {
    return wrong(text, "the host or its port is wrong");
  }
  if (slash == std::string_view::npos) return wrong(text, "the export is missing");
  auto path = unescape(rest.substr(slash));
  if (!path) return wrong(text, "a % in the export is not followed by two hexadecimal digits");
  while (path->size() > 1 && path->ends_with('/')) path->pop_back();
  if (!is_clean_path(*path)) {
    return wrong(text, "the export has an empty name, '.', '..' or NUL in it");
  }
  if (path->size() > mount3::max_path_length) {
    return wrong(text, "the export is longer than 1024 bytes");
  }
  url.export_path = std::move(*path);
  while (!options.empty()) {
    std::size_t end = std::min(options.find('&'), options.size());
    TRY_VOID(apply_option(text, options.substr(0, end), url));
    options.remove_prefix(std::min(end + 1, options.size()));
  }
  return url;
}

std::string to_string(const NfsUrl& url) {
  bool v6 = url.host.find(':') != std::string::npos;
  std::string text(scheme);
  text += v6 ? '[' + url.host + ']' : url.host;
  text += escape(url.export_path);
  char next = '?';
  auto add = [&](std::string_view key, std::uint32_t value) {
    text += std::exchange(next, '&');
    text += key;
    text += '=';
    text += std::to_string(value);
  };
  if (url.nfs_port) add("nfsport", *url.nfs_port);
  if (url.mount_port) add("mountport", *url.mount_port);
  if (url.uid != 0) add("uid", url.uid);
  if (url.gid != 0) add("gid", url.gid);
  return text;
}

}  // namespace rowan::proxy
