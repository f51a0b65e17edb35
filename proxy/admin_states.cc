#include "proxy/admin_states.h"

#include <algorithm>
#include <charconv>

#include "proxy/admin_text.h"
#include "proxy/checkpoint_label.h"
#include "proxy/empty_store.h"
#include "proxy/state_tree.h"

namespace rowan::proxy {
namespace {

using nfs3::FileType;

constexpr Duration abandoned_after = std::chrono::seconds(60);   // work under way
constexpr Duration forgotten_after = std::chrono::minutes(10);   // what came of it
constexpr Duration sweep_interval = std::chrono::seconds(10);
constexpr Duration wait_step = std::chrono::milliseconds(10);
constexpr int wait_steps = 50;

constexpr std::string_view actions[] = {"stat", "list", "content", "diff", "restore", "check"};
constexpr std::string_view works[] = {"diff", "restore", "check"};  // of them

Result<std::string> decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    unsigned value = 0;
    const char* digits = text.data() + i + 1;
    const bool whole = i + 2 < text.size();
    if (!whole || std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2)
      return Error(Errc::usage, "a '%' in a query is followed by two hexadecimal digits");
    plain += static_cast<char>(value);
    i += 2;
  }
  return plain;
}

Json attributes_json(const nfs3::Attributes& a) {
  Json json;
  json["kind"] = kind_text(a.type);
  json["mode"] = mode_text(a.mode);
  json["links"] = a.nlink;
  json["uid"] = a.uid;
  json["gid"] = a.gid;
  json["size"] = a.size;
  if (a.type == FileType::block || a.type == FileType::character)
    json["device"] = std::to_string(a.rdev.major) + ":" + std::to_string(a.rdev.minor);
  json["mtime"] = time_text(a.mtime.seconds);
  json["fileid"] = a.fileid;
  return json;
}

HttpReply json_reply(const Json& body) {
  HttpReply reply;
  reply.body = json_line(body) + "\n";
  return reply;
}

}  // namespace

std::string_view kind_text(FileType type) {
  static constexpr std::string_view names[] = {"?",         "file",    "directory", "block",
                                               "character", "symlink", "socket",    "fifo"};
  const auto number = static_cast<std::size_t>(type);
  return number < std::size(names) ? names[number] : names[0];
}

// ---- requests

bool StatesApi::Asked::flag(std::string_view key) const { return text(key) == "true"; }

std::string StatesApi::Asked::text(std::string_view key) const {
  auto found = query.find(key);
  return found == query.end() ? std::string() : found->second;
}

Result<std::uint64_t> StatesApi::Asked::number(std::string_view key,
                                               std::uint64_t otherwise) const {
  const std::string given = text(key);
  if (given.empty()) return otherwise;
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(given.data(), given.data() + given.size(), value);
  if (parsed.ec == std::errc() && parsed.ptr == given.data() + given.size()) return value;
  return Error(Errc::usage, std::string(key) + "=" + given + " is no number");
}

Result<StatesApi::Asked> StatesApi::parse(const HttpRequest& request) {
  const std::string_view target = request.target;
  const std::size_t mark = std::min(target.find('?'), target.size());
  const std::vector<std::string> parts = path_parts(target.substr(0, mark));
  Asked asked;
  asked.method = request.method;
  if (parts.size() < 3 || parts.size() > 4 || parts[0] != "v1") return no_such_resource();
  asked.collection = parts[1];
  asked.name = parts[2];
  if (parts.size() == 4) asked.action = parts[3];
  std::string_view rest = target.substr(std::min(mark + 1, target.size()));
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    TRY(std::string value, decoded(pair.substr(std::min(equals + 1, pair.size()))));
    asked.query[std::string(pair.substr(0, equals))] = std::move(value);
  }
  if (!request.body.empty()) {
    TRY(asked.body, parse_json(request.body));
  }
  return asked;
}

