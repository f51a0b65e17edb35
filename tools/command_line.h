// The words of the command line. The door of CLI11 is command_line.cc.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace rowan::tools {

enum class Command : std::uint8_t {
  serve,
  image_add,
  image_list,
  image_show,
  image_remove,
  create,
  list,
  show,
  remove,
  check,
  checkpoint,
  log,
  rollback,
  clone,
  diff,
  cat,
  ls,
  restore,
  send,
  receive,
  status,
  doctor,
};

struct CommandLine {
  Command command = Command::status;
  std::string name;   // "create", "image add": for messages
  std::string state;  // --state; empty: the default place
  bool json = false;

  std::string subject;  // APPLIANCE, NAME[@V], or what doctor looks at
  std::string source, image, version;
  std::vector<std::string> allow;
  std::string checkpoint, message, every, keep;  // checkpoint
  std::string target;                            // clone's NEW, diff's second state
  std::string path, to;                          // diff --content, cat, ls, restore
  std::string since;                             // send
  bool abort = false, new_identity = false;      // receive
  std::string quota, durability = "sync";
  bool root_squash = false, force = false, offline = false, write = false;
  bool repair = false;                           // check
  bool stat = false;  // diff: totals only
  std::uint32_t timeout_seconds = 30;  // doctor, in all

  std::string config;                                        // serve --config
  std::map<std::string, std::vector<std::string>> settings;  // serve's flags that were given
};

// Nothing more to do: help was asked for (0), or the words are off (2). The text has been written.
struct Finished {
  int exit_status = 0;
};

std::variant<CommandLine, Finished> parse_command_line(int argc, const char* const* argv);

}  // namespace rowan::tools
