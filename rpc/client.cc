#include "rpc/client.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <random>

#include "rpc/base/log.h"
#include "rpc/client_link.h"
#include "rpc/message.h"

// A call is either in `waiting_` or in the table of one link; complete() takes it out of the game.
// Links that break put their calls back to the front of `waiting_`.
//
// Connecting is one thing at a time, and every end of a link is followed by a pause that doubles
// until a reply comes: a server that accepts and closes at once is not hammered, however many links
// there may be.

namespace rowan::rpc {
namespace {

// Calls on the least busy link that justify another one.
constexpr std::size_t busy_link = 8;
// Answers without sense to one call before it is given up.
constexpr int most_malformed = 2;
constexpr unsigned most_doublings = 16;

Buffer auth_body(const ClientOptions& options) {
  if (!options.identity) return Buffer();
  std::array<char, max_machine_name + 1> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) name[0] = '\0';
  AuthSys auth;
  auth.machine = name.data();
  auth.uid = options.identity->uid;
  auth.gid = options.identity->gid;
  xdr::Writer out;
  encode_auth_sys(out, auth);
  return out.take();
}

std::string where(const ClientOptions& options) {
  bool v6 = options.host.find(':') != std::string::npos;
  return (v6 ? '[' + options.host + ']' : options.host) + ':' + std::to_string(options.port);
}

}  // namespace

class Client::Impl final : public ClientLinkOwner {
 public:
  Impl(AsioLoop& loop, ClientOptions options)
      : loop_(loop), options_(std::move(options)), auth_body_(auth_body(options_)),
        random_(std::random_device()()), idle_(loop) {}

  ~Impl() {
    CHECK_EQ(active_, 0u);
    drop_links();
    loop_.cancel(back_off_);
    loop_.cancel(deadline_timer_);
  }

  void begin(xdr::Writer& message, std::uint32_t procedure) const;
  Task<Result<void>> call(Buffer message, DecodeResults decode, void* into);
  void move_to_port(std::uint16_t port);
  void abort();
  Task<void> close();

  void link_up(ClientLink& link) override;
  void link_down(ClientLink& link, const std::string& why) override;
  void answered(OutgoingCall& call, std::optional<Error> error) override;

  const ClientOptions& options() const { return options_; }
  const ClientCounters& counters();
  std::size_t connected() const {
    return static_cast<std::size_t>(std::count_if(links_.begin(), links_.end(),
                                                  [](const auto& link) { return link->up(); }));
  }
  bool fell_back() const { return fell_back_; }
  bool unresolved() const { return unresolved_; }

 private:
  Result<void> submit(OutgoingCall& call);
  void complete(OutgoingCall& call, std::optional<Error> error);
  void pump();
  void pump_later();
  ClientLink* best_link();
  void connect_if_needed();
  void start_back_off(bool had_replies);
  void fail_waiting(Errc code, const std::string& why);
  Error unanswered() const;
  void arm_deadline();
  void expire();
  void drop_links();

  AsioLoop& loop_;
  ClientOptions options_;
  const Buffer auth_body_;
  std::vector<std::shared_ptr<ClientLink>> links_;  // connecting or up
  std::deque<OutgoingCall*> waiting_;
  std::mt19937 random_;
  ClientCounters counters_;
  std::string last_error_;
  unsigned failures_ = 0;
  Loop::TimerId back_off_ = 0;
  Loop::TimerId deadline_timer_ = 0;
  std::size_t active_ = 0;  // call() coroutines
  Signal idle_;             // closed, and no call is left
  bool pump_wanted_ = false;
  bool closed_ = false;
  bool fell_back_ = false;
  bool unresolved_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // for deferred work
};

void Client::Impl::begin(xdr::Writer& message, std::uint32_t procedure) const {
  CallHeader header;
  header.program = options_.program;
  header.version = options_.version;
  header.procedure = procedure;
  if (options_.identity) {
    header.credential.flavor = AuthFlavor::sys;
    header.credential.body = auth_body_.view();
  }
  encode_call(message, header);
}

