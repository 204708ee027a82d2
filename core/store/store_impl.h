// SPDX-License-Identifier: EUPL-1.2
// The store's inside: the writer behind its queue, the pool of readers, what is published to other
// threads. Internal to core/store.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/base/thread_annotations.h"
#include "core/sqlite/database.h"
#include "core/store/store.h"
#include "core/store/writer.h"

namespace staffel {

struct ReadConnection {
  explicit ReadConnection(sqlite::Database opened)
      : database(std::move(opened)), reader(database) {}
  sqlite::Database database;
  TableReader reader;
};

// What the writer publishes after a commit; immutable.
struct Published {
  std::shared_ptr<const JournalMap> journals;
  std::shared_ptr<const charter::CharterTree> tree;
  std::shared_ptr<const charter::Authority> authority;
  std::uint64_t revision = 0;
  DoubtState doubt;
};

class StoreImpl {
 public:
  static Result<std::unique_ptr<StoreImpl>> Open(const StoreOptions& options);

  // Runs `work` on the writer, in one transaction with whatever else is waiting; returns after the
  // commit is on disk. Work that is refused before it has written anything fails alone; work that
  // fails later, or is `alone`, has a transaction of its own.
  Status Write(const std::function<Status(Writer&)>& work, bool alone);

  // Runs `work` on the writer's connection outside of any transaction, while nothing else writes.
  Status Outside(const std::function<Status(sqlite::Database&)>& work);

  Result<std::unique_ptr<ReadConnection>> BorrowReader();
  void ReturnReader(std::unique_ptr<ReadConnection> reader);
  std::shared_ptr<const Published> published() const;
  // Waits, for a moment at most, until what is published is at least of that revision.
  std::shared_ptr<const Published> PublishedSince(std::uint64_t revision) const;
  Status Checkpoint();
  // A new nonce before the writer does anything else.
  Status RenewNonceNow();
  // Moves everything into the file and empties the log; false while a reader holds it up.
  Result<bool> EmptyLog();

  const StoreOptions options;
  // One wipe at a time.
  Mutex wipe_mutex;
  // Up to this mark the file has been written anew; the WAL may still hold the old one's pages.
  std::uint64_t vacuumed STAFFEL_GUARDED_BY(wipe_mutex) = 0;

  void OnCommit(std::function<void(std::uint64_t)> callback);

 private:
  // What a waiting thread is to do next. Each waits for its own: a signal for all would wake
  // everybody for each commit. Shared with whoever gives it, since the one who is answered goes
  // away at once.
  class Turn {
   public:
    enum class Step : std::uint8_t { kWait, kLead, kDone };
    // To the waiting thread; what was written before, it sees.
    void Give(Step step) {
      {
        const std::lock_guard lock(mutex_);
        step_ = step;
      }
      given_.notify_one();
    }
    // The waiting thread's: sleeps until it is given something. Not an atomic's wait, which gives
    // its processor away several times before it sleeps: with many waiting, all do so in turn.
    [[nodiscard]] Step Wait() {
      std::unique_lock lock(mutex_);
      given_.wait(lock, [this] { return step_ != Step::kWait; });
      return step_;
    }

   private:
    std::mutex mutex_;
    std::condition_variable given_;
    Step step_ = Step::kWait;
  };

  struct Waiting {
    const std::function<Status(Writer&)>* work = nullptr;
    const std::function<Status(sqlite::Database&)>* outside = nullptr;  // in place of work
    bool alone = false;
    Status result;
    std::shared_ptr<Turn> turn = std::make_shared<Turn>();
  };

  StoreImpl(const StoreOptions& opened, sqlite::Database database);
  // Waits until it is done: by another thread that leads, or leading itself.
  Status Queue(Waiting& mine);
  Status Prepare();
  Status Migrate();
  // After a rotation of the replica's key.
  Status TakeOver(TableReader& reader);
  // The leader's turn: one transaction for all of `batch`.
  // An exception in here (only memory can run out) ends the process: the queue would be left
  // without a leader, and what is on disk is whole.
  void RunBatch(std::vector<Waiting*>& batch) noexcept;
  Status RunTransaction(std::vector<Waiting*>& batch);
  // The leader's, when all others are answered: those who come now wait for a moment.
  void MoveLogWhenDue() noexcept;
  Status CheckpointHeld() STAFFEL_REQUIRES(checkpoint_mutex_);
  void Publish();

  // The nonce and its twin: doubt.cc. All of it is the leader's.
  Status MatchTwin();
  Status RenewNonce();
  // Before each transaction: ends a renewal that was broken off.
  Status SettleNonce();
  void RenewNonceWhenDue();
  // A transaction of the store's own, outside the queue.
  Status WriteQuietly(const std::function<Status(Writer&)>& work);

  sqlite::Database database_;  // the leader's
  Writer writer_;              // the leader's
  int wal_pages_ = 0;          // the leader's
  int small_pages_ = 0;        // the leader's: what small writes have put into the WAL
  std::atomic<bool> renewal_wanted_ = false;
  bool nonce_settled_ = false;  // the leader's: the twin holds the database's nonce alone
  TimeMs nonce_renewed_;        // the leader's
  bool cache_valid_ = true;  // the leader's: false after a rollback until the caches are read anew

  mutable Mutex queue_mutex_;
  std::deque<Waiting*> queue_ STAFFEL_GUARDED_BY(queue_mutex_);
  bool has_leader_ STAFFEL_GUARDED_BY(queue_mutex_) = false;

  mutable Mutex published_mutex_;
  mutable std::condition_variable_any published_changed_;
  std::shared_ptr<const Published> published_ STAFFEL_GUARDED_BY(published_mutex_);
  std::vector<std::function<void(std::uint64_t)>> callbacks_ STAFFEL_GUARDED_BY(published_mutex_);

  mutable Mutex readers_mutex_;
  std::vector<std::unique_ptr<ReadConnection>> readers_ STAFFEL_GUARDED_BY(readers_mutex_);

  mutable Mutex checkpoint_mutex_;
  std::unique_ptr<sqlite::Database> checkpointer_ STAFFEL_GUARDED_BY(checkpoint_mutex_);
};

struct Snapshot::State_ {
  StoreImpl* store = nullptr;
  std::unique_ptr<ReadConnection> connection;
  std::shared_ptr<const Published> published;
};

}  // namespace staffel
