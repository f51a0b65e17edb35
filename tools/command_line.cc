#include "tools/command_line.h"


#include "proxy/config.h"
#include "tools/usage.h"

namespace rowan::tools {
namespace {

constexpr const char* overview =
    "Examples:\n"
    "  rowan image add debian 'nfs://images.example.net/debian-12'\n"
    "  rowan create vm1 --image debian --allow 10.0.0.0/24\n"
    "  rowan serve --listen 0.0.0.0:2049\n"
    "  rowan status\n"
    "\n"
    "'rowan COMMAND --help' explains a command. Exit status: 0 done, 1 failed, 2 usage.";

// What the parser fills in, and which of serve's options it has seen.
struct Parse {
  CommandLine line;
  std::map<std::string, std::vector<std::string>> lists;
  std::map<std::string, bool> flags;
};

// A variable that is not set must not mean the default place.
std::string not_empty(const std::string& given) {
  return given.empty() ? "the name of a directory is expected" : "";
}

CLI::App* add_command(CLI::App& parent, Parse& parse, Command command, const std::string& name,
                      const std::string& help, const std::string& examples) {
  CLI::App* app = parent.add_subcommand(name, help);
  app->footer("Examples:\n" + examples);
  std::string full = parent.get_name() == "image" ? "image " + name : name;
  app->callback([&parse, command, full] {
    parse.line.command = command;
    parse.line.name = full;
  });
  app->add_option("--state", parse.line.state,
                  "Directory that holds all state (default: /var/lib/rowan for root, else "
                  "$XDG_STATE_HOME/rowan or ~/.local/state/rowan)")
      ->type_name("DIR")
      ->check(not_empty);
  if (command != Command::serve) app->add_flag("--json", parse.line.json, "Print JSON");
  return app;
}

void add_serve(CLI::App& root, Parse& parse) {
  CLI::App* serve =
      add_command(root, parse, Command::serve, "serve", "Run the proxy in the foreground",
                  "  rowan serve\n"
                  "  rowan serve --listen 0.0.0.0:2049 --listen '[::]:2049' --cache-size 50G\n"
                  "  rowan serve --config /etc/rowan.toml\n"
                  "\n"
                  "The file holds the same names: listen = ['0.0.0.0:2049'], cache-size = '50G'.");
  serve->add_option("--config", parse.line.config, "Settings in TOML; flags win over it")
      ->type_name("FILE");
  for (const proxy::Option& option : proxy::serve_options()) {
    std::string name(option.name), flag = "--" + name;
    std::string help =
        std::string(option.help) + " (default: " + std::string(option.default_text) + ")";
    if (option.kind == proxy::OptionKind::flag) {
      serve->add_flag(flag, parse.flags[name], help);
      continue;
    }
    CLI::Option* added = serve->add_option(flag, parse.lists[name], help);
    added->type_name(std::string(option.value_name))->allow_extra_args(false);
    added->expected(1);
    added->multi_option_policy(option.kind == proxy::OptionKind::list
                                   ? CLI::MultiOptionPolicy::TakeAll
                                   : CLI::MultiOptionPolicy::Throw);
  }
}

void add_image_commands(CLI::App& root, Parse& parse) {
  CLI::App* image = root.add_subcommand("image", "Add, list, show and remove images");
  image->require_subcommand(1);
  CommandLine& line = parse.line;
  CLI::App* add = add_command(
      *image, parse, Command::image_add, "add", "Add an image, or a version of one",
      "  rowan image add debian 'nfs://10.0.0.1/images/debian-12'\n"
      "  rowan image add debian 'nfs://10.0.0.1/d13?nfsport=2049&mountport=2049' --version 13\n"
      "  rowan image add local /srv/images/debian\n"
      "\n"
      "A version never changes: what is behind SOURCE must stay as it is.");
  add->add_option("NAME", line.subject, "Name of the image")->required();
  add->add_option("SOURCE", line.source, "nfs://HOST/EXPORT[?nfsport=N&mountport=N] or a directory")
      ->required();
  add->add_option("--version", line.version, "Label of the version (default: counted up from 1)")
      ->type_name("LABEL");
  add_command(*image, parse, Command::image_list, "list", "List the images",
              "  rowan image list --json");
  CLI::App* show = add_command(*image, parse, Command::image_show, "show",
                               "Show one image and its versions", "  rowan image show debian");
  show->add_option("NAME", line.subject, "Name of the image")->required();
  CLI::App* remove = add_command(*image, parse, Command::image_remove, "remove",
                                 "Remove an image, or one version of it, that no appliance uses",
                                 "  rowan image remove debian\n  rowan image remove debian@1");
  remove->add_option("NAME", line.subject, "NAME or NAME@VERSION")->required();
}

void add_appliance_commands(CLI::App& root, Parse& parse) {
  CommandLine& line = parse.line;
  CLI::App* create = add_command(
      root, parse, Command::create, "create", "Make an appliance: what one client mounts",
      "  rowan create vm1 --image debian --allow 10.0.0.7\n"
      "  rowan create vm2 --image debian@2 --quota 20G\n"
      "  rowan create vm3 /srv/images/debian --durability async\n"
      "\n"
      "Clients mount HOST:/APPLIANCE. Without --allow only this machine may.");
  create->add_option("APPLIANCE", line.subject, "Name of the appliance")->required();
  auto* source = create->add_option(
      "SOURCE", line.source,
      "A source, instead of --image: the image is added under the source's last name");
  auto* image =
      create
          ->add_option("--image", line.image,
                       "The image, and its version if not the newest; or a SOURCE (./DIR, /DIR or "
                       "nfs://HOST/EXPORT)")
          ->type_name("NAME[@V]|SOURCE");
  source->excludes(image);
  create
      ->add_option("--allow", line.allow,
                   "Network that may mount it; repeatable (default: loopback only)")
      ->type_name("CIDR")
      ->allow_extra_args(false)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  create->add_option("--quota", line.quota, "Limit of redirected bytes (default: none)")
      ->type_name("SIZE");
  create
      ->add_option("--durability", line.durability,
                   "sync: stable replies survive power loss; async: replies before the disk has "
                   "them, a crash undoes the last seconds, for throw-away nodes (default: sync)")
      ->type_name("sync|async");
  create->add_flag("--root-squash", line.root_squash, "Treat uid and gid 0 of clients as nobody");
  add_command(root, parse, Command::list, "list", "List the appliances", "  rowan list");
  CLI::App* show = add_command(root, parse, Command::show, "show", "Show one appliance",
                               "  rowan show vm1 --json");
  show->add_option("APPLIANCE", line.subject, "Name of the appliance")->required();
  CLI::App* remove =
      add_command(root, parse, Command::remove, "remove",
                  "Remove an appliance and everything it has changed, or one of its checkpoints",
                  "  rowan remove vm1\n  rowan remove vm1@before-upgrade\n"
                  "\n"
                  "Clones stay as they are. Space comes back in the background.");
  remove->add_option("APPLIANCE", line.subject, "APPLIANCE or APPLIANCE@CHECKPOINT")->required();
  remove->add_flag("--force", line.force, "Also while clients have it mounted");
  CLI::App* check =
      add_command(root, parse, Command::check, "check",
                  "Verify the redirect stores of appliances, all their checkpoints included",
                  "  rowan check\n  rowan check vm1 --offline\n"
                  "\n"
                  "All that clients can read is compared with its checksums while they go on. With "
                  "--offline they wait, and the store's books on its own space are checked too.");
  check->add_option("APPLIANCE", line.subject, "Only this one (default: all)");
  check->add_flag("--offline", line.offline, "Let the clients of served ones wait for the check");
  check->add_flag("--repair", line.repair,
                  "Make a damaged store one that opens, and list what is lost; clients wait");
}

void add_checkpoint(CLI::App& root, Parse& parse) {
  CommandLine& line = parse.line;
  CLI::App* checkpoint = add_command(
      root, parse, Command::checkpoint, "checkpoint", "Freeze an appliance's state, while it runs",
      "  rowan checkpoint vm1 before-upgrade --message 'kernel 6.1.0-30'\n"
      "  rowan checkpoint vm1 --every 1h --keep 24h,7d,4w\n"
      "  rowan checkpoint vm1 --every off\n"
      "\n"
      "--keep: the newest of each of the last 24 hours, 7 days and 4 weeks that have one (h, d, w, "
      "m for months, y), or so many of the newest; only scheduled ones are ever thinned.");
  checkpoint->add_option("APPLIANCE", line.subject, "Name of the appliance")->required();
  checkpoint->add_option("NAME", line.checkpoint, "Its name (default: the time, UTC)");
  checkpoint->add_option("--message", line.message, "What to remember it by")->type_name("TEXT");
  checkpoint
      ->add_option("--every", line.every, "Make them by itself from now on: 30m, 1h, 1d; or off")
      ->type_name("DURATION");
  checkpoint->add_option("--keep", line.keep, "Which scheduled ones stay (default: all)")
      ->type_name("RULE");
}

void add_version_commands(CLI::App& root, Parse& parse) {
  CommandLine& line = parse.line;
  add_checkpoint(root, parse);
  CLI::App* log = add_command(root, parse, Command::log, "log",
                              "Show an appliance's checkpoints as a tree", "  rowan log vm1");
  log->add_option("APPLIANCE", line.subject, "Name of the appliance")->required();
  CLI::App* rollback = add_command(
      root, parse, Command::rollback, "rollback", "Go back to a checkpoint",
      "  rowan rollback vm1@before-upgrade\n"
      "\n"
      "What the appliance was until now is kept as a checkpoint. Clients that have it mounted "
      "would see files change under them: --force.");
  rollback->add_option("STATE", line.subject, "APPLIANCE@CHECKPOINT")->required();
  rollback->add_flag("--force", line.force, "Also while clients have it mounted");
  CLI::App* clone = add_command(
      root, parse, Command::clone, "clone", "Make an appliance that begins as another is, or was",
      "  rowan clone vm1 vm2\n  rowan clone vm1@golden vm3\n"
      "\n"
      "Nothing is copied; both go on by themselves, and removing one never harms the other.");
  clone->add_option("STATE", line.subject, "APPLIANCE or APPLIANCE@CHECKPOINT")->required();
  clone->add_option("NEW", line.target, "Name of the new appliance")->required();
}

void add_diff(CLI::App& root, Parse& parse) {
  CommandLine& line = parse.line;
  CLI::App* diff = add_command(
      root, parse, Command::diff, "diff", "Show what changed between two states of an appliance",
      "  rowan diff vm1                      what it has changed of its image\n"
      "  rowan diff vm1@monday vm1           since then\n"
      "  rowan diff vm1@monday @tuesday --stat\n"
      "  rowan diff vm1@golden vm2           of a clone\n"
      "  rowan diff vm1@monday vm1 --content /etc/fstab\n"
      "\n"
      "+ added, - removed, R renamed, L one more name of a file, M modified. Times are not "
      "compared.");
  diff->add_option("STATE", line.subject, "APPLIANCE or APPLIANCE@CHECKPOINT; alone: the newer of "
                                          "the two, the image is the older")
      ->required();
  diff->add_option("NEWER", line.target, "APPLIANCE, APPLIANCE@CHECKPOINT or @CHECKPOINT");
  CLI::Option* stat = diff->add_flag("--stat", line.stat, "Only how much changed");
  diff->add_option("--content", line.path, "Compare one text file line by line, up to 32 MiB")
      ->type_name("PATH")
      ->excludes(stat);
}

void add_file_commands(CLI::App& root, Parse& parse) {
  CommandLine& line = parse.line;
  add_diff(root, parse);
  constexpr const char* state = "APPLIANCE@CHECKPOINT, or APPLIANCE as it is now";
  CLI::App* cat = add_command(root, parse, Command::cat, "cat", "Print a file of a state",
                              "  rowan cat vm1@monday /etc/fstab");
  cat->add_option("STATE", line.subject, state)->required();
  cat->add_option("PATH", line.path, "File; symbolic links lead within the state")->required();
  CLI::App* ls = add_command(root, parse, Command::ls, "ls", "List a directory of a state",
                             "  rowan ls vm1@monday /etc");
  ls->add_option("STATE", line.subject, state)->required();
  ls->add_option("PATH", line.path, "Directory or file (default: /)");
  CLI::App* restore = add_command(
      root, parse, Command::restore, "restore",
      "Put a file or a directory of a checkpoint back into the running appliance",
      "  rowan restore vm1@monday /etc/fstab\n"
      "  rowan restore vm1@monday /home/eve --to /home/eve.monday\n"
      "\n"
      "Each file is replaced at once, when it is complete. What a directory has now and had not "
      "then, stays.");
  restore->add_option("STATE", line.subject, "APPLIANCE@CHECKPOINT")->required();
  restore->add_option("PATH", line.path, "File or directory")->required();
  restore->add_option("--to", line.to, "Put it there instead (default: PATH)")->type_name("PATH");
  restore->add_flag("--force", line.force,
                    "Also where a file replaces a directory, or a directory a file");
}

void add_transfer_commands(CLI::App& root, Parse& parse) {
  CommandLine& line = parse.line;
  CLI::App* send = add_command(
      root, parse, Command::send, "send", "Write an appliance as a stream, for another host",
      "  rowan send vm1 | ssh host2 rowan receive vm1\n"
      "  rowan send vm1@monday > monday.rowan\n"
      "  rowan send vm1 --since monday | ssh host2 rowan receive vm1\n"
      "\n"
      "A running appliance goes on meanwhile; a checkpoint of it is made and kept, and the next "
      "increment begins there. With --since only what is different in the one checkpoint from the "
      "other travels; those in between do not. The stream is as secret as the store: it holds the "
      "data and the key of the handles.");
  send->add_option("STATE", line.subject, "APPLIANCE or APPLIANCE@CHECKPOINT")->required();
  send->add_option("--since", line.since, "Checkpoint that the receiver has already")
      ->type_name("CHECKPOINT");
  CLI::App* receive = add_command(
      root, parse, Command::receive, "receive",
      "Make an appliance from a stream, or bring it up to date",
      "  rowan receive vm1 < monday.rowan\n"
      "  rowan receive vm1 --abort\n"
      "\n"
      "It has the same objects, handles and keys as at the sender's, so a client that is led here "
      "goes on without a new mount. What arrived of a stream that was cut is kept for a week; the "
      "same stream goes on from there.");
  receive->add_option("NEW", line.subject, "Name of the appliance")->required();
  receive->add_option("--image", line.image,
                      "The image here, if it has another name than at the sender's")
      ->type_name("NAME[@V]");
  receive->add_flag("--new-identity", line.new_identity,
                    "Another appliance: handles of the sent one do not work");
  receive->add_flag("--force", line.force,
                    "Put aside, as a checkpoint, what the appliance has changed since the base; "
                    "also while clients have it mounted");
  receive->add_flag("--abort", line.abort, "Drop what is half received");
}

void add_view_commands(CLI::App& root, Parse& parse) {
  CommandLine& line = parse.line;
  add_command(root, parse, Command::status, "status", "Show what the daemon does",
              "  rowan status\n  rowan status --json");
  CLI::App* doctor = add_command(
      root, parse, Command::doctor, "doctor", "Look at a proxy or an image server from outside",
      "  rowan doctor\n"
      "  rowan doctor 10.0.0.5:2049:/vm1\n"
      "  rowan doctor 'nfs://10.0.0.1/images/debian?nfsport=2049&mountport=2049'");
  doctor->add_option(
      "TARGET", line.subject,
      "HOST[:PORT]:/APPLIANCE or nfs://HOST/EXPORT (default: this machine, port 2049)");
  doctor->add_flag("--write", line.write, "Also write, read back and remove a temporary file");
  doctor
      ->add_option("--timeout", line.timeout_seconds,
                   "Give up after so many seconds in all (default: 30)")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 3600));
}

void collect_settings(Parse& parse) {
  for (auto& [name, values] : parse.lists) {
    if (!values.empty()) parse.line.settings[name] = values;
  }
  for (auto& [name, given] : parse.flags) {
    if (given) parse.line.settings[name] = {"true"};
  }
}

}  // namespace

std::variant<CommandLine, Finished> parse_command_line(int argc, const char* const* argv) {
  Parse parse;
  CLI::App root("Rowan: a redirect-on-write NFSv3 proxy", "rowan");
  root.footer(overview);
  root.require_subcommand(1);
  root.set_version_flag("--version", ROWAN_VERSION);
  root.add_option("--state", parse.line.state, "Directory that holds all state")
      ->type_name("DIR")
      ->check(not_empty);
  root.add_flag("--json", parse.line.json, "Print JSON");
  add_serve(root, parse);
  add_image_commands(root, parse);
  add_appliance_commands(root, parse);
  add_version_commands(root, parse);
  add_file_commands(root, parse);
  add_transfer_commands(root, parse);
  add_view_commands(root, parse);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return Finished{finish_usage(root, error)};
  }
  collect_settings(parse);
  return parse.line;
}

}  // namespace rowan::tools
