#include "rpc/reply_cache.h"

#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/support/manual_loop.h"
#include "tests/support/catch.h"

namespace rowan::rpc {
namespace {

using test::ManualLoop;
using State = ReplyCache::State;
using nfs3::Procedure;

MonotonicTime at(int seconds) { return MonotonicTime(std::chrono::seconds(seconds)); }

CallContext caller(std::uint32_t xid) {
  CallContext context;
  context.xid = xid;
  context.peer.ip[15] = std::byte{1};
  context.peer.port = 700;
  context.credentials.uid = 1000;
  context.credentials.gid = 100;
  context.credentials.groups = {4, 24};
  context.credentials.authenticated = true;
  return context;
}

CallKey key(std::uint32_t xid, std::string_view arguments = "arguments") {
  return call_key(caller(xid), Procedure::create, as_bytes(arguments));
}

TEST_CASE("a call that comes again gets the first reply") {
  ManualLoop loop;
  ReplyCache cache(loop, {});
  auto first = cache.arrive(key(1), at(0));
  REQUIRE(first.state == State::fresh);
  cache.finish(first.ticket, as_bytes("the reply"), true, at(0));
  for (int i = 0; i < 3; ++i) {
    auto again = cache.arrive(key(1), at(1));
    REQUIRE(again.state == State::done);
    CHECK(as_text(cache.reply(again.ticket)) == "the reply");
  }
  CHECK(cache.counters().repeated == 3);
}

TEST_CASE("the key differs in xid, address, credentials, procedure, arguments, not in the port") {
  CallContext context = caller(1);
  auto of = [](const CallContext& c, Procedure p = Procedure::create, std::string_view a = "abc") {
    return call_key(c, p, as_bytes(a));
  };
  CallKey same = of(context);
  context.peer.port = 999;
  CHECK(of(context) == same);
  context.received = at(77);
  CHECK(of(context) == same);

  CHECK_FALSE(of(context, Procedure::mkdir) == same);
  CHECK_FALSE(of(context, Procedure::create, "abd") == same);
  CHECK_FALSE(of(context, Procedure::create, std::string_view("abc\0", 4)) == same);
  auto changed = [&](auto change) {
    CallContext other = caller(1);
    change(other);
    return !(of(other) == same);
  };
  CHECK(changed([](CallContext& c) { c.xid = 2; }));
  CHECK(changed([](CallContext& c) { c.peer.ip[15] = std::byte{2}; }));
  CHECK(changed([](CallContext& c) { c.credentials.uid = 0; }));
  CHECK(changed([](CallContext& c) { c.credentials.gid = 0; }));
  CHECK(changed([](CallContext& c) { c.credentials.groups = {4}; }));
  CHECK(changed([](CallContext& c) { c.credentials.groups = {24, 4}; }));
  CHECK(changed([](CallContext& c) { c.credentials.authenticated = false; }));
  CHECK_FALSE(changed([](CallContext&) {}));
}

TEST_CASE("of long arguments, as those of a WRITE, both ends and the length count") {
  std::string data(1 << 20, 'd');
  auto of = [](const std::string& arguments) {
    return call_key(caller(1), Procedure::write, as_bytes(arguments));
  };
  CallKey same = of(data);
  CHECK(of(std::string(data)) == same);
  std::size_t size = data.size();
  for (std::size_t place : {std::size_t{0}, std::size_t{2047}, size - 2048, size - 1}) {
    std::string other = data;
    other[place] = 'e';
    CHECK_FALSE(of(other) == same);
  }
  CHECK_FALSE(of(data + "d") == same);
  // Up to 4 KiB every byte does.
  std::string small(4096, 's');
  CallKey whole = of(small);
  for (std::size_t place = 0; place < small.size(); ++place) {
    small[place] = 't';
    REQUIRE_FALSE(of(small) == whole);
    small[place] = 's';
  }
}

Task<void> joiner(ReplyCache& cache, ReplyCache::Ticket ticket, std::vector<std::string>& replies) {
  Signal& finished = cache.join(ticket);
  co_await finished.wait();
  replies.emplace_back(as_text(cache.reply(ticket)));
  cache.leave(ticket);
}

TEST_CASE("who comes while the first is in progress waits for its reply") {
  for (bool keep : {true, false}) {
    ManualLoop loop;
    ReplyCache cache(loop, {});
    TaskGroup group;
    std::vector<std::string> replies;
    auto first = cache.arrive(key(1), at(0));
    for (int i = 0; i < 2; ++i) {
      auto second = cache.arrive(key(1), at(1));
      REQUIRE(second.state == State::in_progress);
      group.start(joiner(cache, second.ticket, replies));
    }
    loop.run();
    CHECK(replies.empty());
    cache.finish(first.ticket, as_bytes("once"), keep, at(2));
    CHECK(replies.empty());
    loop.run();
    CHECK(replies == std::vector<std::string>{"once", "once"});
    CHECK(group.running() == 0);
    CHECK(cache.arrive(key(1), at(3)).state == (keep ? State::done : State::fresh));
    CHECK(cache.counters().joined == 2);
  }
}

TEST_CASE("a reply that is not kept leaves nothing behind") {
  ManualLoop loop;
  ReplyCache cache(loop, {});
  auto first = cache.arrive(key(1), at(0));
  cache.finish(first.ticket, as_bytes("try later"), false, at(0));
  CHECK(cache.size() == 0);
  CHECK(cache.bytes() == 0);
  CHECK(cache.arrive(key(1), at(0)).state == State::fresh);
}

TEST_CASE("replies are forgotten after their time") {
  ManualLoop loop;
  ReplyCache cache(loop, {.keep = std::chrono::seconds(10)});
  auto first = cache.arrive(key(1), at(0));
  cache.finish(first.ticket, as_bytes("x"), true, at(5));
  CHECK(cache.arrive(key(1), at(14)).state == State::done);
  CHECK(cache.arrive(key(1), at(15)).state == State::fresh);
}

TEST_CASE("entries and bytes are bounded, and the oldest go first") {
  ManualLoop loop;
  ReplyCache cache(loop, {.entries = 4});
  for (std::uint32_t xid = 0; xid < 10; ++xid) {
    auto call = cache.arrive(key(xid), at(0));
    REQUIRE(call.state == State::fresh);
    cache.finish(call.ticket, as_bytes("x"), true, at(0));
    REQUIRE(cache.size() <= 4);
  }
  CHECK(cache.arrive(key(9), at(0)).state == State::done);
  CHECK(cache.arrive(key(6), at(0)).state == State::done);
  CHECK(cache.arrive(key(5), at(0)).state == State::fresh);

  ReplyCache small(loop, {.bytes = 1024});
  std::string reply(200, 'r');
  for (std::uint32_t xid = 0; xid < 10; ++xid) {
    auto call = small.arrive(key(xid), at(0));
    small.finish(call.ticket, as_bytes(reply), true, at(0));
    REQUIRE(small.bytes() <= 1024);
  }
  CHECK(small.size() == 4);  // a buffer takes 256 bytes
}

TEST_CASE("with every entry in progress a call is done but not remembered") {
  ManualLoop loop;
  ReplyCache cache(loop, {.entries = 2});
  auto a = cache.arrive(key(1), at(0));
  (void)cache.arrive(key(2), at(0));
  CHECK(cache.arrive(key(3), at(0)).state == State::full);
  CHECK(cache.counters().unremembered == 1);
  CHECK(cache.arrive(key(2), at(0)).state == State::in_progress);
  cache.finish(a.ticket, as_bytes("x"), true, at(0));
  CHECK(cache.arrive(key(3), at(0)).state == State::fresh);
}

TEST_CASE("an entry whose joiners have not read is not evicted under them") {
  ManualLoop loop;
  ReplyCache cache(loop, {.entries = 1, .keep = std::chrono::seconds(1)});
  TaskGroup group;
  std::vector<std::string> replies;
  auto first = cache.arrive(key(1), at(0));
  group.start(joiner(cache, cache.arrive(key(1), at(0)).ticket, replies));
  cache.finish(first.ticket, as_bytes("once"), true, at(0));
  CHECK(cache.arrive(key(2), at(100)).state == State::full);
  loop.run();
  CHECK(replies == std::vector<std::string>{"once"});
  CHECK(cache.arrive(key(2), at(100)).state == State::fresh);
}

// The model: a list of (key, reply) in order of completion, and the set of calls in progress.
TEST_CASE("random use agrees with a plain list") {
  std::uint32_t seed = 1094795585;
  CAPTURE(seed);
  std::mt19937 random(seed);
  ManualLoop loop;
  ReplyCache cache(loop, {.entries = 16, .bytes = 10 * 256, .keep = std::chrono::seconds(50)});
  struct Done {
    std::uint32_t xid;
    std::string reply;
    int when;
  };
  std::deque<Done> done;
  std::map<std::uint32_t, ReplyCache::Ticket> running;
  int now = 0;
  for (int step = 0; step < 50'000; ++step) {
    now += static_cast<int>(random() % 3);
    std::uint32_t xid = random() % 40;
    if (random() % 2 == 0 && !running.empty()) {
      auto it = std::next(running.begin(), random() % running.size());
      bool keep = random() % 4 != 0;
      std::string reply = "reply " + std::to_string(step);
      cache.finish(it->second, as_bytes(reply), keep, at(now));
      if (keep) done.push_back({it->first, reply, now});
      while (done.size() > 10) done.pop_front();
      running.erase(it);
      continue;
    }
    while (!done.empty() && now - done.front().when >= 50) done.pop_front();
    auto known =
        std::find_if(done.begin(), done.end(), [&](const Done& d) { return d.xid == xid; });
    auto arrival = cache.arrive(key(xid), at(now));
    if (known != done.end()) {
      REQUIRE(arrival.state == State::done);
      REQUIRE(as_text(cache.reply(arrival.ticket)) == known->reply);
    } else if (running.contains(xid)) {
      REQUIRE(arrival.state == State::in_progress);
    } else {
      if (running.size() + done.size() >= 16 && !done.empty()) done.pop_front();
      REQUIRE(arrival.state == (running.size() == 16 ? State::full : State::fresh));
      if (arrival.state == State::fresh) running[xid] = arrival.ticket;
    }
    REQUIRE(cache.size() == running.size() + done.size());
  }
}

CallKey key_from(std::uint32_t client, std::uint32_t xid) {
  CallContext context = caller(xid);
  store_be(context.peer.ip.data() + 12, client);
  return call_key(context, Procedure::create, as_bytes(std::string_view("arguments")));
}

TEST_CASE("a client that floods evicts its own replies, not those of others") {
  ManualLoop loop;
  constexpr std::size_t most = 64;
  ReplyCache cache(loop, {.entries = most, .bytes = most * 256, .keep = std::chrono::hours(1)});
  auto done = [&](std::uint32_t client, std::uint32_t xid) {
    const auto call = cache.arrive(key_from(client, xid), at(0));
    REQUIRE(call.state == State::fresh);
    cache.finish(call.ticket, as_bytes("reply"), true, at(0));
  };
  // One that is at work, one that floods, and a third that has calls in progress all the time.
  for (std::uint32_t xid = 0; xid < 10; ++xid) done(1, xid);
  std::vector<ReplyCache::Ticket> running;
  for (std::uint32_t xid = 0; xid < 5; ++xid)
    running.push_back(cache.arrive(key_from(3, xid), at(0)).ticket);
  for (std::uint32_t xid = 0; xid < 100'000; ++xid) {
    done(2, xid);
    REQUIRE(cache.size() <= most);
    REQUIRE(cache.bytes() <= most * 256);
  }
  for (std::uint32_t xid = 0; xid < 10; ++xid)
    CHECK(cache.arrive(key_from(1, xid), at(0)).state == State::done);
  for (std::uint32_t xid = 0; xid < 5; ++xid) {
    CHECK(cache.arrive(key_from(3, xid), at(0)).state == State::in_progress);
    cache.finish(running[xid], as_bytes("at last"), true, at(0));
    const auto again = cache.arrive(key_from(3, xid), at(0));
    REQUIRE(again.state == State::done);
    CHECK(as_text(cache.reply(again.ticket)) == "at last");
  }
  CHECK(cache.arrive(key_from(2, 99'999), at(0)).state == State::done);
  CHECK(cache.arrive(key_from(2, 99'900), at(0)).state == State::fresh);
}

TEST_CASE("a newcomer gets room from who has most, and all goes by age") {
  ManualLoop loop;
  ReplyCache cache(loop, {.entries = 16, .keep = std::chrono::seconds(10)});
  for (std::uint32_t client = 1; client <= 20; ++client) {
    for (std::uint32_t xid = 0; xid < 30; ++xid) {
      const auto call = cache.arrive(key_from(client, xid), at(0));
      REQUIRE(call.state == State::fresh);
      cache.finish(call.ticket, as_bytes("x"), true, at(0));
      REQUIRE(cache.arrive(key_from(client, xid), at(0)).state == State::done);
    }
  }
  CHECK(cache.size() == 16);
  CHECK(cache.arrive(key_from(1, 0), at(10)).state == State::fresh);
  CHECK(cache.size() == 1);
}

// With other clients' calls in between, and whoever asks again while the first is in progress.
TEST_CASE("under a flood of calls no remembered call is done twice at a time") {
  ManualLoop loop;
  std::mt19937 random(5);
  ReplyCache cache(loop, {.entries = 32, .keep = std::chrono::seconds(20)});
  std::map<std::pair<std::uint32_t, std::uint32_t>, ReplyCache::Ticket> running;
  TaskGroup group;
  std::vector<std::string> replies;
  std::size_t joined = 0, full = 0;
  for (int step = 0; step < 50'000; ++step) {
    const std::pair<std::uint32_t, std::uint32_t> call{random() % 5, random() % 30};
    const auto found = running.find(call);
    if (found != running.end() && random() % 2 == 0) {
      cache.finish(found->second, as_bytes("reply"), random() % 3 != 0, at(step / 100));
      running.erase(found);
      loop.run();
      continue;
    }
    const auto arrival = cache.arrive(key_from(call.first, call.second), at(step / 100));
    if (found != running.end()) {
      REQUIRE(arrival.state == State::in_progress);
      REQUIRE(arrival.ticket == found->second);
      group.start(joiner(cache, arrival.ticket, replies));
      ++joined;
    } else {
      REQUIRE(arrival.state != State::in_progress);
      if (arrival.state == State::fresh) running[call] = arrival.ticket;
      full += arrival.state == State::full ? 1 : 0;
    }
    REQUIRE(cache.size() <= 32);
  }
  CHECK(full > 0);
  CHECK(joined > 1000);
  for (const auto& [call, ticket] : running) cache.finish(ticket, as_bytes("reply"), true, at(0));
  loop.run();
  CHECK(group.running() == 0);
  CHECK(replies == std::vector<std::string>(joined, "reply"));
}

TEST_CASE("the procedures that are remembered are those that must not be done twice") {
  int count = 0;
  for (std::uint32_t value = 0; value < nfs3::procedure_count; ++value) {
    if (is_remembered(Procedure{value})) ++count;
  }
  CHECK(count == 10);
  CHECK(is_remembered(Procedure::write));
  CHECK_FALSE(is_remembered(Procedure::commit));
  CHECK_FALSE(is_remembered(Procedure::read));
}

}  // namespace
}  // namespace rowan::rpc