bool StatesApi::handles(const HttpRequest& request) {
  const std::string_view target = request.target;
  const std::vector<std::string> parts = path_parts(target.substr(0, target.find('?')));
  if (parts.size() < 3 || parts[0] != "v1") return false;
  if (parts[1] == "work") return true;
  return parts[1] == "appliances" && parts.size() == 4 &&
         std::ranges::find(actions, parts[3]) != std::end(actions);
}

Task<HttpReply> StatesApi::handle(const HttpRequest& request) {
  Result<Asked> asked = parse(request);
  if (!asked) co_return reply_for(asked.error());
  Result<HttpReply> reply = co_await dispatch(*asked);
  if (!reply) co_return reply_for(reply.error());
  co_return std::move(*reply);
}

Task<Result<HttpReply>> StatesApi::dispatch(const Asked& asked) {
  if (asked.collection == "work") co_return co_await about_work(asked);
  const bool post = asked.method == "POST";
  if (asked.action == "diff" && post) co_return co_await start_diff(asked);
  if (asked.action == "restore" && post) co_return co_await start_restore(asked);
  if (asked.action == "check" && post) co_return co_await start_check(asked);
  const bool work = std::ranges::find(works, asked.action) != std::end(works);
  if (work || asked.method != "GET")
    co_return Error(Errc::not_supported, "not that method on " + asked.action);
  co_return co_await look(asked);
}

Task<Result<ApplianceRecord>> StatesApi::record_of(std::string appliance) {
  co_await turn_.take();
  Result<ApplianceRecord> record = registry_.appliance(appliance);
  turn_.give_back();
  co_return record;
}

// ---- files

Task<Result<HttpReply>> StatesApi::look(const Asked& asked) {
  CO_TRY(StateName state, parse_state_name(asked.name));
  CO_TRY(ApplianceRecord record, co_await record_of(state.appliance));
  Result<Appliance*> opened = co_await host_.open_state(record, state.checkpoint);
  if (!opened) co_return std::move(opened).error();
  Appliance& appliance = **opened;
  Appliance::Call call(appliance, nfs3::Procedure::null, loop_.clock().now());
  Result<HttpReply> reply = Errc::io;
  if (asked.flag("image")) {
    reply = co_await look_in_image(appliance, asked);
  } else {
    reply = co_await look_in(appliance, asked.name, asked);
  }
  call.done(nfs3::Status::ok);
  co_return reply;
}

Task<Result<HttpReply>> StatesApi::look_in_image(Appliance& appliance, const Asked& asked) {
  ApplianceSettings settings = appliance.settings();
  settings.read_only = true;
  Appliance bare(settings, std::make_unique<EmptyStore>(), appliance.image(), loop_, disk_);
  Result<HttpReply> reply = co_await look_in(bare, "the image of " + asked.name, asked);
  Result<void> closed = co_await bare.close();
  if (!closed) co_return std::move(closed).error();
  co_return reply;
}

Task<Result<HttpReply>> StatesApi::look_in(Appliance& appliance, std::string label,
                                           const Asked& asked) {
  StateTree tree(appliance.view(), std::move(label));
  if (asked.action == "stat") co_return co_await stat(tree, asked);
  if (asked.action == "list") co_return co_await list(tree, asked);
  co_return co_await content(tree, asked);
}

Task<Result<HttpReply>> StatesApi::stat(StateTree& tree, const Asked& asked) {
  Result<StateTree::Found> found = co_await tree.find(asked.text("path"), asked.flag("follow"));
  if (!found) co_return std::move(found).error();
  Json answer = attributes_json(found->attributes);
  answer["path"] = found->path;
  if (found->is(FileType::symlink)) {
    Result<std::string> target = co_await tree.target(found->id);
    if (!target) co_return tree.error(target.error(), found->path);
    answer["target"] = *target;
  }
  co_return json_reply(answer);
}

