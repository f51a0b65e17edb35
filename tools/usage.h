// What the programs of this folder say of words on the command line that are off: one line on
// standard error, and exit status 2.
#pragma once

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>
#include <vector>

namespace rowan::tools {

// The command that was being parsed, for "try ... --help".
inline std::string words_so_far(const CLI::App& root) {
  std::string words = root.get_name();
  for (const CLI::App* app = &root; !app->get_subcommands().empty();) {
    app = app->get_subcommands().front();
    words += " " + app->get_name();
  }
  return words;
}

// The exit status: 0 if it was help or the version that was asked for.
inline int finish_usage(const CLI::App& root, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return root.exit(error);
  std::string why = error.what();
  // Of a word that is none of its commands or options the library says what else is missing.
  const std::vector<std::string> unknown = root.remaining(true);
  if (!unknown.empty() && why.find("is required") != std::string::npos) {
    const bool option = unknown.front().starts_with('-');
    const bool lacks_command = why.find("subcommand") != std::string::npos;
    if (option != lacks_command)
      why = (option ? "there is no option '" : "there is no command '") + unknown.front() + "'";
  }
  const std::string words = words_so_far(root), name = root.get_name();
  const std::string command = words == name ? "" : words.substr(name.size() + 1) + ": ";
  std::cerr << name << ": " << command << why << "; try '" << words << " --help'\n";
  return 2;
}

}  // namespace rowan::tools
