#include "proxy/admin_http.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "proxy/json.h"
#include "rpc/base/unique_fd.h"
#include "tests/support/catch.h"
#include "tests/support/temp_directory.h"

namespace rowan::proxy {
namespace {

namespace fs = std::filesystem;
using State = HttpRequestReader::State;

const std::string post =
    "POST /v1/images HTTP/1.1\r\nHost: rowan\r\nContent-Length: 13\r\n\r\n{\"name\":\"vm\"}";

TEST_CASE("a request is read from any split of its bytes") {
  for (std::size_t first = 0; first <= post.size(); ++first) {
    for (std::size_t second = first; second <= post.size(); second += 7) {
      HttpRequestReader reader;
      reader.feed(std::string_view(post).substr(0, first));
      reader.feed(std::string_view(post).substr(first, second - first));
      reader.feed(std::string_view(post).substr(second));
      REQUIRE(reader.state() == State::complete);
      HttpRequest request = reader.take();
      CHECK(request.method == "POST");
      CHECK(request.target == "/v1/images");
      CHECK(request.body == "{\"name\":\"vm\"}");
    }
  }
}

TEST_CASE("a request is not complete before its last byte") {
  for (std::size_t cut = 0; cut < post.size(); ++cut) {
    HttpRequestReader reader;
    CHECK(reader.feed(std::string_view(post).substr(0, cut)) == State::more);
  }
}

TEST_CASE("what is not HTTP is refused with a reply") {
  auto text = GENERATE(as<std::string>{}, "\r\n\r\n\r\n", "hello\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
                       "GET /\x01 HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nbroken field\r\n\r\n",
                       "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                       "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n");
  HttpRequestReader reader;
  INFO(text);
  REQUIRE(reader.feed(text) == State::refused);
  CHECK(reader.refusal().status >= 400);
  CHECK(parse_json(reader.refusal().body));
}

TEST_CASE("an endless line, endless fields and an endless body are refused within the limits") {
  auto [start, filler, status] = GENERATE(table<std::string, std::string, unsigned>({
      {"GET /", std::string(1000, 'a'), 431},
      {"", std::string(1000, 'x'), 431},
      {"GET / HTTP/1.1\r\n", "Field: value\r\n", 431},
      {"GET / HTTP/1.1\r\nField: ", std::string(1000, 'y'), 431},
      {"POST / HTTP/1.1\r\nContent-Length: 1073741824\r\n\r\n", std::string(1000, 'z'), 413},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
       "400\r\n" + std::string(1024, 'c') + "\r\n", 413},
  }));
  HttpRequestReader reader;
  reader.feed(start);
  std::size_t sent = start.size();
  while (reader.state() == State::more && sent < (1u << 30)) {
    reader.feed(filler);
    sent += filler.size();
  }
  CHECK(reader.state() == State::refused);
  CHECK(reader.refusal().status == status);
  const std::size_t around_chunks = max_http_body_bytes / 1024 * 8;
  CHECK(sent <= max_http_head_bytes + max_http_body_bytes + around_chunks + 4096);
}

TEST_CASE("only root and the daemon's own user are admitted") {
  static_assert(admits_peer(0, 1000) && admits_peer(1000, 1000));
  static_assert(!admits_peer(1001, 1000) && !admits_peer(1000, 0) && !admits_peer(65534, 0));
}

TEST_CASE("error replies are JSON whatever the message holds") {
  Json body = parse_json(error_reply(404, "not_found", "no \"vm\xff\"\n").body).value();
  CHECK(text_member(body["error"], "code").value() == "not_found");
}

// Echoes method and target; counts what it was asked.
class EchoHandler final : public AdminHandler {
 public:
  Task<HttpReply> handle(const HttpRequest& request) override {
    ++calls;
    HttpReply reply;
    reply.body = request.method + " " + request.target + " " + request.body;
    co_return reply;
  }
  int calls = 0;
};

// A server on a loop of its own thread, as in the daemon.
class ServedSocket {
 public:
  explicit ServedSocket(const std::string& path)
      : server_(AdminServer::listen(loop_, path, handler).value()) {
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~ServedSocket() {
    loop_.post([this] { closing_.start(close()); });
    thread_.join();
  }
  EchoHandler handler;

 private:
  Task<void> close() {
    co_await server_->close();
    loop_.stop();
  }
  AsioLoop loop_;
  std::unique_ptr<AdminServer> server_;
  TaskGroup closing_;
  std::thread thread_;
};

HttpRequest get(std::string target) { return {"GET", std::move(target), ""}; }
constexpr Duration patience = std::chrono::seconds(30);

UniqueFd connect_raw(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

TEST_CASE("a request over the socket gets its reply, and the socket is private") {
  test::TempDirectory directory;
  std::string path = directory.path() + "/rowan.sock";
  {
    ServedSocket served(path);
    struct stat about;
    REQUIRE(::stat(path.c_str(), &about) == 0);
    CHECK((about.st_mode & 0777) == 0600);
    auto reply = call_admin(path, get("/v1/status"), patience);
    REQUIRE(reply);
    CHECK(reply->status == 200);
    CHECK(reply->body == "GET /v1/status ");
    std::string big(max_http_body_bytes, 'b');
    CHECK(call_admin(path, {"POST", "/x", big}, patience)->body == "POST /x " + big);
    CHECK(call_admin(path, {"POST", "/x", big + "b"}, patience)->status == 413);
  }
  CHECK(!fs::exists(path));
  CHECK(call_admin(path, get("/"), patience).failed_with(Errc::disconnected));
}

TEST_CASE("idle connections beyond the limit wait, and shutting down does not wait for them") {
  test::TempDirectory directory;
  std::string path = directory.path() + "/rowan.sock";
  ServedSocket served(path);
  std::vector<UniqueFd> idle;
  for (std::size_t i = 0; i < max_admin_connections - 1; ++i) idle.push_back(connect_raw(path));
  CHECK(call_admin(path, get("/a"), patience)->status == 200);
  idle.push_back(connect_raw(path));
  idle.push_back(connect_raw(path));
  // All places are taken: the next one is served as soon as one is given back.
  UniqueFd waiting = connect_raw(path);
  std::string request = "GET /late HTTP/1.1\r\nHost: rowan\r\n\r\n";
  REQUIRE(::send(waiting.get(), request.data(), request.size(), MSG_NOSIGNAL) > 0);
  idle.clear();
  char text[512];
  ssize_t got = ::recv(waiting.get(), text, sizeof text, 0);
  REQUIRE(got > 0);
  CHECK(std::string_view(text, static_cast<std::size_t>(got)).starts_with("HTTP/1.1 200 OK"));
}

TEST_CASE("a socket that a dead process left is replaced, a live one is not") {
  test::TempDirectory directory;
  std::string path = directory.path() + "/rowan.sock";
  {
    ServedSocket served(path);
    AsioLoop loop;
    EchoHandler handler;
    CHECK(AdminServer::listen(loop, path, handler).failed_with(Errc::busy));
    fs::create_hard_link(path, path + ".left");
  }
  fs::rename(path + ".left", path);
  REQUIRE(fs::exists(path));
  ServedSocket again(path);
  CHECK(call_admin(path, get("/"), patience)->status == 200);
}

TEST_CASE("a path that is not ours is refused and left alone") {
  test::TempDirectory directory, elsewhere;
  AsioLoop loop;
  EchoHandler handler;
  std::string path = directory.path() + "/rowan.sock";
  SECTION("a file") { std::ofstream(path) << "precious"; }
  SECTION("a directory") { fs::create_directory(path); }
  SECTION("a symlink, also a dangling one") {
    fs::create_symlink(elsewhere.path() + "/x.sock", path);
  }
  auto refused = AdminServer::listen(loop, path, handler);
  CHECK(refused.failed_with(Errc::access));
  CHECK(fs::exists(fs::symlink_status(path)));
}

TEST_CASE("a directory that others may write to is refused") {
  test::TempDirectory directory;
  AsioLoop loop;
  EchoHandler handler;
  fs::permissions(directory.path(), fs::perms::others_write, fs::perm_options::add);
  auto refused = AdminServer::listen(loop, directory.path() + "/rowan.sock", handler);
  REQUIRE(refused.failed_with(Errc::access));
  CHECK(refused.error().detail.find("chmod go-w") != std::string::npos);
}

TEST_CASE("a path too long for a socket is refused by name") {
  test::TempDirectory directory;
  AsioLoop loop;
  EchoHandler handler;
  CHECK(AdminServer::listen(loop, directory.path() + "/" + std::string(120, 'x'), handler)
            .failed_with(Errc::name_too_long));
}

}  // namespace
}  // namespace rowan::proxy