Task<Result<void>> Client::Impl::call(Buffer message, DecodeResults decode, void* into) {
  struct Waiter {
    OutgoingCall& call;
    bool await_ready() const noexcept { return call.done; }
    void await_suspend(std::coroutine_handle<> self) noexcept { call.waiter = self; }
    void await_resume() const noexcept {}
  };
  OutgoingCall call;
  call.message = std::move(message);
  call.decode = decode;
  call.into = into;
  call.deadline = loop_.clock().now() + options_.deadline;
  CO_TRY_VOID(submit(call));
  ++active_;
  Waiter waiter{call};
  co_await waiter;
  --active_;
  if (closed_ && active_ == 0) idle_.set();
  if (call.error) co_return std::move(*call.error);
  co_return Result<void>();
}

Result<void> Client::Impl::submit(OutgoingCall& call) {
  if (closed_) return Error(Errc::disconnected, where(options_) + ": the connection is closed");
  if (waiting_.size() >= options_.calls_waiting) {
    return Error(Errc::limit, where(options_) + ": too many calls wait for the server");
  }
  ++counters_.calls;
  waiting_.push_back(&call);
  pump();
  if (deadline_timer_ == 0) arm_deadline();
  return {};
}

void Client::Impl::complete(OutgoingCall& call, std::optional<Error> error) {
  call.done = true;
  call.error = std::move(error);
  if (!call.waiter) return;  // submit() is still running
  loop_.defer([waiter = call.waiter] { waiter.resume(); });
}

void Client::Impl::pump() {
  while (!waiting_.empty()) {
    ClientLink* link = best_link();
    if (link == nullptr) break;
    OutgoingCall* call = waiting_.front();
    waiting_.pop_front();
    if (call->sent) ++counters_.resent;
    call->sent = true;
    link->send(*call);
  }
  connect_if_needed();
}

void Client::Impl::pump_later() {
  if (pump_wanted_) return;
  pump_wanted_ = true;
  loop_.defer([this, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired()) return;
    pump_wanted_ = false;
    pump();
  });
}

ClientLink* Client::Impl::best_link() {
  ClientLink* best = nullptr;
  for (const auto& link : links_) {
    if (!link->has_room()) continue;
    if (best == nullptr || link->outstanding() < best->outstanding()) best = link.get();
  }
  return best;
}

void Client::Impl::connect_if_needed() {
  if (closed_ || back_off_ != 0 || links_.size() >= options_.connections) return;
  ClientLink* best = best_link();
  bool needed = best == nullptr ? !waiting_.empty() : best->outstanding() >= busy_link;
  bool connecting = std::any_of(links_.begin(), links_.end(),
                                [](const auto& link) { return !link->up(); });
  if (!needed || connecting) return;
  ClientLinkOwner& owner = *this;
  links_.push_back(std::make_shared<ClientLink>(owner, loop_, options_, random_()));
  links_.back()->connect();
}

void Client::Impl::link_up(ClientLink& link) {
  ++counters_.connected;
  fell_back_ = link.any_port();
  pump();
}

void Client::Impl::link_down(ClientLink& link, const std::string& why) {
  ++counters_.broken;
  last_error_ = why;
  unresolved_ = link.unresolved();
  log(Level::debug, "client.down", {{"server", where(options_)}, {"why", why}});
  std::vector<OutgoingCall*> calls = link.take_calls();
  waiting_.insert(waiting_.begin(), calls.begin(), calls.end());
  start_back_off(link.any_reply());
  counters_.unmatched += link.unmatched();
  std::erase_if(links_, [&link](const auto& other) { return other.get() == &link; });
  if (!options_.patient && links_.empty()) {
    fail_waiting(Errc::disconnected, where(options_) + ": " + why);
  }
  pump_later();
}

void Client::Impl::start_back_off(bool had_replies) {
  failures_ = had_replies ? 0 : std::min(failures_ + 1, most_doublings);
  Duration pause = std::min(options_.longest_back_off, options_.first_back_off * (1 << failures_));
  // Anywhere in the upper half, so that many clients of one server do not come back together.
  pause = pause / 2 + pause * (random_() % 1024) / 2048;
  loop_.cancel(back_off_);
  back_off_ = loop_.call_after(pause, [this] {
    back_off_ = 0;
    pump();
  });
}

void Client::Impl::answered(OutgoingCall& call, std::optional<Error> error) {
  if (error && error->code == Errc::malformed && call.malformed != 0) {
    if (call.malformed < most_malformed && call.deadline > loop_.clock().now()) {
      waiting_.push_front(&call);  // its link goes down next, and is not chosen any more
      return;
    }
    error->detail = where(options_) + ": " + error->detail;
  }
  // A server that answers has got over what broke a link before; a mere connection shows nothing.
  if (!error) last_error_.clear();
  complete(call, std::move(error));
  if (!waiting_.empty()) pump_later();
}

