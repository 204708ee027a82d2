// SPDX-License-Identifier: EUPL-1.2
// Stores received batches while the exchange fetches the next ones: one thread rebuilds and checks,
// one writes, several batches to a transaction. For long streams towards an empty replica; the
// simulator uses DirectIntake instead.
#pragma once

#include <cstddef>
#include <memory>

#include "sync/session.h"

namespace staffel::sync {

// Batches under way before Take waits.
inline constexpr std::size_t kQueueBatchesMax = 8;
// Entries merged into one transaction, about.
inline constexpr std::size_t kTransactionEntries = 10'000;

// Take and Flush: one thread at a time. Its two threads end with it; what was taken and not flushed
// is then stored or dropped, as it comes: dropped entries are asked for again.
class IngestQueue final : public Intake {
 public:
  explicit IngestQueue(Store& store);  // outlives the queue
  ~IngestQueue() override;
  [[nodiscard]] Status Take(ReceivedBatch batch) override;
  [[nodiscard]] Result<std::vector<Ingested>> Flush() override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace staffel::sync
