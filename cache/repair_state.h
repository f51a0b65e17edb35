// One state of a store that lost records: what the rest of them says about those.
#pragma once

#include <cstdint>

#include "cache/repair.h"
#include "cache/table_mend.h"

namespace rowan::cache {

// Puts records in place of lost ones, and adds what cannot be had again to the report. States that
// are above this one come first. `next_mark`: the first block of lost_segment that nothing refers
// to.
Result<void> repair_state(TableMender& mender, const StateInfo& info, std::uint32_t& next_mark,
                          RepairReport& report);

}  // namespace rowan::cache
