#include "tools/dump_item.h"

#include "rpc/base/log.h"

namespace rowan::tools {

using proxy::Json;

std::string item_text(const DumpedItem& item) {
  std::string text = item.inner ? "  " + item.what : item.at + ": " + item.what;
  for (const auto& [key, value] : item.fields.items()) {
    text += key == "is" ? ": " : " " + key + "=";
    if (value.is_string() && key == "is") text += value.get<std::string>();
    else text += value.is_string() ? quote_for_log(value.get<std::string>()) : value.dump();
  }
  if (!item.damage.empty()) text += " DAMAGED: " + item.damage;
  return text;
}

Json item_json(const DumpedItem& item) {
  Json json{{"at", item.at}, {"what", item.what}};
  for (const auto& [key, value] : item.fields.items()) json[key] = value;
  if (!item.damage.empty()) json["damage"] = item.damage;
  return json;
}

Result<Buffer> read_bytes(const cache::File& file, std::uint64_t offset, std::size_t size) {
  Buffer bytes(size);
  TRY(const std::size_t got, file.read_at(offset, bytes.span()));
  bytes.resize_within(got);
  return bytes;
}

}  // namespace rowan::tools
