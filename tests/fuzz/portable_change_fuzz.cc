// Changes from another host: no input crashes the reader, and what it takes has one form.
// sources: cache/portable_change.cc cache/store_records.cc cache/table_batch.cc
#include "cache/portable_change.h"

#include "tests/fuzz/fuzz.h"

using namespace rowan::cache;

std::vector<std::string> rowan::fuzz::seeds() {
  const ObjectId file{77};
  ObjectRecord record;
  record.name = "file";
  std::string out;
  encode(PutRecord{object_key(file), encode(record)}, out);
  encode(PutRecord{counters_key(), encode(Counters{})}, out);
  encode(PutRecord{name_key(file, "a"), encode(NameRecord{file, 3})}, out);
  encode(EraseRecord{sequence_key(file, 9)}, out);
  PortableWindow window{file, 0, 0x10, {}};
  window.blocks.push_back({5, {{0, 10}, {100, 101}}, std::string(11, 'h')});
  window.blocks.push_back({7, {{0, data_block_size}}, std::string(data_block_size, 'w')});
  std::string windows;
  encode(window, windows);
  return {out, windows, out + windows};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = rowan::as_text(rowan::fuzz::view(data, size));
  PortableReader reader(bytes);
  std::string again;
  for (;;) {
    auto change = reader.next();
    if (!change) FUZZ_CHECK(!reader.next());
    if (!change || !*change) break;
    encode(**change, again);
    FUZZ_CHECK(bytes.starts_with(again));
  }
  return 0;
}
