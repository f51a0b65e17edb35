#include "proxy/config.h"

#include "proxy/names.h"
#include "proxy/size_text.h"
#include "tests/support/catch.h"

namespace rowan::proxy {
namespace {

TEST_CASE("durations have a number and a unit") {
  CHECK(parse_duration("90s").value() == 90);
  CHECK(parse_duration("15m").value() == 900);
  CHECK(parse_duration("1h").value() == 3600);
  CHECK(parse_duration("2w").value() == 14 * 86400);
  for (const char* text : {"", "1", "h", "0h", "1.5h", "1 h", "-1h", "1hh", "99999999999w"}) {
    INFO(text);
    CHECK(parse_duration(text).failed_with(Errc::usage));
  }
}

TEST_CASE("sizes are read in powers of 1024, with or without a fraction") {
  auto [text, bytes] =
      GENERATE(table<std::string, std::uint64_t>({{"0", 0},
                                                  {"512", 512},
                                                  {"512B", 512},
                                                  {"64K", 64u << 10},
                                                  {"64k", 64u << 10},
                                                  {"64KB", 64u << 10},
                                                  {"64KiB", 64u << 10},
                                                  {"10 GiB", 10ull << 30},
                                                  {"1.5T", 3ull << 39},
                                                  {"0.5M", 512u << 10},
                                                  {"7E", 7ull << 60},
                                                  {"9223372036854775807", INT64_MAX}}));
  INFO(text);
  CHECK(parse_size(text).value() == bytes);
}

TEST_CASE("what is not a size is refused") {
  auto text = GENERATE(as<std::string>{}, "", " ", "-1", "+1", "1.", ".5G", "1..5G", "1.5", "1.5B",
                       "10X", "10GG", "10Gi", "10 G x", "8E", "99999999999999999999",
                       "9223372036854775808", "1e9", "0x10", "10G ");
  INFO(text);
  CHECK(parse_size(text).failed_with(Errc::usage));
}

TEST_CASE("sizes are written with one decimal and never as 1024.0") {
  CHECK(size_text(0) == "0 B");
  CHECK(size_text(1023) == "1023 B");
  CHECK(size_text(1024) == "1.0 KiB");
  CHECK(size_text((1u << 20) - 1) == "1.0 MiB");
  CHECK(size_text(10ull << 30) == "10.0 GiB");
  CHECK(size_text(UINT64_MAX) == "16.0 EiB");
}

TEST_CASE("durations, shares and counts are short") {
  CHECK(duration_text(0) == "0 ns");
  CHECK(duration_text(1500) == "1.5 us");
  CHECK(duration_text(250'000) == "250 us");
  CHECK(duration_text(3'400'000) == "3.4 ms");
  CHECK(duration_text(999'900'000) == "1.0 s");
  CHECK(share_text(1, 8) == "12.5 %");
  CHECK(share_text(1, 0) == "-");
  CHECK(count_text(0) == "0");
  CHECK(count_text(999) == "999");
  CHECK(count_text(1000) == "1,000");
  CHECK(count_text(1234567) == "1,234,567");
}

TEST_CASE("names keep to their alphabet") {
  for (const char* good : {"vm1", "a", "Debian-12.5_x", "0"}) CHECK(is_valid_name(good));
  CHECK(is_valid_name(std::string(64, 'x')));
  for (const char* bad : {"", ".", "..", ".vm", "-vm", "a/b", "a b", "a@b", "\xc3\xa4", "a\n"})
    CHECK(!is_valid_name(bad));
  CHECK(!is_valid_name(std::string(65, 'x')));
  CHECK(!is_valid_name(std::string_view("a\0b", 3)));
}

TEST_CASE("an image name may carry a version") {
  CHECK(parse_image_name("debian").value().name == "debian");
  CHECK(parse_image_name("debian").value().version.empty());
  CHECK(parse_image_name("debian@2").value().version == "2");
  CHECK(parse_image_name("debian@").failed_with(Errc::usage));
  CHECK(parse_image_name("@2").failed_with(Errc::usage));
  CHECK(parse_image_name("a@b@c").failed_with(Errc::usage));
}

TEST_CASE("an unnamed image is called after the last part of its source") {
  CHECK(name_from_source("nfs://host/images/debian-12?nfsport=1") == "debian-12");
  CHECK(name_from_source("/srv/my image/") == "my-image");
  CHECK(name_from_source("/") == "image");
  CHECK(name_from_source("/srv/.hidden") == "_hidden");
  for (const char* source : {"nfs://h/\xff\xfe", "/a/--", "///", ""})
    CHECK(is_valid_name(name_from_source(source)));
}

TEST_CASE("listen addresses are numbers, never names") {
  CHECK(parse_listen_address("127.0.0.1:2049").value().port == 2049);
  CHECK(parse_listen_address("0.0.0.0:0").value().port == 0);
  CHECK(parse_listen_address("[::1]:65535").value().host == "::1");
  for (const char* bad :
       {"", ":2049", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "localhost:1",
        "::1:2049", "[127.0.0.1]:1", "[::1]", "127.0.0.1:20x", "1.2.3:4", "[]:1"}) {
    INFO(bad);
    CHECK(parse_listen_address(bad).failed_with(Errc::usage));
  }
}

std::vector<FileSetting> parsed(std::string_view text) {
  return parse_config(text, "rowan.toml").value();
}

TEST_CASE("a configuration file sets what the flags set") {
  ServeConfig config;
  auto settings = parsed(
      "listen = ['10.0.0.1:2049', '[::1]:2050']\ncache-size = '1G'\nlog-level = 'debug'\nrpcbind = "
      "true\n");
  REQUIRE(apply_settings(config, settings, "rowan.toml", {}));
  CHECK(config.listen == std::vector<std::string>{"10.0.0.1:2049", "[::1]:2050"});
  CHECK(config.cache_bytes == 1u << 30);
  CHECK(config.log_level == Level::debug);
  CHECK(config.rpcbind);
}

TEST_CASE("a list of one address may be written without brackets, a size as a number") {
  ServeConfig config;
  REQUIRE(apply_settings(config, parsed("listen = '10.0.0.1:1'\ncache-size = 67108864"), "f", {}));
  CHECK(config.listen == std::vector<std::string>{"10.0.0.1:1"});
  CHECK(config.cache_bytes == 64u << 20);
}

TEST_CASE("the command line wins over the file") {
  ServeConfig config;
  std::vector<std::string> given{"cache-size"};
  REQUIRE(apply_settings(config, parsed("cache-size = '1G'\nrpcbind = true"), "f", given));
  CHECK(config.cache_bytes == 10ull << 30);
  CHECK(config.rpcbind);
}

TEST_CASE("a mistake in the file is named with its line and column") {
  auto [text, place] = GENERATE(table<std::string, std::string>({
      {"rpcbind = true\n  cache_size = '1G'\n", "rowan.toml:2:16: unknown setting 'cache_size'"},
      {"cache-size = 'huge'\n", "rowan.toml:1:14: cache-size: 'huge' is not a size"},
      {"cache-size = 1\n", "cache-size: the block cache needs at least 16.0 MiB"},
      {"cache-size = ['1G', '2G']\n", "takes one value"},
      {"rpcbind = 'maybe'\n", "give true or false"},
      {"listen = []\n", "give 1 to 16 addresses"},
      {"listen = ['localhost:1']\n", "'localhost:1' is not ADDR:PORT"},
      {"log-level = 'loud'\n", "'loud' is not a log level"},
      {"[serve]\nrpcbind = true\n", "unknown setting 'serve'"},
  }));
  INFO(text);
  ServeConfig config;
  auto result = apply_settings(config, parsed(text), "rowan.toml", {});
  REQUIRE(result.failed_with(Errc::usage));
  INFO(result.error().detail);
  CHECK(result.error().detail.find(place) != std::string::npos);
}

TEST_CASE("a file that is not TOML is named with its line and column") {
  auto text = GENERATE(as<std::string>{}, "listen = \n", "\n= 3", "a = 'x", "a = 1\na = 2\n",
                       "\x01", "when = 1979-05-27", "share = 0.5");
  auto result = parse_config(text, "rowan.toml");
  REQUIRE(result.failed_with(Errc::usage));
  INFO(result.error().detail);
  CHECK(result.error().detail.find("rowan.toml:") == 0);
}

TEST_CASE("every option's default text is the default") {
  for (const Option& option : serve_options()) {
    ServeConfig config, fresh;
    std::vector<std::string> values{std::string(option.default_text)};
    INFO(option.name);
    REQUIRE(option.apply(config, values));
    CHECK(config.listen == fresh.listen);
    CHECK(config.cache_bytes == fresh.cache_bytes);
    CHECK(config.log_level == fresh.log_level);
    CHECK(config.rpcbind == fresh.rpcbind);
  }
}

}  // namespace
}  // namespace rowan::proxy
