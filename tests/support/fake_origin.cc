#include "tests/support/fake_origin.h"

#include <sys/socket.h>

#include "rpc/asio.h"
#include "rpc/mount3_codec.h"
#include "rpc/portmap.h"
#include "rpc/record.h"

namespace rowan::test {

using tcp = asio::ip::tcp;
using boost::system::error_code;

class FakeOrigin::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(FakeOrigin& origin, tcp::socket socket, std::size_t number)
      : origin_(&origin), socket_(std::move(socket)), number_(number) {
    error_code error;
    peer_port_ = socket_.remote_endpoint(error).port();
  }

  void wait() {
    socket_.async_wait(tcp::socket::wait_read,
                       [self = shared_from_this()](const error_code& error) {
                         if (!error && self->origin_ != nullptr) self->read();
                       });
  }

  void send(std::string_view bytes) {
    if (origin_ == nullptr) return;
    out_ += bytes;
    flush();
  }

  void close(bool hard) {
    if (origin_ == nullptr) return;
    --std::exchange(origin_, nullptr)->open;
    error_code ignored;
    if (hard) socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    socket_.close(ignored);
  }

 private:
  void read() {
    ByteSpan space = reader_.space();
    ssize_t count = ::recv(socket_.native_handle(), space.data(), space.size(), MSG_DONTWAIT);
    reader_.commit(count > 0 ? static_cast<std::size_t>(count) : 0);
    if (count == 0 || (count < 0 && errno != EAGAIN)) {
      close(false);
      return;
    }
    for (;;) {
      auto record = reader_.next();
      CHECK(record.has_value());
      if (!*record) break;
      serve(std::move(**record));
      if (origin_ == nullptr) return;
    }
    wait();
  }

  void serve(Buffer record) {
    Call call;
    call.record = std::make_shared<Buffer>(std::move(record));
    xdr::Reader in(call.record->view());
    rpc::CallHeader header;
    CHECK(rpc::decode_call(in, header) == rpc::CallState::ok);
    Credentials who;
    rpc::authenticate(header.credential, who);
    call.xid = header.xid;
    call.program = header.program;
    call.procedure = header.procedure;
    call.uid = who.uid;
    call.gid = who.gid;
    call.peer_port = peer_port_;
    call.connection = number_;
    call.arguments_at = call.record->size() - in.left();
    call.stream = shared_from_this();
    FakeOrigin& origin = *origin_;
    ++origin.calls[{call.program, call.procedure}];
    if (origin.script && origin.script(call)) return;
    origin.answer(call);
  }

  void flush() {
    while (!out_.empty() && !waiting_) {
      ssize_t n =
          ::send(socket_.native_handle(), out_.data(), out_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n > 0) {
        out_.erase(0, static_cast<std::size_t>(n));
        continue;
      }
      if (errno != EAGAIN) return;
      waiting_ = true;
      socket_.async_wait(tcp::socket::wait_write,
                         [self = shared_from_this()](const error_code& error) {
                           self->waiting_ = false;
                           if (!error && self->origin_ != nullptr) self->flush();
                         });
    }
  }

  FakeOrigin* origin_;
  tcp::socket socket_;
  std::size_t number_;
  std::uint16_t peer_port_ = 0;
  rpc::RecordReader reader_;
  std::string out_;
  bool waiting_ = false;
};

std::string FakeOrigin::Call::message(ByteView results, std::uint32_t with_xid) const {
  xdr::Writer out;
  rpc::encode_success(out, with_xid);
  out.raw(results);
  return std::string(as_text(out.view()));
}

void FakeOrigin::Call::refuse(rpc::AcceptStatus status) const {
  xdr::Writer out;
  rpc::encode_accepted(out, xid, status);
  send(as_text(out.view()));
}

void FakeOrigin::Call::send_raw(std::string_view bytes) const { stream->send(bytes); }

void FakeOrigin::Call::send(std::string_view message) const {
  auto mark = rpc::record_mark(message.size());
  stream->send(std::string(as_text(mark)) + std::string(message));
}

void FakeOrigin::Call::close() const { stream->close(false); }
void FakeOrigin::Call::reset() const { stream->close(true); }

class FakeOrigin::Impl {
 public:
  Impl(FakeOrigin& origin, AsioLoop& loop)
      : origin_(origin),
        loop_(loop),
        acceptor_(std::make_shared<tcp::acceptor>(
            loop.context(), tcp::endpoint(asio::ip::address_v4::loopback(), 0))),
        port_(acceptor_->local_endpoint().port()) {
    accept();
  }
  ~Impl() { stop(); }

  void stop() {
    error_code ignored;
    acceptor_->close(ignored);
    for (auto& connection : connections_) connection->close(true);
    connections_.clear();
  }
  void start() {
    tcp::endpoint endpoint(asio::ip::address_v4::loopback(), port_);
    acceptor_ = std::make_shared<tcp::acceptor>(loop_.context(), endpoint, true);
    accept();
  }
  std::uint16_t port() const { return port_; }

 private:
  void accept() {
    auto accepted = [this, keep = acceptor_](const error_code& error, tcp::socket socket) {
      if (error) return;  // closed; `this` may be gone
      auto connection =
          std::make_shared<Connection>(origin_, std::move(socket), origin_.connections);
      ++origin_.connections;
      ++origin_.open;
      connections_.push_back(connection);
      connection->wait();
      accept();
    };
    acceptor_->async_accept(accepted);
  }

  FakeOrigin& origin_;
  AsioLoop& loop_;
  std::shared_ptr<tcp::acceptor> acceptor_;
  std::uint16_t port_;
  std::vector<std::shared_ptr<Connection>> connections_;
};

FakeOrigin::FakeOrigin(AsioLoop& loop) : impl_(std::make_unique<Impl>(*this, loop)) {}
FakeOrigin::~FakeOrigin() = default;
std::uint16_t FakeOrigin::port() const { return impl_->port(); }
void FakeOrigin::stop() { impl_->stop(); }
void FakeOrigin::start() { impl_->start(); }

std::string FakeOrigin::url() const {
  std::string number = std::to_string(port());
  return "nfs://127.0.0.1/export?nfsport=" + number + "&mountport=" + number;
}

std::size_t FakeOrigin::count(nfs3::Procedure procedure) const {
  auto found = calls.find({nfs3::program, static_cast<std::uint32_t>(procedure)});
  return found == calls.end() ? 0 : found->second;
}

std::string FakeOrigin::answer_message(const Call& call) {
  xdr::Reader in(call.record->view().subspan(call.arguments_at));
  xdr::Writer out;
  if (call.program == portmap::program) {
    portmap::encode_port(out, port());
  } else if (call.program == mount3::program) {
    std::string_view path;
    mount3::decode_path(in, path);
    mount3::MntRes res;
    res.status = path == "/export" ? mount3::Status::ok : mount3::Status::noent;
    res.root = tree.handle(1);
    res.flavors = {1};
    mount3::encode(out, res);
  } else {
    Buffer results = tree.answer(static_cast<nfs3::Procedure>(call.procedure), in);
    out.raw(results.view());
  }
  return call.message(out.view(), call.xid);
}

void FakeOrigin::answer(const Call& call) { call.send(answer_message(call)); }

}  // namespace rowan::test