Error Client::Impl::unanswered() const {
  auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(options_.deadline);
  std::string text =
      where(options_) + " did not answer in " + std::to_string(patience.count()) + " ms";
  if (!last_error_.empty()) text += " (" + last_error_ + ")";
  return Error(Errc::timed_out, text);
}

void Client::Impl::fail_waiting(Errc code, const std::string& why) {
  auto calls = std::exchange(waiting_, {});
  for (OutgoingCall* call : calls) complete(*call, Error(code, why));
}

void Client::Impl::arm_deadline() {
  std::optional<MonotonicTime> first;
  auto consider = [&first](MonotonicTime when) {
    if (!first || when < *first) first = when;
  };
  for (const auto& link : links_) {
    if (auto next = link->next_deadline()) consider(*next);
  }
  for (OutgoingCall* call : waiting_) consider(call->deadline);
  if (!first) return;
  deadline_timer_ = loop_.call_after(*first - loop_.clock().now(), [this] { expire(); });
}

void Client::Impl::expire() {
  deadline_timer_ = 0;
  MonotonicTime now = loop_.clock().now();
  auto links = links_;  // failing one changes the list
  for (const auto& link : links) {
    for (OutgoingCall* call : link->expire(now)) {
      ++counters_.timed_out;
      complete(*call, unanswered());
      // Not a byte since it was sent, a good while ago: a half-open connection, or a server that
      // hangs. Either way another may do.
      bool silent = link->heard() <= call->sent_at && call->sent_at + options_.deadline / 2 <= now;
      if (silent) link->fail("the server does not answer");
    }
  }
  auto due = [now](OutgoingCall* call) { return call->deadline <= now; };
  auto kept = std::stable_partition(waiting_.begin(), waiting_.end(), std::not_fn(due));
  std::vector<OutgoingCall*> late(kept, waiting_.end());
  waiting_.erase(kept, waiting_.end());
  counters_.timed_out += late.size();
  for (OutgoingCall* call : late) complete(*call, unanswered());
  arm_deadline();
}

void Client::Impl::drop_links() {
  for (const auto& link : links_) {
    counters_.unmatched += link->unmatched();
    link->abandon();
  }
  links_.clear();
}

void Client::Impl::move_to_port(std::uint16_t port) {
  options_.port = port;
  failures_ = 0;
  auto links = links_;
  for (const auto& link : links) link->fail("the server has moved to another port");
  loop_.cancel(std::exchange(back_off_, 0));
  pump_later();
}

void Client::Impl::abort() {
  closed_ = true;
  for (const auto& link : links_) {
    std::vector<OutgoingCall*> calls = link->take_calls();
    waiting_.insert(waiting_.end(), calls.begin(), calls.end());
  }
  drop_links();
  loop_.cancel(std::exchange(back_off_, 0));
  loop_.cancel(std::exchange(deadline_timer_, 0));
  fail_waiting(Errc::disconnected, where(options_) + ": the connection is closed");
}

Task<void> Client::Impl::close() {
  abort();
  if (active_ != 0) co_await idle_.wait();
}

const ClientCounters& Client::Impl::counters() { return counters_; }

Client::Client(AsioLoop& loop, ClientOptions options)
    : impl_(std::make_unique<Impl>(loop, std::move(options))) {}
Client::~Client() = default;
void Client::begin(xdr::Writer& message, std::uint32_t procedure) const {
  impl_->begin(message, procedure);
}
Task<Result<void>> Client::call(Buffer message, DecodeResults decode, void* into) {
  return impl_->call(std::move(message), decode, into);
}
void Client::move_to_port(std::uint16_t port) { impl_->move_to_port(port); }
void Client::abort() { impl_->abort(); }
Task<void> Client::close() { return impl_->close(); }
const ClientOptions& Client::options() const { return impl_->options(); }
const ClientCounters& Client::counters() const { return impl_->counters(); }
std::size_t Client::connected() const { return impl_->connected(); }
bool Client::fell_back_to_any_port() const { return impl_->fell_back(); }

bool Client::unresolved() const { return impl_->unresolved(); }

}  // namespace rowan::rpc
