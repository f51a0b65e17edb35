// One TCP connection of the server (rpc/server.cc): reads records, runs calls, sends replies.
//
// Asio's completions hold the connection by shared_ptr, since a closed socket's last completions
// come after the server has let go of it; the server's list holds it until its last call has ended.
#pragma once

#include <list>
#include <memory>

#include "rpc/asio.h"
#include "rpc/reply_queue.h"
#include "rpc/server.h"

namespace rowan::rpc {

class Connection;

// What a connection asks of its server.
class ConnectionOwner {
 public:
  virtual RecordHandler& handler() = 0;
  virtual const ServerLimits& limits() const = 0;
  virtual ServerCounters& counters() = 0;
  virtual MonotonicTime now() = 0;
  // Calls pump() once what is ready now has run.
  virtual void pump_later(Connection& connection) = 0;
  // Something happened on it: it is the last to be evicted.
  virtual void touched(Connection& connection) = 0;
  // Closed and without calls: may be destroyed, but not inside this call.
  virtual void retired(Connection& connection) = 0;

 protected:
  ~ConnectionOwner() = default;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(ConnectionOwner& owner, asio::ip::tcp::socket socket, PeerAddress peer);

  void start();
  // Serves what can be served, sends what can be sent, reads on if there is room.
  void pump();
  // Reads no more; closes when the calls in flight are answered.
  void finish();
  // Closes at once. `why` is for the log; `fault`: ours to count as dropped.
  void close(const char* why, bool fault);
  // The server is gone: no call runs, and nothing may be asked of the owner any more.
  void abandon();

  bool idle() const { return in_flight_ == 0 && replies_.empty() && !reader_.inside_record(); }
  bool closed() const { return closed_; }
  // Waits for the peer since before `since`: it neither takes its replies nor ends its record.
  bool stalled_since(MonotonicTime since) const;

  bool pump_wanted = false;                         // the owner's note
  std::list<std::shared_ptr<Connection>>::iterator place;  // in the owner's list

 private:
  void wait_readable();
  void wait_writable();
  void on_readable();
  bool receive();
  void serve_records();
  bool may_start() const;
  Task<void> serve(Buffer record, std::size_t charge);
  void send();
  void account();
  void retire_if_done();

  ConnectionOwner* owner_;
  asio::ip::tcp::socket socket_;
  const PeerAddress peer_;
  RecordReader reader_;
  ReplyQueue replies_;
  TaskGroup calls_;
  std::size_t in_flight_ = 0;
  std::size_t charged_ = 0;   // for the calls in flight
  std::size_t held_ = 0;      // as last accounted
  MonotonicTime received_{};  // when the bytes being parsed came
  MonotonicTime progress_{};  // when the peer last gave or took a byte
  bool drained_ = true;       // the reader has no whole record
  bool in_serve_records_ = false;  // a send follows anyway
  bool waiting_to_read_ = false;
  bool waiting_to_write_ = false;
  bool finishing_ = false;    // end of stream, or drain
  bool closed_ = false;
};

}  // namespace rowan::rpc
