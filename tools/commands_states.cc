// diff, cat, ls, restore: what states of appliances hold.
#include <algorithm>
#include <cstdio>

#include "proxy/checkpoint_label.h"
#include "proxy/size_text.h"
#include "tools/admin_session.h"
#include "tools/commands.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/text_diff.h"

namespace rowan::tools {
namespace {

using proxy::HttpReply;
using proxy::HttpRequest;
using proxy::Json;
using proxy::StateName;

// Two of them and their lines are in memory.
constexpr std::uint64_t largest_text = 32u << 20;

std::string encoded(std::string_view text) {
  static constexpr std::string_view plain = "/._~-";
  std::string result;
  for (char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter || plain.find(c) != std::string_view::npos) {
      result += c;
      continue;
    }
    char escape[4];
    std::snprintf(escape, sizeof escape, "%%%02X", static_cast<unsigned char>(c));
    result += escape;
  }
  return result;
}

HttpRequest get(const std::string& state, const std::string& action, const std::string& path,
                const std::string& more = "") {
  return {"GET", "/v1/appliances/" + state + "/" + action + "?path=" + encoded(path) + more, ""};
}

std::string count_of(std::uint64_t count, const std::string& one, const std::string& many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

// ---- diff

struct Compared {
  std::string after;
  std::string before;  // empty: the image
};

Result<Compared> states_to_compare(const CommandLine& line) {
  TRY(const StateName first, proxy::parse_state_name(line.subject));
  if (line.target.empty()) return Compared{line.subject, ""};
  std::string second = line.target;
  if (second.starts_with('@')) second = first.appliance + second;
  Result<StateName> name = proxy::parse_state_name(second);
  if (!name) return std::move(name).error();
  return Compared{second, line.subject};
}

std::vector<std::string> appliances_of(const Compared& compared) {
  std::vector<std::string> names;
  for (const std::string& state : {compared.after, compared.before}) {
    const std::string name = state.substr(0, state.find('@'));
    if (!name.empty() && std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return names;
}

std::string diff_progress(const Json& answer) {
  const std::uint64_t all = number(answer, "to_look_at");
  const std::string records = std::to_string(number(answer, "records"));
  if (all == 0) return "comparing: " + records + " records differ";
  const std::uint64_t done = std::min(number(answer, "looked_at"), all);
  return "looking at files: " + std::to_string(done * 100 / all) + " % of " + std::to_string(all);
}

std::string pair_text(const Json& line, const char* key) {
  const Json& pair = line[key];
  auto text = [](const Json& value) {
    return value.is_string() ? shown(value.get_ref<const std::string&>()) : value.dump();
  };
  return text(pair[0]) + " -> " + text(pair[1]);
}

std::string change_text(const Json& line) {
  static constexpr std::pair<std::string_view, char> letters[] = {
      {"added", '+'}, {"removed", '-'}, {"renamed", 'R'}, {"linked", 'L'}, {"modified", 'M'}};
  const std::string what = member(line, "change"), kind = member(line, "kind");
  const std::string slash = kind == "directory" ? "/" : "";
  std::string text = "? ";
  for (const auto& [word, letter] : letters) {
    if (what == word) text[0] = letter;
  }
  if (what == "renamed") text += shown(member(line, "old_path")) + slash + " -> ";
  text += shown(member(line, "path")) + slash;
  if (what == "linked" && line.contains("old_path"))
    text += " = " + shown(member(line, "old_path"));
  if (line.contains("target") && line["target"].is_string())
    text += " -> " + shown(member(line, "target"));
  std::string more;
  auto add = [&more](const std::string& next) { more += (more.empty() ? "" : ", ") + next; };
  if (line.contains("content_bytes"))
    add("content " + proxy::size_text(number(line, "content_bytes")));
  for (const char* key : {"mode", "owner"}) {
    if (line.contains(key)) add(key + (" " + pair_text(line, key)));
  }
  if (line.contains("target") && line["target"].is_array())
    add("target " + pair_text(line, "target"));
  return text + (more.empty() ? "" : "  (" + more + ")") + "\n";
}

std::string totals_text(const Json& answer) {
  const Json& totals = answer["totals"];
  std::string text = member(answer, "before") + " -> " + member(answer, "after") + ": ";
  for (const char* key : {"added", "removed", "renamed", "linked", "modified"})
    text += std::to_string(number(totals, key)) + " " + key + (key[0] == 'm' ? "" : ", ");
  text += "\n" + proxy::size_text(number(totals, "added_bytes")) + " in added files, " +
          proxy::size_text(number(totals, "content_bytes")) + " of " +
          count_of(number(totals, "content_changed"), "other file", "other files") + " changed\n";
  return text;
}

// The lines as they come: a million need no memory here.
Result<void> print_lines(AdminSession& session, const CommandLine& line, std::uint64_t id) {
  const std::string target = "/v1/work/" + std::to_string(id) + "/lines?from=";
  std::uint64_t from = 0;
  bool first = true;
  do {
    TRY(Json page, session.ask_json({"GET", target + std::to_string(from), ""}));
    for (const Json& entry : page["lines"]) {
      if (line.json) print((first ? "\n    " : ",\n    ") + proxy::json_line(entry));
      else print(change_text(entry));
      first = false;
    }
    from = number(page, "next");
  } while (from != 0);
  return {};
}

Result<void> print_diff(AdminSession& session, const CommandLine& line,
                        const FinishedWork& work) {
  const Json& answer = work.answer;
  if (line.json) {
    print("{\n  \"before\": " + answer["before"].dump() + ",\n  \"after\": " +
          answer["after"].dump() + ",\n  \"totals\": " + proxy::json_line(answer["totals"]));
    if (answer.contains("note")) print(",\n  \"note\": " + proxy::json_line(answer["note"]));
    if (!line.stat) print(",\n  \"changes\": [");
  }
  if (!line.stat) TRY_VOID(print_lines(session, line, work.id));
  if (line.json) print(line.stat ? "\n}\n" : "\n  ]\n}\n");
  if (!line.json && line.stat) print(totals_text(answer));
  if (!line.json && answer.contains("note"))
    std::fprintf(stderr, "rowan: diff: %s\n", member(answer, "note").c_str());
  return {};
}

Result<void> diff_states(AdminSession& session, const CommandLine& line,
                         const Compared& compared) {
  Json body = Json::object();
  if (!compared.before.empty()) body["before"] = compared.before;
  const HttpRequest begin{"POST", "/v1/appliances/" + compared.after + "/diff",
                          proxy::json_line(body)};
  TRY(const FinishedWork work, finish_work(session, line, begin, diff_progress));
  TRY_VOID(print_diff(session, line, work));
  forget_work(session, work);
  return {};
}

// ---- content

// The bytes of a file from `offset` on; empty: its end.
Result<std::string> piece(AdminSession& session, const std::string& state, const std::string& path,
                          std::uint64_t offset, const std::string& more = "") {
  TRY(HttpReply reply,
      session.ask(get(state, "content", path, "&offset=" + std::to_string(offset) + more)));
  if (reply.status == 404) return Error(Errc::not_found, error_of(reply).detail);
  if (reply.status != 200) return error_of(reply);
  return std::move(reply.body);
}

Result<std::string> whole(AdminSession& session, const std::string& state, const std::string& path,
                          bool image) {
  std::string text;
  while (true) {
    TRY(std::string part, piece(session, state, path, text.size(), image ? "&image=true" : ""));
    if (part.empty()) return text;
    text += part;
    if (text.size() > largest_text) {
      return Error(Errc::too_big, path + " is larger than " + proxy::size_text(largest_text) +
                                      "; read both with 'rowan cat' and compare them yourself");
    }
  }
}

// A file that is not there on one side is an empty one, as for `diff -N`.
Result<void> diff_content(AdminSession& session, const CommandLine& line,
                          const Compared& compared) {
  const bool image = compared.before.empty();
  const std::string before_state = image ? compared.after : compared.before;
  Result<std::string> before = whole(session, before_state, line.path, image);
  Result<std::string> after = whole(session, compared.after, line.path, false);
  const bool no_before = before.failed_with(Errc::not_found);
  const bool no_after = after.failed_with(Errc::not_found);
  if (!before && (!no_before || no_after)) return std::move(before).error();
  if (!after && !no_after) return std::move(after).error();
  const std::string path = line.path.starts_with('/') ? line.path : "/" + line.path;
  DiffHead head{no_before ? "/dev/null" : path + "\t" + (image ? "image of " : "") + before_state,
                no_after ? "/dev/null" : path + "\t" + compared.after};
  const std::string old_text = before ? *before : "", new_text = after ? *after : "";
  const bool binary = looks_binary(old_text) || looks_binary(new_text);
  std::string text;
  if (!binary) text = unified_diff(old_text, new_text, head);
  else if (old_text != new_text) text = "Binary files " + path + " differ\n";
  if (!line.json) {
    print(text);
    return {};
  }
  Json answer;
  answer["path"] = path;
  answer["same"] = old_text == new_text;
  answer["binary"] = binary;
  answer["diff"] = binary ? "" : text;
  print(proxy::json_pretty(answer) + "\n");
  return {};
}

// ---- cat, ls

Result<void> cat(AdminSession& session, const CommandLine& line) {
  if (line.json) return Error(Errc::usage, "cat prints the bytes of a file; there is no --json");
  std::uint64_t offset = 0;
  while (true) {
    TRY(std::string part, piece(session, line.subject, line.path, offset));
    if (part.empty()) break;
    if (std::fwrite(part.data(), 1, part.size(), stdout) != part.size())
      return Error(Errc::io, "cannot write to standard output");
    offset += part.size();
  }
  if (std::fflush(stdout) != 0) return Error(Errc::io, "cannot write to standard output");
  return {};
}

std::string mode_letters(const Json& entry) {
  static constexpr std::pair<std::string_view, char> kinds[] = {
      {"directory", 'd'}, {"symlink", 'l'}, {"block", 'b'},
      {"character", 'c'}, {"socket", 's'},  {"fifo", 'p'}};
  const std::string kind = member(entry, "kind"), octal = member(entry, "mode");
  const auto mode = static_cast<unsigned>(std::strtoul(octal.c_str(), nullptr, 8));
  std::string text = "-rwxrwxrwx";
  for (const auto& [word, letter] : kinds) {
    if (kind == word) text[0] = letter;
  }
  for (unsigned bit = 0; bit < 9; ++bit) {
    if ((mode >> (8 - bit) & 1) == 0) text[bit + 1] = '-';
  }
  auto special = [&](unsigned flag, std::size_t at, char with, char without) {
    if ((mode & flag) != 0) text[at] = text[at] == 'x' ? with : without;
  };
  special(04000, 3, 's', 'S');
  special(02000, 6, 's', 'S');
  special(01000, 9, 't', 'T');
  return text;
}

void add_row(Table& table, const Json& entry, const std::string& name) {
  std::string last = shown(name);
  if (entry.contains("target")) last += " -> " + shown(member(entry, "target"));
  const std::string size = entry.contains("device") ? member(entry, "device")
                                                    : std::to_string(number(entry, "size"));
  table.add({mode_letters(entry), std::to_string(number(entry, "links")),
             std::to_string(number(entry, "uid")), std::to_string(number(entry, "gid")), size,
             member(entry, "mtime"), last});
}

Result<Json> listed(AdminSession& session, const CommandLine& line) {
  TRY(Json about, session.ask_json(get(line.subject, "stat", line.path)));
  if (member(about, "kind") == "symlink") {
    // What it leads to, if that is a directory.
    Result<Json> followed = session.ask_json(get(line.subject, "stat", line.path, "&follow=true"));
    if (followed && member(*followed, "kind") == "directory") about = std::move(*followed);
  }
  if (member(about, "kind") != "directory") return about;
  std::vector<Json> entries;
  std::uint64_t after = 0;
  do {
    TRY(Json page, session.ask_json(get(line.subject, "list", line.path,
                                        "&after=" + std::to_string(after))));
    for (Json& entry : page["entries"]) entries.push_back(std::move(entry));
    after = number(page, "next");
  } while (after != 0);
  std::ranges::sort(entries, {}, [](const Json& entry) { return member(entry, "name"); });
  about["entries"] = std::move(entries);
  return about;
}

Result<void> ls(AdminSession& session, const CommandLine& line) {
  TRY(const Json about, listed(session, line));
  if (line.json) {
    print(proxy::json_pretty(about) + "\n");
    return {};
  }
  Table table({"MODE", "LINKS", "UID", "GID", "SIZE", "MODIFIED", "NAME"});
  if (!about.contains("entries")) add_row(table, about, member(about, "path"));
  else
    for (const Json& entry : about["entries"]) add_row(table, entry, member(entry, "name"));
  print(table.text());
  return {};
}

// ---- restore

std::string restore_progress(const Json& answer) {
  return "restored " + count_of(number(answer, "files"), "file", "files") + ", " +
         proxy::size_text(number(answer, "bytes"));
}

Result<void> restore(AdminSession& session, const CommandLine& line) {
  Json body;
  body["path"] = encoded(line.path);
  if (!line.to.empty()) body["to"] = encoded(line.to);
  body["force"] = line.force;
  const HttpRequest begin{"POST", "/v1/appliances/" + line.subject + "/restore",
                          proxy::json_line(body)};
  TRY(const FinishedWork work, finish_work(session, line, begin, restore_progress));
  forget_work(session, work);
  Json answer = work.answer;
  answer.erase("done");
  answer.erase("kind");
  if (line.json) {
    print(proxy::json_pretty(answer) + "\n");
    return {};
  }
  std::string text = shown(member(answer, "path")) + " restored from " + member(answer, "from") +
                     ": " + count_of(number(answer, "files"), "file", "files");
  static constexpr std::pair<const char*, const char*> others[] = {
      {"directories", "directories"}, {"symlinks", "symbolic links"}, {"links", "hard links"},
      {"others", "others"}};
  for (const auto& [key, word] : others) {
    if (number(answer, key) > 0) text += ", " + std::to_string(number(answer, key)) + " " + word;
  }
  print(text + ", " + proxy::size_text(number(answer, "bytes")) + "\n");
  return {};
}

Result<void> run(const CommandLine& line) {
  Compared compared;
  if (line.command == Command::diff) {
    TRY(compared, states_to_compare(line));
  } else {
    Result<StateName> name = proxy::parse_state_name(line.subject);
    if (!name) return std::move(name).error();
    compared.after = line.subject;
  }
  AdminSession session(line, appliances_of(compared));
  switch (line.command) {
    case Command::cat:
      return cat(session, line);
    case Command::ls:
      return ls(session, line);
    case Command::restore:
      return restore(session, line);
    default:
      return line.path.empty() ? diff_states(session, line, compared)
                               : diff_content(session, line, compared);
  }
}

}  // namespace

int run_states_command(const CommandLine& line) {
  Result<void> done = run(line);
  return done ? 0 : report(line, done.error());
}

}  // namespace rowan::tools
