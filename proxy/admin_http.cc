#include "proxy/admin_http.h"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "proxy/json.h"

namespace rowan::proxy {
namespace {

namespace http = boost::beast::http;

unsigned status_of(const boost::system::error_code& error) {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::bad_version) return 505;
  return 400;
}

std::string_view reason_of(unsigned status) {
  auto reason = http::obsolete_reason(static_cast<http::status>(status));
  return {reason.data(), reason.size()};
}

}  // namespace

struct HttpRequestReader::Parser {
  http::request_parser<http::string_body> request;
};

HttpRequestReader::HttpRequestReader() : parser_(std::make_unique<Parser>()) {
  parser_->request.eager(true);
  parser_->request.header_limit(max_http_head_bytes);
  parser_->request.body_limit(max_http_body_bytes);
}

HttpRequestReader::~HttpRequestReader() = default;

HttpRequestReader::State HttpRequestReader::feed(std::string_view bytes) {
  if (state_ != State::more) return state_;
  pending_ += bytes;
  boost::system::error_code error;
  while (!parser_->request.is_done() && !pending_.empty()) {
    std::size_t used = parser_->request.put(boost::asio::buffer(pending_), error);
    pending_.erase(0, used);
    if (error == http::error::need_more) break;
    if (error) return refuse(status_of(error), error.message());
    if (used == 0) break;
  }
  if (parser_->request.is_done()) {
    pending_.clear();
    state_ = State::complete;
  } else if (pending_.size() > max_http_head_bytes) {
    // Beast looks at its limit only when a line is complete.
    return refuse(431, "the request's head is too long");
  }
  return state_;
}

HttpRequest HttpRequestReader::take() {
  CHECK(state_ == State::complete);
  auto message = parser_->request.release();
  HttpRequest request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  request.body = std::move(message.body());
  return request;
}

HttpRequestReader::State HttpRequestReader::refuse(unsigned status, std::string_view why) {
  pending_ = {};
  refusal_ = error_reply(status, "malformed", why);
  state_ = State::refused;
  return state_;
}

std::string encode_http_reply(const HttpReply& reply) {
  std::string text = "HTTP/1.1 " + std::to_string(reply.status) + " ";
  text += reason_of(reply.status);
  text += "\r\nContent-Type: " + reply.content_type;
  text += "\r\nConnection: close\r\nContent-Length: ";
  text += std::to_string(reply.body.size()) + "\r\n\r\n" + reply.body;
  return text;
}

HttpReply error_reply(unsigned status, std::string_view code, std::string_view message) {
  Json body;
  body["error"]["code"] = code;
  body["error"]["message"] = message;
  HttpReply reply;
  reply.status = status;
  reply.body = json_line(body) + "\n";
  return reply;
}

std::string encode_http_request(const HttpRequest& request) {
  return request.method + " " + request.target +
         " HTTP/1.1\r\nHost: rowan\r\nConnection: close\r\nContent-Type: "
         "application/json\r\nContent-Length: " +
         std::to_string(request.body.size()) + "\r\n\r\n" + request.body;
}

Result<HttpReply> decode_http_reply(std::string_view text, std::size_t body_limit) {
  http::response_parser<http::string_body> parser;
  parser.eager(true);
  parser.body_limit(body_limit);
  boost::system::error_code error;
  while (!parser.is_done() && !text.empty() && !error) {
    std::size_t used = parser.put(boost::asio::buffer(text.data(), text.size()), error);
    text.remove_prefix(used);
  }
  if (!parser.is_done())
    return Error(Errc::malformed, "the daemon's answer is not HTTP, or was cut short");
  HttpReply reply;
  reply.status = parser.get().result_int();
  reply.body = std::move(parser.get().body());
  return reply;
}

}  // namespace rowan::proxy
