// SPDX-License-Identifier: EUPL-1.2
#include "sync/ingest_queue.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace staffel::sync {

class IngestQueue::Impl {
 public:
  explicit Impl(Store& store)
      : store_(store), preparer_([this] { PrepareAll(); }), writer_([this] { WriteAll(); }) {}

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    changed_.notify_all();
    preparer_.join();
    writer_.join();
  }

  Status Take(ReceivedBatch batch) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return under_way_ < kQueueBatchesMax || failure_; });
    if (failure_) return tl::unexpected<Error>(*failure_);
    ++under_way_;
    received_.push_back(std::move(batch));
    lock.unlock();
    changed_.notify_all();
    return {};
  }

  Result<std::vector<Ingested>> Flush() {
    std::unique_lock lock(mutex_);
    changed_.notify_all();
    changed_.wait(lock, [&] { return under_way_ == 0; });
    auto done = std::exchange(done_, {});
    if (failure_) {
      const Error failure = *std::exchange(failure_, std::nullopt);
      return tl::unexpected<Error>(failure);
    }
    return done;
  }

 private:
  struct Prepared {
    PreparedBatch batch;
    std::vector<RunResult> broken;
    std::size_t entries = 0;
  };

  void PrepareAll() {
    for (;;) {
      ReceivedBatch received;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return closing_ || !received_.empty(); });
        if (closing_) return;
        received = std::move(received_.front());
        received_.pop_front();
      }
      Prepared prepared;
      for (const WireRun& run : received.runs) prepared.entries += run.count;
      prepared.batch = PrepareReceived(store_, std::move(received), prepared.broken);
      {
        const std::lock_guard lock(mutex_);
        prepared_entries_ += prepared.entries;
        prepared_.push_back(std::move(prepared));
      }
      changed_.notify_all();
    }
  }

  // Whether the writer should begin: a full transaction, or nothing that would make it fuller.
  bool HasTransaction() const {
    if (prepared_.empty()) return false;
    return prepared_entries_ >= kTransactionEntries || prepared_.size() == under_way_;
  }

  void WriteAll() {
    for (;;) {
      std::vector<Prepared> taken;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return closing_ || HasTransaction(); });
        if (closing_) return;
        std::size_t entries = 0;
        while (!prepared_.empty() && (taken.empty() || entries < kTransactionEntries)) {
          entries += prepared_.front().entries;
          prepared_entries_ -= prepared_.front().entries;
          taken.push_back(std::move(prepared_.front()));
          prepared_.pop_front();
        }
      }
      std::vector<PreparedBatch> batches;
      for (Prepared& prepared : taken) batches.push_back(std::move(prepared.batch));
      auto ingested = store_.IngestAll(std::move(batches));
      {
        const std::lock_guard lock(mutex_);
        if (!ingested) {
          if (!failure_) failure_ = ingested.error();
        } else {
          for (Ingested& batch : *ingested) done_.push_back(std::move(batch));
        }
        for (Prepared& prepared : taken) {
          if (prepared.broken.empty()) continue;
          Ingested only_broken;
          only_broken.runs = std::move(prepared.broken);
          done_.push_back(std::move(only_broken));
        }
        under_way_ -= taken.size();
      }
      changed_.notify_all();
    }
  }

  Store& store_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<ReceivedBatch> received_;
  std::deque<Prepared> prepared_;
  std::size_t prepared_entries_ = 0;
  std::size_t under_way_ = 0;  // taken and not yet stored
  std::vector<Ingested> done_;
  std::optional<Error> failure_;
  bool closing_ = false;
  std::thread preparer_;  // last: they begin when all else is there
  std::thread writer_;
};

IngestQueue::IngestQueue(Store& store) : impl_(std::make_unique<Impl>(store)) {}
IngestQueue::~IngestQueue() = default;
Status IngestQueue::Take(ReceivedBatch batch) { return impl_->Take(std::move(batch)); }
Result<std::vector<Ingested>> IngestQueue::Flush() { return impl_->Flush(); }

}  // namespace staffel::sync