Task<Result<HttpReply>> StatesApi::list(StateTree& tree, const Asked& asked) {
  CO_TRY(nfs3::Cookie after, asked.number("after", 0));
  Result<StateTree::Found> found = co_await tree.find(asked.text("path"), true);
  if (!found) co_return std::move(found).error();
  if (!found->is(FileType::directory))
    co_return Error(Errc::not_directory, "'" + found->path + "' is not a directory");
  Result<StateTree::Page> page = co_await tree.list(*found, after);
  if (!page) co_return std::move(page).error();
  Json answer;
  answer["path"] = found->path;
  answer["entries"] = Json::array();
  for (const StateTree::Entry& entry : page->entries) {
    Json line;
    line["name"] = entry.name;
    line.update(attributes_json(entry.attributes));
    if (entry.attributes.type == FileType::symlink) {
      Result<std::string> target = co_await tree.target(entry.id);
      if (target) line["target"] = *target;
    }
    answer["entries"].push_back(std::move(line));
  }
  answer["next"] = page->next;
  co_return json_reply(answer);
}

Task<Result<HttpReply>> StatesApi::content(StateTree& tree, const Asked& asked) {
  CO_TRY(std::uint64_t offset, asked.number("offset", 0));
  CO_TRY(std::uint64_t count, asked.number("count", nfs3::max_transfer_size));
  Result<StateTree::Found> found = co_await tree.find(asked.text("path"), true);
  if (!found) co_return std::move(found).error();
  if (!found->is(FileType::regular)) {
    co_return Error(Errc::is_directory, "'" + found->path + "' in " + tree.label() + " is a " +
                                       std::string(kind_text(found->attributes.type)) +
                                       ", not a file");
  }
  const auto wanted =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(count, nfs3::max_transfer_size));
  Result<Buffer> bytes = co_await tree.read(found->id, offset, wanted);
  if (!bytes) co_return tree.error(bytes.error(), found->path);
  HttpReply reply;
  reply.content_type = "application/octet-stream";
  reply.body.assign(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  co_return reply;
}

// ---- work

Task<Result<HttpReply>> StatesApi::start_diff(const Asked& asked) {
  CO_TRY(StateName name, parse_state_name(asked.name));
  StateOf after;
  CO_TRY(after.record, co_await record_of(name.appliance));
  after.checkpoint = name.checkpoint;
  std::optional<StateOf> before;
  if (!asked.body.is_null()) CO_TRY_VOID(only_members(asked.body, {"before"}));
  if (has_member(asked.body, "before")) {
    CO_TRY(std::string text, text_member(asked.body, "before"));
    CO_TRY(StateName other, parse_state_name(text));
    before.emplace();
    CO_TRY(before->record, co_await record_of(other.appliance));
    before->checkpoint = other.checkpoint;
  }
  const WorkPlace place{host_, loop_, disk_, turn_};
  auto [work, task] = make_diff(place, std::move(before), std::move(after));
  co_return start(std::move(work), std::move(task));
}

Task<Result<HttpReply>> StatesApi::start_restore(const Asked& asked) {
  CO_TRY(StateName name, parse_state_name(asked.name));
  if (name.checkpoint.empty()) {
    co_return Error(Errc::usage, "say which state to restore from: " + name.appliance +
                                     "@CHECKPOINT; 'rowan log " + name.appliance +
                                     "' shows what there is");
  }
  CO_TRY_VOID(only_members(asked.body, {"path", "to", "force"}));
  RestoreOrder order;
  CO_TRY(order.path, text_member(asked.body, "path"));
  CO_TRY(order.path, decoded(order.path));
  if (has_member(asked.body, "to")) {
    CO_TRY(order.to, text_member(asked.body, "to"));
    CO_TRY(order.to, decoded(order.to));
  }
  if (has_member(asked.body, "force")) {
    CO_TRY(order.force, flag_member(asked.body, "force"));
  }
  StateOf from;
  CO_TRY(from.record, co_await record_of(name.appliance));
  from.checkpoint = name.checkpoint;
  const WorkPlace place{host_, loop_, disk_, turn_};
  auto [work, task] = make_restore(place, std::move(from), std::move(order));
  co_return start(std::move(work), std::move(task));
}

