// The words of rowan-dump: which directory or file, and how to print it.
#include <cstdio>
#include <filesystem>

#include "cache/file_posix.h"
#include "cache/layout.h"
#include "tools/dump.h"
#include "tools/usage.h"

namespace rowan::tools {
namespace {

namespace fs = std::filesystem;

struct Words {
  std::string path;
  std::optional<std::uint64_t> state;
  bool json = false, all = false, brief = false;
};

int fail(const std::string& text) {
  std::fprintf(stderr, "rowan-dump: %s\n", text.c_str());
  return 1;
}

// A store that is in use changes while it is printed.
void warn_if_in_use(cache::Directory& directory) {
  auto names = directory.list();
  const bool has_lock = names && std::count(names->begin(), names->end(), cache::layout::lock) > 0;
  if (has_lock && directory.lock(cache::layout::lock).failed_with(Errc::busy))
    std::fputs("rowan-dump: in use: what is printed may be changing\n", stderr);
}

int run(const Words& words) {
  fs::path path(words.path);
  DumpOptions options;
  options.free_pages = words.all;
  options.records = !words.brief;
  if (words.state) options.state = cache::StateId{*words.state};
  std::error_code unreadable;
  if (fs::is_regular_file(path, unreadable)) {
    options.files = {path.filename().string()};
    path = path.has_parent_path() ? path.parent_path() : fs::path(".");
  }
  auto directory = cache::open_directory(path.string(), false);
  if (!directory) return fail(to_string(directory.error()));
  warn_if_in_use(**directory);
  auto print = [&](const DumpedItem& item) {
    const std::string line = words.json ? proxy::json_line(item_json(item)) : item_text(item);
    std::printf("%s\n", line.c_str());
  };
  auto damaged = dump_directory(**directory, options, print);
  if (!damaged) return fail(to_string(damaged.error()));
  if (*damaged > 0) return fail(std::to_string(*damaged) + " damaged places");
  return 0;
}

}  // namespace
}  // namespace rowan::tools

int main(int argc, char** argv) {
  rowan::tools::Words words;
  CLI::App app("Prints the files of a redirect store, a catalogue or the block cache",
               "rowan-dump");
  app.footer(
      "Examples:\n"
      "  rowan-dump /var/lib/rowan/stores/0b21c7290e6717d4\n"
      "  rowan-dump --json /var/lib/rowan/stores/0b21c7290e6717d4/tree | jq .\n"
      "  rowan-dump --brief --state 7 /var/lib/rowan/stores/0b21c7290e6717d4\n"
      "\n"
      "Changes nothing. Exit status: 0 all whole, 1 damage or failure, 2 usage.");
  app.add_option("PATH", words.path, "A store's directory, or one file of it")->required();
  app.add_option("--state", words.state, "Only this state's tree and batches")->type_name("NUMBER");
  app.add_flag("--json", words.json, "Print a JSON object a line");
  app.add_flag("--all", words.all, "Also pages of the tree that are free");
  app.add_flag("--brief", words.brief, "Without records");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return rowan::tools::finish_usage(app, error);
  }
  return rowan::tools::run(words);
}
