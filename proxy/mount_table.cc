#include "proxy/mount_table.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace rowan::proxy {
namespace {

constexpr std::string_view head = "rowan mounts 1\n";
constexpr std::string_view digits = "0123456789abcdef";

std::size_t size_of(const mount3::MountEntry& entry) {
  return entry.hostname.size() + entry.directory.size();
}

bool is_plain(char c) {
  auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f && c != '%';
}

void append_escaped(std::string& text, std::string_view path) {
  for (char c : path) {
    if (is_plain(c)) {
      text += c;
      continue;
    }
    auto byte = static_cast<unsigned char>(c);
    text += {'%', digits[byte >> 4], digits[byte & 15]};
  }
}

std::optional<std::string> unescape(std::string_view text) {
  std::string path;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      if (!is_plain(text[i])) return std::nullopt;
      path += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    std::size_t high = digits.find(text[i + 1]), low = digits.find(text[i + 2]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    path += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return path;
}

std::optional<mount3::MountEntry> parse_line(std::string_view line) {
  std::size_t space = line.find(' ');
  if (space == 0 || space == std::string_view::npos) return std::nullopt;
  std::optional<std::string> path = unescape(line.substr(space + 1));
  if (!path || path->empty() || path->size() > mount3::max_path_length) return std::nullopt;
  return mount3::MountEntry{std::string(line.substr(0, space)), std::move(*path)};
}

}  // namespace

void MountTable::add(mount3::MountEntry entry) {
  auto same = [&entry](const mount3::MountEntry& known) {
    return known.hostname == entry.hostname && known.directory == entry.directory;
  };
  auto known = std::find_if(entries_.begin(), entries_.end(), same);
  bool is_new = known == entries_.end();
  // Once more the newest; that alone is not worth writing down.
  if (!is_new) entries_.erase(known);
  if (is_new) bytes_ += size_of(entry);
  entries_.push_back(std::move(entry));
  trim();
  if (is_new && changed_) changed_();
}

void MountTable::trim() {
  while (entries_.size() > max_mount_entries || bytes_ > max_mount_bytes) {
    bytes_ -= size_of(entries_.front());
    entries_.pop_front();
  }
}

void MountTable::remove_if(const std::function<bool(const mount3::MountEntry&)>& meant) {
  bool any = false;
  auto leaves = [&](const mount3::MountEntry& entry) {
    if (!meant(entry)) return false;
    bytes_ -= size_of(entry);
    any = true;
    return true;
  };
  std::erase_if(entries_, leaves);
  if (any && changed_) changed_();
}

std::string MountTable::text() const {
  std::string text(head);
  for (const mount3::MountEntry& entry : entries_) {
    text += entry.hostname + " ";
    append_escaped(text, entry.directory);
    text += "\n";
  }
  return text;
}

void MountTable::read(std::string_view text) {
  entries_.clear();
  bytes_ = 0;
  if (!text.starts_with(head)) return;
  text.remove_prefix(head.size());
  while (!text.empty()) {
    std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return;  // cut short
    if (auto entry = parse_line(text.substr(0, end))) {
      bytes_ += size_of(*entry);
      entries_.push_back(std::move(*entry));
      trim();
    }
    text.remove_prefix(end + 1);
  }
}

}  // namespace rowan::proxy
