#include "tools/output.h"

#include <algorithm>

#include "proxy/size_text.h"
#include "rpc/base/check.h"

namespace rowan::tools {
namespace {

using proxy::count_text;
using proxy::duration_text;
using proxy::Json;
using proxy::size_text;

std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

// Characters, not bytes: names may come in UTF-8 through a source's path.
std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

bool is_numeric(const std::string& cell) {
  return cell == "-" || (!cell.empty() && cell[0] >= '0' && cell[0] <= '9');
}

// The daemon may be of another version than the command: what is missing is shown as absent.
std::string text_of(const Json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_string()) return "-";
  std::string text = object[key].get<std::string>();
  return text.empty() ? "-" : text;
}
std::uint64_t number_of(const Json& object, const char* key) {
  return proxy::number_member(object, key) ? *proxy::number_member(object, key) : 0;
}
std::string size_of(const Json& object, const char* key) {
  return size_text(number_of(object, key));
}
std::string count_of(const Json& object, const char* key) {
  return count_text(number_of(object, key));
}
std::string ratio_of(const Json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_number()) return "-";
  return proxy::share_text(static_cast<std::uint64_t>(object[key].get<double>() * 1e6), 1'000'000);
}
std::string duration_of(const Json& object, const char* key) {
  return duration_text(number_of(object, key));
}
std::string list_of(const Json& object, const char* key, std::string_view if_empty) {
  auto texts = proxy::texts_member(object, key);
  if (!texts || texts->empty()) return std::string(if_empty);
  std::string joined;
  for (const std::string& text : *texts) joined += (joined.empty() ? "" : ", ") + text;
  return joined;
}
const Json& array_of(const Json& object, const char* key) {
  static const Json empty = Json::array();
  if (!object.is_object() || !object.contains(key) || !object[key].is_array()) return empty;
  return object[key];
}

std::string quota_of(const Json& appliance) {
  std::uint64_t quota = number_of(appliance, "quota");
  return quota == 0 ? "-" : size_text(quota);
}

std::string schedule_of(const Json& appliance) {
  const std::string every = text_of(appliance, "every"), keep = text_of(appliance, "keep");
  if (every == "off" || every == "-") return "when asked for";
  return "every " + every + (keep == "-" ? ", all kept" : ", kept " + keep);
}

// "key      value" lines.
std::string sheet(const std::vector<std::pair<std::string, std::string>>& lines) {
  std::size_t width = 0;
  for (const auto& [key, value] : lines) width = std::max(width, key.size());
  std::string text;
  for (const auto& [key, value] : lines) {
    text += key + std::string(width + 2 - key.size(), ' ') + printable(value) + "\n";
  }
  return text;
}

void add_procedures(Table& table, const Json& appliance) {
  if (!appliance.contains("procedures") || !appliance["procedures"].is_object()) return;
  const Json& procedures = appliance["procedures"];
  for (auto entry = procedures.begin(); entry != procedures.end(); ++entry) {
    const Json& counters = entry.value();
    table.add({text_of(appliance, "name"), entry.key(), count_of(counters, "calls"),
               count_of(counters, "errors"), duration_of(counters, "p50_ns"),
               duration_of(counters, "p99_ns"), duration_of(counters, "max_ns")});
  }
}

std::vector<std::string> procedure_head() {
  return {"APPLIANCE", "PROCEDURE", "CALLS", "ERRORS", "P50", "P99", "MAX"};
}

Table version_table(const Json& image) {
  Table table({"VERSION", "SOURCE", "CREATED", "USED BY", "SERVED", "FETCHED", "SHARE", "HITS"});
  for (const Json& version : array_of(image, "versions")) {
    table.add({text_of(version, "version"), text_of(version, "source"), text_of(version, "created"),
               list_of(version, "used_by", "-"), size_of(version, "bytes_served"),
               size_of(version, "bytes_fetched"), ratio_of(version, "fetched_share"),
               ratio_of(version, "hit_ratio")});
  }
  return table;
}

std::string troubles(const Json& list, const std::string& what) {
  std::string text;
  for (const Json& entry : list) {
    std::string trouble = text_of(entry, "trouble");
    if (trouble != "-")
      text += "! " + what + " " + text_of(entry, "name") + ": " + printable(trouble) + "\n";
  }
  return text;
}

