#include "tools/command_line.h"

#include <iostream>
#include <sstream>

#include "tests/support/catch.h"

namespace rowan::tools {
namespace {

std::variant<CommandLine, Finished> parse(std::vector<const char*> words,
                                          std::string* errors = nullptr) {
  words.insert(words.begin(), "rowan");
  std::ostringstream out, err;
  auto* old_out = std::cout.rdbuf(out.rdbuf());
  auto* old_err = std::cerr.rdbuf(err.rdbuf());
  auto result = parse_command_line(static_cast<int>(words.size()), words.data());
  std::cout.rdbuf(old_out);
  std::cerr.rdbuf(old_err);
  if (errors != nullptr) *errors = err.str();
  return result;
}
CommandLine parsed(std::vector<const char*> words) {
  std::string errors;
  auto result = parse(std::move(words), &errors);
  INFO(errors);
  REQUIRE(std::holds_alternative<CommandLine>(result));
  return std::get<CommandLine>(result);
}

TEST_CASE("--state and --json are taken before and after the command") {
  for (auto words : {std::vector<const char*>{"--state", "/s", "--json", "list"},
                     std::vector<const char*>{"list", "--state", "/s", "--json"},
                     std::vector<const char*>{"--json", "list", "--state=/s"}}) {
    CommandLine line = parsed(words);
    CHECK(line.command == Command::list);
    CHECK(line.state == "/s");
    CHECK(line.json);
  }
}

TEST_CASE("every word of create finds its place") {
  CommandLine line =
      parsed({"create", "vm1", "--image", "debian@2", "--allow", "10.0.0.0/8", "--allow", "::1",
              "--quota", "5G", "--durability", "async", "--root-squash"});
  CHECK(line.command == Command::create);
  CHECK(line.name == "create");
  CHECK(line.subject == "vm1");
  CHECK(line.image == "debian@2");
  CHECK(line.allow == std::vector<std::string>{"10.0.0.0/8", "::1"});
  CHECK(line.quota == "5G");
  CHECK(line.durability == "async");
  CHECK(line.root_squash);
  CHECK(parsed({"create", "vm1", "nfs://h/x"}).source == "nfs://h/x");
  CHECK(parsed({"create", "vm1", "--allow", "10.0.0.1", "nfs://h/x"}).source == "nfs://h/x");
}

TEST_CASE("the image commands are told apart") {
  CommandLine add = parsed({"image", "add", "debian", "/srv/debian", "--version", "12"});
  CHECK(add.command == Command::image_add);
  CHECK(add.name == "image add");
  CHECK(add.version == "12");
  CHECK(parsed({"image", "list"}).command == Command::image_list);
  CHECK(parsed({"image", "show", "debian"}).subject == "debian");
  CHECK(parsed({"image", "remove", "debian@1"}).command == Command::image_remove);
}

TEST_CASE("serve keeps what was given apart from what was not") {
  CHECK(parsed({"serve"}).settings.empty());
  CommandLine line = parsed(
      {"serve", "--listen", "0.0.0.0:1", "--listen", "[::]:2", "--rpcbind", "--config", "/c"});
  CHECK(line.settings.size() == 2);
  CHECK(line.settings["listen"] == std::vector<std::string>{"0.0.0.0:1", "[::]:2"});
  CHECK(line.settings["rpcbind"] == std::vector<std::string>{"true"});
  CHECK(line.config == "/c");
}

TEST_CASE("words that are off end with status 2 and a hint") {
  auto words = GENERATE(
      as<std::vector<const char*>>{}, std::vector<const char*>{}, std::vector<const char*>{"dance"},
      std::vector<const char*>{"image"}, std::vector<const char*>{"image", "dance"},
      std::vector<const char*>{"create"}, std::vector<const char*>{"create", "a", "b", "c"},
      std::vector<const char*>{"create", "vm", "/s", "--image", "x"},
      std::vector<const char*>{"list", "--frobnicate"}, std::vector<const char*>{"list", "extra"},
      std::vector<const char*>{"serve", "--cache-size"},
      std::vector<const char*>{"serve", "--json"},
      std::vector<const char*>{"serve", "--cache-size", "1G", "--cache-size", "2G"},
      std::vector<const char*>{"doctor", "--timeout", "0"},
      std::vector<const char*>{"doctor", "--timeout", "soon"}, std::vector<const char*>{"--state"});
  std::string errors;
  auto result = parse(words, &errors);
  INFO(errors);
  REQUIRE(std::holds_alternative<Finished>(result));
  CHECK(std::get<Finished>(result).exit_status == 2);
  CHECK(errors.starts_with("rowan: "));
  CHECK(errors.find("--help'") != std::string::npos);
}

TEST_CASE("help and version end with status 0") {
  for (auto words :
       {std::vector<const char*>{"--help"}, std::vector<const char*>{"--version"},
        std::vector<const char*>{"serve", "--help"}, std::vector<const char*>{"image", "--help"},
        std::vector<const char*>{"image", "add", "--help"},
        std::vector<const char*>{"create", "--help"},
        std::vector<const char*>{"doctor", "--help"}}) {
    auto result = parse(words);
    REQUIRE(std::holds_alternative<Finished>(result));
    CHECK(std::get<Finished>(result).exit_status == 0);
  }
}

}  // namespace
}  // namespace rowan::tools
