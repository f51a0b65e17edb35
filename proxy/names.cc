#include "proxy/names.h"

namespace rowan::proxy {
namespace {

bool is_name_character(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

}  // namespace

bool is_valid_name(std::string_view name) {
  if (name.empty() || name.size() > max_name_length) return false;
  if (name[0] == '.' || name[0] == '-') return false;
  for (char c : name) {
    if (!is_name_character(c)) return false;
  }
  return true;
}

Result<void> check_name(std::string_view what, std::string_view name) {
  if (is_valid_name(name)) return {};
  const bool vowel = std::string_view("aeiou").find(what[0]) != std::string_view::npos;
  const std::string kind = (vowel ? "an " : "a ") + std::string(what);
  return Error(Errc::usage,
               "'" + std::string(name) + "' cannot name " + kind +
                   "; use 1 to 64 letters, digits, '.', '_' or '-', not starting with '.' or '-'");
}

Result<ImageName> parse_image_name(std::string_view text) {
  ImageName parsed;
  std::size_t at = text.find('@');
  parsed.name = text.substr(0, at);
  TRY_VOID(check_name("image", parsed.name));
  if (at == std::string_view::npos) return parsed;
  parsed.version = text.substr(at + 1);
  TRY_VOID(check_name("image version", parsed.version));
  return parsed;
}

std::string name_from_source(std::string_view source) {
  source = source.substr(0, source.find('?'));
  while (!source.empty() && source.back() == '/') source.remove_suffix(1);
  std::size_t slash = source.rfind('/');
  if (slash != std::string_view::npos) source.remove_prefix(slash + 1);
  std::string name;
  for (char c : source.substr(0, max_name_length)) name += is_name_character(c) ? c : '-';
  if (name.empty()) return "image";
  if (name[0] == '.' || name[0] == '-') name[0] = '_';
  return name;
}

}  // namespace rowan::proxy
