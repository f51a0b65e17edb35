// A frame's changes as transactions of a bounded size: what the receiving store does with them.
#pragma once

#include <string>
#include <vector>

#include "cache/portable_change.h"
#include "cache/store.h"

namespace rowan::cache {

class ChangeParcels {
 public:
  // Changes one after the other (portable_change.h).
  explicit ChangeParcels(std::string bytes) : bytes_(std::move(bytes)), reader_(bytes_) {}
  ChangeParcels(const ChangeParcels&) = delete;
  ChangeParcels& operator=(const ChangeParcels&) = delete;

  // Puts the next changes into an empty transaction, which is to be applied before the next call;
  // false: there are none. corrupt: the bytes are no changes; stays.
  Result<bool> next(Transaction& into);

 private:
  std::string bytes_;
  PortableReader reader_;
  std::vector<PortableChange> changes_;   // those the transaction refers to
};

}  // namespace rowan::cache
