#include "rpc/base/log.h"

#include <atomic>
#include <cstdio>

namespace rowan {
namespace {

std::atomic<LogSink*> current_sink{nullptr};
std::atomic<Level> least_level{Level::info};

std::string_view level_name(Level level) {
  switch (level) {
    case Level::debug: return "debug";
    case Level::info: return "info";
    case Level::warn: return "warn";
    case Level::error: return "error";
  }
  return "error";
}

bool is_plain(char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '='; }

}  // namespace

void set_log_sink(LogSink* sink) { current_sink.store(sink); }
void set_log_level(Level least) { least_level.store(least); }

std::string quote_for_log(std::string_view text) {
  bool plain = !text.empty();
  for (char c : text) plain = plain && is_plain(c);
  if (plain) return std::string(text);
  static constexpr char hex[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += "\\x";
      out += hex[byte >> 4];
      out += hex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

void log(Level level, std::string_view event, std::initializer_list<LogField> fields) {
  if (level < least_level.load(std::memory_order_relaxed)) return;
  std::string line = "level=";
  line += level_name(level);
  line += " event=";
  line += event;
  for (const LogField& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    line += quote_for_log(field.value);
  }
  if (LogSink* sink = current_sink.load()) {
    sink->write(level, line);
    return;
  }
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace rowan
