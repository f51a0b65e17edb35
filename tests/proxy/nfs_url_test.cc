#include "proxy/nfs_url.h"

#include <catch2/catch.hpp>

namespace rowan::proxy {
namespace {

NfsUrl parsed(std::string_view text) {
  auto url = parse_nfs_url(text);
  INFO(text);
  REQUIRE(url);
  return *url;
}

TEST_CASE("a source is read as libnfs writes it") {
  NfsUrl url =
      parsed("nfs://10.0.0.1/images/debian?nfsport=2050&mountport=2051&uid=7&gid=8&version=3");
  REQUIRE(url.host == "10.0.0.1");
  REQUIRE(url.export_path == "/images/debian");
  REQUIRE(url.nfs_port == 2050);
  REQUIRE(url.mount_port == 2051);
  REQUIRE(url.uid == 7);
  REQUIRE(url.gid == 8);
}

TEST_CASE("without options everything is asked of the port mapper and identity is root") {
  NfsUrl url = parsed("nfs://server.example.org/srv");
  REQUIRE_FALSE(url.nfs_port);
  REQUIRE_FALSE(url.mount_port);
  REQUIRE(url.uid == 0);
  REQUIRE(url.gid == 0);
}

TEST_CASE("hosts may be IPv6, carry a port, and exports be the root or escaped") {
  REQUIRE(parsed("nfs://[2001:db8::1]/x").host == "2001:db8::1");
  NfsUrl both = parsed("nfs://[::1]:2049/x");
  REQUIRE(both.host == "::1");
  REQUIRE(both.nfs_port == 2049);
  REQUIRE(parsed("nfs://h:1/").export_path == "/");
  REQUIRE(parsed("nfs://h/a/b/").export_path == "/a/b");
  REQUIRE(parsed("nfs://h/a%20b%3f").export_path == "/a b?");
}

TEST_CASE("every source is written in one spelling that reads back as the same") {
  for (auto text : {"nfs://h/", "nfs://[::1]:9/a", "nfs://h/a%25%20b?gid=4294967295",
                    "nfs://h:1/x?uid=1", "nfs://h/\xff\x01?nfsport=65535&mountport=1"}) {
    NfsUrl url = parsed(text);
    REQUIRE(parsed(to_string(url)) == url);
  }
  REQUIRE(to_string(parsed("nfs://h:2049/a/?version=3")) == "nfs://h/a?nfsport=2049");
}

TEST_CASE("what is not a source is refused with the reason") {
  for (auto [text, reason] : {
           std::pair("/srv/image", "nfs://"),
           std::pair("nfs://", "host"),
           std::pair("nfs:///x", "host"),
           std::pair("nfs://h", "export is missing"),
           std::pair("nfs://h:/x", "port"),
           std::pair("nfs://h:0/x", "port"),
           std::pair("nfs://h:65536/x", "port"),
           std::pair("nfs://[::1/x", "host"),
           std::pair("nfs://[::1]x/x", "host"),
           std::pair("nfs://a b/x", "host"),
           std::pair("nfs://h/a//b", "empty name"),
           std::pair("nfs://h/a/../b", "'..'"),
           std::pair("nfs://h/./b", "'.'"),
           std::pair("nfs://h/a%00b", "NUL"),
           std::pair("nfs://h/a%2", "%"),
           std::pair("nfs://h/a%zz", "%"),
           std::pair("nfs://h/a?uid=-1", "uid=-1"),
           std::pair("nfs://h/a?uid=4294967296", "uid"),
           std::pair("nfs://h/a?nfsport=", "nfsport"),
           std::pair("nfs://h/a?nfsport=1x", "nfsport"),
           std::pair("nfs://h/a?version=4", "version 3"),
           std::pair("nfs://h/a?debug=1", "unknown option 'debug'"),
       }) {
    INFO(text);
    auto url = parse_nfs_url(text);
    REQUIRE(url.failed_with(Errc::usage));
    REQUIRE(url.error().detail.find(reason) != std::string::npos);
  }
  REQUIRE(parse_nfs_url("nfs://h/" + std::string(1024, 'a')).failed_with(Errc::usage));
}

}  // namespace
}  // namespace rowan::proxy
