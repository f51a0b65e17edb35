// What an engine shows to who runs its disk jobs. Strand, jobs, needs_load, tickets and failure: as
// in table.h. Whatever shares files shares this too: who drives one store of a family drives all.
#pragma once

#include <memory>
#include <optional>

#include "cache/table.h"
#include "rpc/base/loop.h"
#include "rpc/base/result.h"

namespace rowan::cache {

class JobSource {
 public:
  virtual ~JobSource() = default;
  virtual void want_durable(Ticket ticket) = 0;
  virtual Ticket applied() const = 0;
  virtual Ticket durable() const = 0;
  virtual const std::optional<Error>& failure() const = 0;
  virtual std::unique_ptr<Job> take_load() = 0;
  virtual std::unique_ptr<Job> next_job() = 0;
  virtual void complete(std::unique_ptr<Job> job) = 0;
  // True while jobs are handed out or would be: a clean shutdown runs next_job() until this is
  // false.
  virtual bool busy() const = 0;
  virtual void prepare_close() = 0;
  virtual const std::optional<Error>& stalled() const = 0;
};

}  // namespace rowan::cache
