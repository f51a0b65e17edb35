// One TCP connection of the client, from connecting to its end; never used again after that, so
// bytes of two streams cannot meet. rpc/client.cc decides which call goes where and when to try
// again.
//
// Asio's completions hold the link by shared_ptr: a closed socket's last ones come after the client
// has let go of it.
#pragma once

#include <coroutine>
#include <memory>
#include <string>
#include <vector>

#include "rpc/asio.h"
#include "rpc/call_table.h"
#include "rpc/client.h"
#include "rpc/record.h"
#include "rpc/reply_queue.h"
#include "rpc/socket_address.h"

namespace rowan::rpc {

// A call on its way; lives in the frame of Client::call.
struct OutgoingCall {
  Buffer message;  // begins with the xid
  DecodeResults decode;
  void* into;
  MonotonicTime deadline;
  MonotonicTime sent_at{};
  int malformed = 0;   // answers to it that made no sense
  bool sent = false;   // at least once
  bool done = false;
  std::optional<Error> error;
  std::coroutine_handle<> waiter;
};

class ClientLink;

class ClientLinkOwner {
 public:
  virtual void link_up(ClientLink& link) = 0;
  // Once per link, also if it never was up. Takes the calls that were outstanding with
  // take_calls().
  virtual void link_down(ClientLink& link, const std::string& why) = 0;
  // `call` is answered; without an error its results are in place.
  virtual void answered(OutgoingCall& call, std::optional<Error> error) = 0;

 protected:
  ~ClientLinkOwner() = default;
};

class ClientLink : public std::enable_shared_from_this<ClientLink> {
 public:
  ClientLink(ClientLinkOwner& owner, AsioLoop& loop, const ClientOptions& options,
             std::uint32_t first_xid);

  void connect();
  // Ends it without telling the owner.
  void abandon();
  // Ends it and tells the owner.
  void fail(const std::string& why);

  bool up() const { return state_ == State::up; }
  bool has_room() const { return up() && !table_.full(); }
  std::size_t outstanding() const { return table_.size(); }
  std::uint64_t unmatched() const { return table_.counters().unmatched; }
  bool any_reply() const { return table_.counters().matched != 0; }
  bool any_port() const { return any_port_; }
  // The host's name led to no address.
  bool unresolved() const { return unresolved_; }

  // Only with room. What is sent in one turn of the loop leaves together.
  void send(OutgoingCall& call);
  // The calls whose deadline is over.
  std::vector<OutgoingCall*> expire(MonotonicTime now) { return table_.expire(now); }
  std::optional<MonotonicTime> next_deadline() const { return table_.next_deadline(); }
  std::vector<OutgoingCall*> take_calls() { return table_.take_all(); }
  // When bytes came last, or when it came up.
  MonotonicTime heard() const { return heard_; }

 private:
  enum class State { idle, connecting, up, down };

  void resolve();
  void fail_unresolved(const std::string& why);
  void connecting_takes_too_long();
  void try_next_address();
  bool bind_reserved(int family);
  void connected();
  void wait_readable();
  void wait_writable();
  void on_readable();
  bool receive();
  void parse();
  void accept_reply(Buffer record);
  void flush();
  void end();

  ClientLinkOwner* owner_;
  AsioLoop& loop_;
  const ClientOptions& options_;
  asio::ip::tcp::socket socket_;
  asio::ip::tcp::resolver resolver_;
  std::vector<SocketAddress> addresses_;  // still to try, the next one last
  std::string last_error_;
  RecordReader reader_;
  ReplyQueue output_;
  CallTable<OutgoingCall*> table_;
  MonotonicTime heard_{};
  Loop::TimerId timeout_ = 0;
  State state_ = State::idle;
  bool any_port_ = false;
  bool unresolved_ = false;
  bool flush_wanted_ = false;
  bool waiting_to_write_ = false;
};

}  // namespace rowan::rpc
