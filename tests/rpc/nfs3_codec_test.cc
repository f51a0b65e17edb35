#include "rpc/nfs3_codec.h"

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "tests/rpc/oracle_nfs3.h"
#include "tests/support/random_nfs3.h"
#include "tests/support/catch.h"

namespace rowan::nfs3 {
namespace {

using test::Nfs3Maker;
using Bytes = std::vector<std::byte>;

Bytes to_bytes(ByteView view) { return {view.begin(), view.end()}; }

// The two directions of one procedure as one interface, so that every test body serves both.
template <Procedure P>
struct Arguments {
  static constexpr Procedure procedure = P;
  static constexpr std::string_view what = "args";
  using Value = typename Codec<P>::Args;
  static bool decode(xdr::Reader& in, Value& value) { return Codec<P>::decode_args(in, value); }
  static void encode(xdr::Writer& out, const Value& value) { Codec<P>::encode_args(out, value); }
  static test::OracleAnswer ask(ByteView wire) { return test::ask_about_args(P, wire); }
};
template <Procedure P>
struct Results {
  static constexpr Procedure procedure = P;
  static constexpr std::string_view what = "res";
  using Value = typename Codec<P>::Res;
  static bool decode(xdr::Reader& in, Value& value) { return Codec<P>::decode_res(in, value); }
  static void encode(xdr::Writer& out, const Value& value) { Codec<P>::encode_res(out, value); }
  static test::OracleAnswer ask(ByteView wire) { return test::ask_about_res(P, wire); }
};

template <class Visit>
void for_each_message(Visit visit) {
  for_each_procedure([&](auto procedure) {
    visit(Arguments<procedure()>());
    visit(Results<procedure()>());
  });
}

template <class Message>
Bytes encoded(const typename Message::Value& value) {
  xdr::Writer out;
  Message::encode(out, value);
  return to_bytes(out.view());
}

template <class Message>
Bytes random_message(std::uint64_t seed) {
  Nfs3Maker maker(seed);
  typename Message::Value value{};
  maker.make(value);
  return encoded<Message>(value);
}

template <class Message>
bool decodes(ByteView wire) {
  // A copy of its own, so that a sanitizer sees a read past the end.
  Bytes copy = to_bytes(wire);
  xdr::Reader in(copy);
  typename Message::Value value{};
  return Message::decode(in, value);
}

constexpr std::uint64_t first_seed = 1813;

TEST_CASE("every argument and result comes back from the wire as it went") {
  for_each_message([](auto message) {
    using Message = decltype(message);
    CAPTURE(to_string(Message::procedure), Message::what);
    for (std::uint64_t seed = first_seed; seed < first_seed + 300; ++seed) {
      CAPTURE(seed);
      Bytes wire = random_message<Message>(seed);
      xdr::Reader in(wire);
      typename Message::Value value{};
      REQUIRE(Message::decode(in, value));
      REQUIRE(encoded<Message>(value) == wire);
    }
  });
}

TEST_CASE("libtirpc reads every message as we write it, field by field") {
  for_each_message([](auto message) {
    using Message = decltype(message);
    CAPTURE(to_string(Message::procedure), Message::what);
    for (std::uint64_t seed = first_seed; seed < first_seed + 300; ++seed) {
      CAPTURE(seed);
      Bytes wire = random_message<Message>(seed);
      auto answer = Message::ask(wire);
      REQUIRE(answer.decoded);
      REQUIRE(answer.used == wire.size());
      REQUIRE(answer.by_oracle == wire);
      REQUIRE(answer.by_us == wire);
    }
  });
}

TEST_CASE("what we accept of damaged messages libtirpc accepts with the same meaning") {
  std::size_t accepted = 0, refused = 0;
  for_each_message([&](auto message) {
    using Message = decltype(message);
    CAPTURE(to_string(Message::procedure), Message::what);
    for (std::uint64_t seed = first_seed; seed < first_seed + 300; ++seed) {
      CAPTURE(seed);
      Bytes wire = random_message<Message>(seed);
      Nfs3Maker damage(seed);
      for (std::uint64_t i = 0; i <= damage.below(3); ++i) {
        wire[damage.below(wire.size())] = static_cast<std::byte>(damage.below(256));
      }
      xdr::Reader in(wire);
      typename Message::Value value{};
      if (!Message::decode(in, value)) {
        ++refused;
        continue;
      }
      ++accepted;
      auto answer = Message::ask(wire);
      REQUIRE(answer.decoded);
      REQUIRE(answer.used == wire.size());
      Bytes again = encoded<Message>(value);
      // A NUL in a name ends libtirpc's string, and an unknown status is kept by it.
      bool plain = answer.by_oracle.size() == wire.size() && again == answer.by_oracle;
      if (plain) REQUIRE(answer.by_us == again);
    }
  });
  CHECK(accepted > 1000);
  CHECK(refused > 1000);
}

TEST_CASE("a message cut at any byte or with bytes left over is refused") {
  for_each_message([](auto message) {
    using Message = decltype(message);
    CAPTURE(to_string(Message::procedure), Message::what);
    for (std::uint64_t seed = first_seed; seed < first_seed + 12; ++seed) {
      CAPTURE(seed);
      Bytes wire = random_message<Message>(seed);
      for (std::size_t cut = 0; cut < wire.size(); ++cut) {
        CAPTURE(cut);
        REQUIRE_FALSE(decodes<Message>(ByteView(wire).first(cut)));
      }
      REQUIRE(decodes<Message>(wire));
      for (std::size_t extra : {1u, 3u, 4u, 8u}) {
        Bytes longer = wire;
        longer.resize(wire.size() + extra);
        REQUIRE_FALSE(decodes<Message>(longer));
      }
    }
  });
}

std::string hex(ByteView bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (std::byte byte : bytes) {
    text += digits[std::to_integer<int>(byte) >> 4];
    text += digits[std::to_integer<int>(byte) & 15];
  }
  return text;
}

// With ROWAN_PRINT_GOLDEN set the file's lines are printed instead of compared.
TEST_CASE("every procedure's golden bytes are written and read as ever") {
  std::map<std::string, std::string> golden;
  std::ifstream file(ROWAN_SOURCE_DIR "/tests/golden/rpc/nfs3.txt");
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    std::string name, what, seed, bytes;
    fields >> name >> what >> seed >> bytes;
    golden[name + " " + what + " " + seed] = bytes;
  }
  bool print = std::getenv("ROWAN_PRINT_GOLDEN") != nullptr;
  for_each_message([&](auto message) {
    using Message = decltype(message);
    for (std::uint64_t seed : {1u, 2u, 3u}) {
      std::string key = std::string(to_string(Message::procedure)) + " " +
                        std::string(Message::what) + " " + std::to_string(seed);
      Bytes wire = random_message<Message>(seed);
      if (print) {
        std::printf("%s %s\n", key.c_str(), hex(wire).c_str());
        continue;
      }
      CAPTURE(key);
      REQUIRE(golden[key] == hex(wire));
      REQUIRE(decodes<Message>(wire));
    }
  });
}

TEST_CASE("names decode up to the limit and no further") {
  for (std::size_t size : {name_decode_limit, name_decode_limit + 1}) {
    std::string name(size, 'n');
    LookupArgs lookup;
    lookup.what.name = name;
    CHECK(decodes<Arguments<Procedure::lookup>>(
              encoded<Arguments<Procedure::lookup>>(lookup)) == (size == name_decode_limit));
    SymlinkArgs symlink;
    symlink.target = name;
    CHECK(decodes<Arguments<Procedure::symlink>>(
              encoded<Arguments<Procedure::symlink>>(symlink)) == (size == name_decode_limit));
    ReadlinkRes target;
    target.target = name;
    CHECK(decodes<Results<Procedure::readlink>>(
              encoded<Results<Procedure::readlink>>(target)) == (size == name_decode_limit));
  }
}

TEST_CASE("a handle of 65 bytes is refused") {
  xdr::Writer out;
  out.text(std::string(65, 'h'));
  CHECK_FALSE(decodes<Arguments<Procedure::getattr>>(out.view()));
  xdr::Writer fits;
  fits.text(std::string(64, 'h'));
  CHECK(decodes<Arguments<Procedure::getattr>>(fits.view()));
}

TEST_CASE("a READ reply whose count and data disagree is refused") {
  for (std::uint32_t count : {0u, 4u, 6u}) {
    xdr::Writer out;
    out.u32(0);
    out.boolean(false);
    out.u32(count);
    out.boolean(true);
    out.text("12345");
    CHECK_FALSE(decodes<Results<Procedure::read>>(out.view()));
    out.patch_u32(8, 5);
    CHECK(decodes<Results<Procedure::read>>(out.view()));
  }
}

TEST_CASE("a READ result's head and data together are the whole result") {
  for (std::size_t size : {0u, 1u, 4u, 4095u}) {
    ReadRes res;
    res.eof = true;
    res.data = Buffer::copy_of(as_bytes(std::string(size, 'd')));
    xdr::Writer out;
    encode_read_head(out, res);
    out.fixed_opaque(res.data.view());
    CHECK(to_bytes(out.view()) == encoded<Results<Procedure::read>>(res));
    xdr::Reader in(out.view());
    ReadResView view;
    REQUIRE(decode_read_view(in, view));
    CHECK(view.eof);
    CHECK(view.data.size() == size);
  }
}

TEST_CASE("a WRITE whose count and data disagree decodes, for the service to judge") {
  WriteArgs args;
  args.count = 10;
  args.data = as_bytes("1234");
  Bytes wire = encoded<Arguments<Procedure::write>>(args);
  xdr::Reader in(wire);
  WriteArgs back;
  REQUIRE(Codec<Procedure::write>::decode_args(in, back));
  CHECK(back.count == 10);
  CHECK(back.data.size() == 4);
  CHECK(back.data.data() >= wire.data());  // a view into the record, not a copy
}

TEST_CASE("a status that RFC 1813 does not have decodes as SERVERFAULT") {
  for (std::uint32_t status : {3u, 4u, 10000u, 10009u, 0xffffffffu}) {
    xdr::Writer out;
    out.u32(status);
    out.boolean(false);
    out.boolean(false);
    xdr::Reader in(out.view());
    SetattrRes res;
    REQUIRE(Codec<Procedure::setattr>::decode_res(in, res));
    CHECK(res.status == Status::serverfault);
  }
}

TEST_CASE("the sizes announced for listings are what the codec writes") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    Nfs3Maker maker(seed);
    ReaddirRes res;
    maker.make(res);
    res.status = Status::ok;
    std::size_t plain = encoded_overhead(res.dir_attributes.has_value());
    std::size_t plus = plain;
    for (const DirEntry& entry : res.entries) {
      plain += encoded_size(entry, false);
      plus += encoded_size(entry, true);
    }
    REQUIRE(encoded<Results<Procedure::readdir>>(res).size() == plain);
    REQUIRE(encoded<Results<Procedure::readdirplus>>(res).size() == plus);
  }
}

}  // namespace
}  // namespace rowan::nfs3