std::string image_troubles(const Json& images) {
  std::string text = troubles(images, "image");
  for (const Json& image : images) {
    for (const Json& version : array_of(image, "versions")) {
      std::string name = text_of(image, "name") + "@" + text_of(version, "version");
      std::string trouble = text_of(version, "trouble");
      if (trouble != "-") text += "! image " + name + ": " + printable(trouble) + "\n";
      std::string drifted = list_of(version, "drifted", "");
      if (!drifted.empty())
        text += "! image " + name + ": changed at the source: " + printable(drifted) + "\n";
    }
  }
  return text;
}

std::string daemon_text(const Json& status) {
  if (!status.contains("daemon") || !status["daemon"].is_object()) return "Daemon  not running\n";
  const Json& daemon = status["daemon"];
  std::string up = duration_text(number_of(daemon, "uptime_seconds") * 1'000'000'000u);
  std::uint64_t seconds = number_of(daemon, "uptime_seconds");
  if (seconds >= 120) up = std::to_string(seconds / 60) + " min";
  if (seconds >= 7200) up = std::to_string(seconds / 3600) + " h";
  std::vector<std::pair<std::string, std::string>> lines{
      {"Daemon", "running, process " + std::to_string(number_of(daemon, "pid")) + ", up " + up},
      {"Listening", list_of(daemon, "listen", "nowhere")},
      {"Traffic", count_of(daemon, "connections") + " connections, " + count_of(daemon, "calls") +
                      " calls, " + size_of(daemon, "bytes_received") + " received, " +
                      size_of(daemon, "bytes_sent") + " sent"}};
  if (status.contains("cache") && status["cache"].is_object()) {
    const Json& cache = status["cache"];
    lines.emplace_back("Block cache", size_of(cache, "bytes") + " of " +
                                          size_of(cache, "limit_bytes") + ", hits " +
                                          ratio_of(cache, "hit_ratio") + ", " +
                                          count_of(cache, "evictions") + " evicted, " +
                                          count_of(cache, "damaged") + " damaged");
  }
  return sheet(lines);
}

}  // namespace

void Table::add(std::vector<std::string> row) {
  CHECK_EQ(row.size(), width_);
  for (std::string& cell : row) cell = printable(std::move(cell));
  rows_.push_back(std::move(row));
}

