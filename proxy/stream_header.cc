#include "proxy/stream_header.h"

#include <algorithm>
#include <optional>

#include "proxy/json.h"

namespace rowan::proxy {
namespace {

constexpr std::uint64_t header_format = 1;
constexpr std::string_view mark_word = "receiving ";

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

Result<StreamHeader> read_header(const Json& object) {
  StreamHeader header;
  TRY(const std::string appliance, text_member(object, "appliance"));
  TRY(header.appliance, decode_appliance_record(appliance));
  TRY(const std::string checkpoint, text_member(object, "checkpoint"));
  TRY(header.checkpoint, decode_label(checkpoint));
  TRY(header.source, text_member(object, "source"));
  if (!has_member(object, "base")) return header;
  TRY(const std::string base, text_member(object, "base"));
  TRY(header.base, parse_hex_id(base));
  TRY(header.base_name, text_member(object, "base_name"));
  return header;
}

}  // namespace

std::string encode_header(const StreamHeader& header) {
  Json object;
  object["format"] = header_format;
  object["appliance"] = encode_record(header.appliance);
  object["checkpoint"] = encode_label(header.checkpoint);
  object["source"] = header.source;
  if (header.base != 0) {
    object["base"] = hex_id(header.base);
    object["base_name"] = header.base_name;
  }
  return json_line(object);
}

Result<StreamHeader> decode_header(std::string_view text) {
  Result<Json> object = parse_json(text);
  if (!object) return Error(Errc::corrupt, "the stream's header: " + object.error().detail);
  Result<std::uint64_t> format = number_member(*object, "format");
  if (format && *format != header_format) {
    return Error(Errc::not_supported, "the stream is of a later format (" +
                                          std::to_string(*format) + "); use a newer Rowan here");
  }
  Result<StreamHeader> header = read_header(*object);
  if (header || header.failed_with(Errc::not_supported)) return header;
  return Error(Errc::corrupt, "the stream's header: " + header.error().detail);
}

std::string encode_mark(const ReceiveMark& mark) {
  const std::int64_t touched = std::max<std::int64_t>(mark.touched, 0);
  return std::string(mark_word) + hex_id(mark.guid) + " " +
         hex_id(static_cast<std::uint64_t>(touched)) + " " + hex_text(mark.reached);
}

std::optional<ReceiveMark> decode_mark(std::string_view label) {
  if (!label.starts_with(mark_word)) return {};
  label.remove_prefix(mark_word.size());
  if (label.size() < 34 || label[16] != ' ' || label[33] != ' ') return {};
  Result<std::uint64_t> guid = parse_hex_id(label.substr(0, 16));
  Result<std::uint64_t> touched = parse_hex_id(label.substr(17, 16));
  Result<std::string> reached = parse_hex_text(label.substr(34));
  if (!guid || !touched || !reached) return {};
  if (*touched > static_cast<std::uint64_t>(INT64_MAX)) return {};
  return ReceiveMark{*guid, static_cast<std::int64_t>(*touched), std::move(*reached)};
}

std::string hex_text(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += digits[static_cast<unsigned char>(c) >> 4];
    text += digits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

Result<std::string> parse_hex_text(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    const int high = digit_of(text[i]), low = digit_of(text[i + 1]);
    if (high < 0 || low < 0) return Error(Errc::malformed, "not hexadecimal digits");
    bytes += static_cast<char>(high << 4 | low);
  }
  if (text.size() % 2 != 0) return Error(Errc::malformed, "not hexadecimal digits");
  return bytes;
}

}  // namespace rowan::proxy
