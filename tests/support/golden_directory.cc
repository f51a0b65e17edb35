#include "tests/support/golden_directory.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

#include "rpc/base/check.h"

namespace rowan::test {

using namespace cache;

namespace {

constexpr std::size_t line_bytes = 40;
constexpr std::size_t shortest_run = 12;   // of the same byte, worth a line of its own

std::size_t same_from(ByteView bytes, std::size_t at) {
  std::size_t end = at;
  while (end < bytes.size() && bytes[end] == bytes[at]) ++end;
  return end - at;
}

void put_hex(std::string& out, std::byte byte) {
  constexpr std::string_view digits = "0123456789abcdef";
  out += digits[std::to_integer<unsigned>(byte) >> 4];
  out += digits[std::to_integer<unsigned>(byte) & 15];
}

void put_bytes(std::string& out, ByteView bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t same = same_from(bytes, at);
    if (same >= shortest_run || (bytes[at] == std::byte{0} && at + same == bytes.size())) {
      if (bytes[at] != std::byte{0}) {
        out += std::to_string(at) + ' ' + std::to_string(same) + '*';
        put_hex(out, bytes[at]);
        out += '\n';
      }
      at += same;
      continue;
    }
    out += std::to_string(at) + ' ';
    for (std::size_t count = 0; count < line_bytes && at < bytes.size(); ++count) {
      if (same_from(bytes, at) >= shortest_run) break;
      put_hex(out, bytes[at++]);
    }
    out += '\n';
  }
}

std::optional<std::uint64_t> number(std::string_view text, int base = 10) {
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The bytes of the second word of a line.
std::optional<std::vector<std::byte>> bytes_of(std::string_view word) {
  std::vector<std::byte> bytes;
  const auto star = word.find('*');
  std::optional<std::uint64_t> times = 1;
  if (star != word.npos) {
    times = number(word.substr(0, star));
    word.remove_prefix(star + 1);
    if (word.size() != 2) return std::nullopt;
  }
  if (!times || word.empty() || word.size() % 2 != 0) return std::nullopt;
  for (std::size_t at = 0; at < word.size(); at += 2) {
    const auto value = number(word.substr(at, 2), 16);
    if (!value) return std::nullopt;
    bytes.insert(bytes.end(), *times, static_cast<std::byte>(*value));
  }
  return bytes;
}

class Loader {
 public:
  explicit Loader(Directory& directory) : directory_(directory) {}

  Result<void> line(const std::string& text) {
    if (text.empty() || text[0] == '#') return {};
    std::istringstream words(text);
    std::string first, second, third, fourth;
    words >> first >> second >> third >> fourth;
    if (first == "like") return from_golden(read_golden(second), directory_);
    if (first == "flip") {
      TRY_VOID(end_file());
      return flip(second, number(third), number(fourth));
    }
    if (first == "file") {
      TRY_VOID(end_file());
      const auto size = number(third);
      if (!size) return Error(Errc::invalid, "golden: " + text);
      size_ = *size;
      TRY(file_, directory_.open(second, OpenMode::create_new));
      return file_->truncate(size_);
    }
    const auto at = number(first);
    const auto bytes = bytes_of(second);
    if (!at || !bytes || !file_ || *at + bytes->size() > size_)
      return Error(Errc::invalid, "golden: " + text);
    empty_ = false;
    return file_->write_at(*at, *bytes);
  }

  Result<void> flip(const std::string& name, std::optional<std::uint64_t> at,
                    std::optional<std::uint64_t> bit) {
    if (!at || !bit || *bit > 7) return Error(Errc::invalid, "golden: flip of " + name);
    TRY(const auto file, directory_.open(name, OpenMode::write));
    std::byte byte{};
    TRY_VOID(file->read_at(*at, {&byte, 1}));
    byte ^= static_cast<std::byte>(1u << *bit);
    TRY_VOID(file->write_at(*at, {&byte, 1}));
    return file->sync();
  }

  Result<void> end_file() {
    if (!file_) return {};
    if (empty_ && size_ > 0) TRY_VOID(file_->allocate(size_));
    TRY_VOID(file_->sync());
    file_.reset();
    empty_ = true;
    return {};
  }

 private:
  Directory& directory_;
  std::unique_ptr<File> file_;
  std::uint64_t size_ = 0;
  bool empty_ = true;
};

}  // namespace

Result<std::string> to_golden(Directory& directory) {
  std::string out;
  TRY(const auto names, directory.list());
  for (const std::string& name : names) {
    TRY(const auto file, directory.open(name, OpenMode::read));
    TRY(const std::uint64_t size, file->size());
    std::vector<std::byte> bytes(size);
    TRY(const std::size_t got, file->read_at(0, bytes));
    if (got != size) return Error(Errc::io, name + " shrank");
    out += "file " + name + ' ' + std::to_string(size) + '\n';
    put_bytes(out, bytes);
  }
  return out;
}

Result<void> from_golden(std::string_view text, Directory& directory) {
  Loader loader(directory);
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) TRY_VOID(loader.line(line));
  TRY_VOID(loader.end_file());
  return directory.sync();
}

std::string read_golden(const std::string& name) {
  std::ifstream file(std::string(ROWAN_GOLDEN) + "/" + name);
  CHECK(file.good());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace rowan::test