std::string Table::text() const {
  std::vector<std::size_t> widths(width_, 0);
  std::vector<bool> right(width_, rows_.size() > 1);
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    for (std::size_t column = 0; column < width_; ++column) {
      widths[column] = std::max(widths[column], columns(rows_[row][column]));
      if (row > 0 && !is_numeric(rows_[row][column])) right[column] = false;
    }
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t column = 0; column < width_; ++column) {
      std::string pad(widths[column] - columns(row[column]), ' ');
      line += (column == 0 ? "" : "  ") + (right[column] ? pad + row[column] : row[column] + pad);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string image_list_text(const Json& answer) {
  Table table({"NAME", "VERSION", "SOURCE", "USED BY"});
  for (const Json& image : array_of(answer, "images")) {
    if (text_of(image, "state") == "damaged")
      table.add({text_of(image, "name"), "damaged", "-", "-"});
    for (const Json& version : array_of(image, "versions")) {
      table.add({text_of(image, "name"), text_of(version, "version"), text_of(version, "source"),
                 list_of(version, "used_by", "-")});
    }
  }
  if (table.empty()) return "no images yet; add one with 'rowan image add NAME SOURCE'\n";
  return table.text() + image_troubles(array_of(answer, "images"));
}

std::string image_text(const Json& image) {
  return sheet(
             {{"Name", text_of(image, "name")}, {"Used by", list_of(image, "used_by", "nobody")}}) +
         "\n" + version_table(image).text() + image_troubles(Json::array({image}));
}

namespace {

std::string receives_text(const Json& answer) {
  const Json& receives = array_of(answer, "receives");
  Table table({"HALF RECEIVED", "IMAGE", "SO FAR", "LAST"});
  for (const Json& entry : receives) {
    const bool sized = entry.contains("received_bytes") && entry["received_bytes"].is_number();
    table.add({text_of(entry, "name"), text_of(entry, "image"),
               sized ? size_of(entry, "received_bytes") : "-", text_of(entry, "touched")});
  }
  if (table.empty()) return "";
  return "\n" + table.text() +
         "give the same stream to 'rowan receive NAME' again to go on, or drop it with 'rowan "
         "receive NAME --abort'\n" + troubles(receives, "receive of");
}

}  // namespace

std::string appliance_list_text(const Json& answer) {
  Table table({"NAME", "STATE", "IMAGE", "VERSION", "ALLOW", "REDIRECTED", "QUOTA"});
  for (const Json& entry : array_of(answer, "appliances")) {
    bool damaged = text_of(entry, "state") == "damaged";
    table.add({text_of(entry, "name"), text_of(entry, "state"), text_of(entry, "image"),
               text_of(entry, "version"), damaged ? "-" : list_of(entry, "allow", "loopback"),
               damaged ? "-" : size_of(entry, "redirected_bytes"), quota_of(entry)});
  }
  if (table.empty())
    return "no appliances yet; make one with 'rowan create APPLIANCE --image NAME'\n" +
           receives_text(answer);
  return table.text() + troubles(array_of(answer, "appliances"), "appliance") +
         receives_text(answer);
}

std::string appliance_text(const Json& entry) {
  bool squash = entry.contains("root_squash") && entry["root_squash"] == true;
  std::string text = sheet({
      {"Name", text_of(entry, "name")},
      {"State", text_of(entry, "state")},
      {"Image", text_of(entry, "image") + "@" + text_of(entry, "version")},
      {"Mount as", "HOST:" + text_of(entry, "export")},
      {"Allowed", list_of(entry, "allow", "loopback only")},
      {"Clients", list_of(entry, "clients", "none known")},
      {"Durability", text_of(entry, "durability")},
      {"Root squash", squash ? "yes" : "no"},
      {"Quota", quota_of(entry)},
      {"Redirected", size_of(entry, "redirected_bytes") + " in " +
                         count_of(entry, "changed_objects") + " objects, " +
                         size_of(entry, "disk_bytes") + " on disk"},
      {"Served",
       size_of(entry, "bytes_served") + " read, " + size_of(entry, "bytes_written") + " written"},
      {"Checkpoints", schedule_of(entry)},
      {"Store", "stores/" + text_of(entry, "pool")},
      {"Identity", "id " + text_of(entry, "id") + ", fsid " + text_of(entry, "fsid")},
      {"Created", text_of(entry, "created")},
  });
  Table procedures(procedure_head());
  add_procedures(procedures, entry);
  if (!procedures.empty()) text += "\n" + procedures.text();
  return text + troubles(Json::array({entry}), "appliance");
}

std::string status_text(const Json& status) {
  Table images({"IMAGE", "VERSION", "SERVED", "FETCHED", "KNOWN", "SHARE", "HITS", "OBJECTS"});
  for (const Json& image : array_of(status, "images")) {
    for (const Json& version : array_of(image, "versions")) {
      images.add({text_of(image, "name"), text_of(version, "version"),
                  size_of(version, "bytes_served"), size_of(version, "bytes_fetched"),
                  size_of(version, "known_bytes"), ratio_of(version, "fetched_share"),
                  ratio_of(version, "hit_ratio"), count_of(version, "objects")});
    }
  }
  Table appliances(
      {"APPLIANCE", "STATE", "IMAGE", "CLIENTS", "READ", "WRITTEN", "REDIRECTED", "QUOTA"});
  Table procedures(procedure_head());
  for (const Json& entry : array_of(status, "appliances")) {
    appliances.add({text_of(entry, "name"), text_of(entry, "state"),
                    text_of(entry, "image") + "@" + text_of(entry, "version"),
                    std::to_string(array_of(entry, "clients").size()),
                    size_of(entry, "bytes_served"), size_of(entry, "bytes_written"),
                    size_of(entry, "redirected_bytes"), quota_of(entry)});
    add_procedures(procedures, entry);
  }
  std::string text = daemon_text(status);
  if (!images.empty()) text += "\n" + images.text();
  if (!appliances.empty()) text += "\n" + appliances.text();
  if (!procedures.empty()) text += "\n" + procedures.text();
  std::string warnings = image_troubles(array_of(status, "images")) +
                         troubles(array_of(status, "appliances"), "appliance");
  return warnings.empty() ? text : text + "\n" + warnings;
}

}  // namespace rowan::tools