Task<Result<HttpReply>> StatesApi::start_check(const Asked& asked) {
  CO_TRY(StateName name, parse_state_name(asked.name));
  if (!name.checkpoint.empty())
    co_return Error(Errc::usage, "a check is of an appliance with all its checkpoints; ask for '" +
                                     name.appliance + "'");
  CO_TRY(ApplianceRecord record, co_await record_of(name.appliance));
  const CheckOrder order{asked.flag("offline"), asked.flag("repair")};
  const WorkPlace place{host_, loop_, disk_, turn_};
  auto [work, task] = make_check(place, std::move(record), order);
  if (asked.flag("background")) co_return start(std::move(work), std::move(task));
  Task<void> whole = std::move(task);
  co_await std::move(whole);
  if (!work->outcome()) co_return work->outcome().error();
  Json answer;
  work->tell(answer);
  answer.erase("kind");
  co_return json_reply(answer);
}

Result<HttpReply> StatesApi::start(Shared work, Task<void> task) {
  if (works_.size() >= max_works || closing_) {
    work->finish(Errc::busy);
    return Error(Errc::busy, "too many comparisons, restores and checks are under way or not yet "
                             "read; try again later");
  }
  const std::uint64_t id = next_work_++;
  work->asked = loop_.clock().now();
  works_[id] = std::move(work);
  tasks_.start(std::move(task));
  watch();
  Json answer;
  answer["work"] = id;
  return json_reply(answer);
}

Task<Result<HttpReply>> StatesApi::about_work(const Asked& asked) {
  std::uint64_t id = 0;
  std::from_chars(asked.name.data(), asked.name.data() + asked.name.size(), id);
  auto found = works_.find(id);
  if (found == works_.end()) co_return Error(Errc::not_found, "no work of that number");
  Shared work = found->second;
  work->asked = loop_.clock().now();
  if (asked.method == "DELETE" && asked.action.empty()) {
    work->stop();
    works_.erase(id);
    co_return json_reply(Json::object());
  }
  if (asked.method != "GET") co_return Error(Errc::not_supported, "not that method on work");
  if (asked.action == "lines") {
    CO_TRY(std::uint64_t from, asked.number("from", 0));
    CO_TRY(Json page, work->lines(from));
    co_return json_reply(page);
  }
  const int steps = asked.flag("wait") ? wait_steps : 0;
  for (int i = 0; i < steps && !work->is_done(); ++i) co_await sleep_for(loop_, wait_step);
  Json answer;
  answer["done"] = work->is_done();
  if (work->is_done() && !work->outcome()) co_return work->outcome().error();
  work->tell(answer);
  co_return json_reply(answer);
}

void StatesApi::watch() {
  if (timer_ != 0 || works_.empty() || closing_) return;
  timer_ = loop_.call_after(sweep_interval, [this] {
    timer_ = 0;
    sweep();
    watch();
  });
}

void StatesApi::sweep() {
  const MonotonicTime now = loop_.clock().now();
  std::erase_if(works_, [now](const auto& entry) {
    LongWork& work = *entry.second;
    const bool done = work.is_done();
    if (now - work.asked < (done ? forgotten_after : abandoned_after)) return false;
    work.stop();
    return true;
  });
}

Task<void> StatesApi::close() {
  closing_ = true;
  loop_.cancel(std::exchange(timer_, 0));
  for (auto& [id, work] : works_) work->stop();
  works_.clear();
  co_await tasks_.idle();
}

StatesApi::~StatesApi() { loop_.cancel(timer_); }

}  // namespace rowan::proxy
