#include "cache/stream_frames.h"

#include <utility>

#include "cache/disk_codec.h"

// names    per name: directory u64, child u64, first u8 (1: the name the id comes from is this
//          one; 0: its directory u64 and name follow), name: length u16, bytes
// changes  reached: length u16, key; totals; changes to the end
// totals   records u64, windows u64, data bytes u64, sum u64

namespace rowan::cache {
namespace {

Error damaged(std::string_view what) {
  return Error(Errc::corrupt, "a frame of " + std::string(what) + " that no sender writes");
}

void put(DiskWriter& out, const ChangeTotals& totals) {
  out.u64(totals.records);
  out.u64(totals.windows);
  out.u64(totals.data_bytes);
  out.u64(totals.sum);
}

ChangeTotals take_totals(DiskReader& in) {
  ChangeTotals totals;
  totals.records = in.u64();
  totals.windows = in.u64();
  totals.data_bytes = in.u64();
  totals.sum = in.u64();
  return totals;
}

bool is_first(const KnownName& name) {
  return name.directory == name.first_directory && name.name == name.first_name;
}

}  // namespace

std::string encode_names(const std::vector<KnownName>& names) {
  std::string content;
  DiskWriter out(content);
  for (const KnownName& name : names) {
    out.u64(to_number(name.directory));
    out.u64(to_number(name.child));
    out.u8(is_first(name) ? 1 : 0);
    if (!is_first(name)) {
      out.u64(to_number(name.first_directory));
      out.text(name.first_name);
    }
    out.text(name.name);
  }
  return content;
}

Result<std::vector<KnownName>> decode_names(std::string_view content) {
  std::vector<KnownName> names;
  DiskReader in(content);
  while (in.left() > 0) {
    KnownName name;
    name.directory = ObjectId{in.u64()};
    name.child = ObjectId{in.u64()};
    const std::uint8_t first = in.u8();
    if (first == 0) {
      name.first_directory = ObjectId{in.u64()};
      name.first_name = in.text();
    }
    name.name = in.text();
    if (in.failed() || first > 1) return damaged("names");
    if (first == 1) {
      name.first_directory = name.directory;
      name.first_name = name.name;
    }
    names.push_back(std::move(name));
  }
  if (in.failed()) return damaged("names");
  return names;
}

std::string encode(const ChangesFrame& frame) {
  std::string content;
  DiskWriter out(content);
  out.text(frame.reached);
  put(out, frame.totals);
  out.raw(frame.changes);
  return content;
}

Result<ChangesFrame> decode_changes(std::string_view content) {
  DiskReader in(content);
  ChangesFrame frame;
  frame.reached = in.text();
  frame.totals = take_totals(in);
  if (in.failed() || frame.reached.size() > max_key_bytes) return damaged("changes");
  frame.changes = in.raw(in.left());
  return frame;
}

std::string encode(const ChangeTotals& totals) {
  std::string content;
  DiskWriter out(content);
  put(out, totals);
  return content;
}

Result<ChangeTotals> decode_totals(std::string_view content) {
  DiskReader in(content);
  const ChangeTotals totals = take_totals(in);
  if (!in.finished()) return damaged("totals");
  return totals;
}

}  // namespace rowan::cache
