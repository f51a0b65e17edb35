// Leveled key=value lines to an injected sink. One event, one line: a level, a short event name,
// fields.
//   log(Level::warn, "source.drift", {{"image", name}, {"path", path}});
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace rowan {

enum class Level : std::uint8_t { debug, info, warn, error };

// A field's value, already as text. Converts from text and from integers.
struct LogField {
  std::string_view key;
  std::string value;
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  LogField(std::string_view k, std::integral auto v) : key(k), value(std::to_string(v)) {}
};

class LogSink {
 public:
  virtual ~LogSink() = default;
  // `line` has no newline and no control characters: values from peers are quoted and escaped
  // before.
  virtual void write(Level level, std::string_view line) = 0;
};

// The process-wide sink; null restores the default, which writes to standard error. Set it before
// threads start.
void set_log_sink(LogSink* sink);
void set_log_level(Level least);
void log(Level level, std::string_view event, std::initializer_list<LogField> fields = {});

// The text as a log value: bare when it is plain, else quoted with \xNN for everything unprintable.
std::string quote_for_log(std::string_view text);

}  // namespace rowan
