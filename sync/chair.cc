// SPDX-License-Identifier: EUPL-1.2
#include "sync/chair.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <unordered_set>
#include <utility>

#include "core/charter/chair.h"

namespace staffel::sync {

using std::chrono::milliseconds;

namespace {

// A term that has been handed over and not begun is looked at so often at least.
constexpr std::uint64_t kTermLookMs = 60'000;

// What the store's callback and the waiting thread share; outlives either.
struct News {
  std::mutex mutex;
  std::condition_variable_any came;
  bool any = true;  // guarded by mutex

  void Tell() {
    {
      const std::lock_guard lock(mutex);
      any = true;
    }
    came.notify_all();
  }
};

}  // namespace

class Chair::Impl {
 public:
  explicit Impl(ChairOptions options)
      : options_(std::move(options)), news_(std::make_shared<News>()) {
    options_.store->OnCommit([news = news_](std::uint64_t) { news->Tell(); });
  }

  void PeerHolds(const crypto::PublicKey& peer, const std::vector<AudienceVector>& vectors) {
    const auto journals = options_.store->OwnJournals();
    const std::unordered_set<JournalId> own(journals.begin(), journals.end());
    bool changed = false;
    {
      const std::lock_guard lock(mutex_);
      auto& holds = holds_[peer];
      for (const AudienceVector& vector : vectors) {
        std::vector<HeldElsewhere> held;
        for (const VectorItem& item : vector.items) {
          if (own.contains(item.journal)) held.push_back({item.journal, item.head, item.seq});
        }
        Shorten(held);
        auto& before = holds[vector.audience];
        if (before == held) continue;
        before = std::move(held);
        changed = true;
      }
    }
    if (changed) news_->Tell();
  }

  Result<Worked> Work() {
    {
      const std::lock_guard lock(news_->mutex);
      news_->any = false;
    }
    Worked worked;
    const auto tree = options_.store->charter();
    const auto authority = tree == nullptr ? nullptr : tree->InForce().authority;
    const std::uint64_t now = options_.clock->Now().value;
    if (authority == nullptr) return worked;
    const auto standing = charter::StandingOf(*tree, options_.key->public_key(), TimeMs{now});
    if (standing.state == charter::ChairStanding::State::kNotYet) {
      // Nobody tells when a term begins but the clock.
      worked.again =
          milliseconds(std::min(authority->current_term().starts.value - now, kTermLookMs));
    }
    if (!standing.acts() || !options_.store->doubt().MayActIn(authority->current_term().number)) {
      return worked;
    }
    if (options_.clocks != nullptr && !options_.clocks->Look().borne_out) {
      worked.again = options_.pause;  // nothing is committed when a clock is heard
      return worked;
    }
    ReceiptOrder order;
    for (const charter::Audience& audience : authority->audiences()) {
      if (!IsReceipted(*authority, audience.id)) continue;
      const milliseconds left = PauseLeft(audience.id, now);
      if (left > milliseconds(0)) {
        worked.again = worked.again ? std::min(*worked.again, left) : left;
      } else {
        order.audiences.push_back(audience.id);
      }
    }
    if (order.audiences.empty()) return worked;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [peer, audiences] : holds_) {
        for (const auto& [audience, held] : audiences) {
          order.held_elsewhere.insert(order.held_elsewhere.end(), held.begin(), held.end());
        }
      }
    }
    std::sort(order.held_elsewhere.begin(), order.held_elsewhere.end());
    order.held_elsewhere.erase(
        std::unique(order.held_elsewhere.begin(), order.held_elsewhere.end()),
        order.held_elsewhere.end());
    auto written = options_.store->WriteReceipts(order);
    if (!written) {
      // The charter has moved on meanwhile: that commit calls us again.
      const ErrorCode code = written.error().code;
      if (code == ErrorCode::kDenied || code == ErrorCode::kUnavailable) return worked;
      return Forward(written);
    }
    for (const WrittenReceipt& receipt : *written) {
      last_[receipt.audience] = now;
      worked.again = worked.again ? std::min(*worked.again, options_.pause) : options_.pause;
    }
    worked.receipts = std::move(*written);
    return worked;
  }

  void Wait(milliseconds at_most, std::stop_token stop) {
    std::unique_lock lock(news_->mutex);
    news_->came.wait_for(lock, std::move(stop), at_most, [&] { return news_->any; });
  }

 private:
  // Sorted, and of each journal the longest branches.
  static void Shorten(std::vector<HeldElsewhere>& held) {
    std::sort(held.begin(), held.end(), [](const HeldElsewhere& a, const HeldElsewhere& b) {
      if (a.journal != b.journal) return a.journal < b.journal;
      return a.seq != b.seq ? a.seq > b.seq : a.entry < b.entry;
    });
    std::vector<HeldElsewhere> kept;
    std::size_t of_journal = 0;
    for (const HeldElsewhere& one : held) {
      of_journal = kept.empty() || kept.back().journal != one.journal ? 0 : of_journal + 1;
      if (of_journal < kHeldBranchesMax) kept.push_back(one);
    }
    held = std::move(kept);
  }

  milliseconds PauseLeft(const AudienceId& audience, std::uint64_t now) const {
    const auto found = last_.find(audience);
    // A clock that was put back must not keep us waiting for it.
    if (found == last_.end() || now < found->second) return milliseconds(0);
    const auto passed = now - found->second;
    const auto pause = static_cast<std::uint64_t>(options_.pause.count());
    return milliseconds(passed >= pause ? 0 : pause - passed);
  }

  const ChairOptions options_;
  const std::shared_ptr<News> news_;

  std::mutex mutex_;
  // Guarded by mutex_: of this replica's own journals, by peer and audience.
  std::map<crypto::PublicKey, std::map<AudienceId, std::vector<HeldElsewhere>>> holds_;

  // The worker's own: when a receipt was last written.
  std::map<AudienceId, std::uint64_t> last_;
};

Chair::Chair(ChairOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Chair::~Chair() = default;
void Chair::PeerHolds(const crypto::PublicKey& peer, const std::vector<AudienceVector>& vectors) {
  impl_->PeerHolds(peer, vectors);
}
Result<Chair::Worked> Chair::Work() { return impl_->Work(); }
void Chair::Wait(milliseconds at_most, std::stop_token stop) {
  impl_->Wait(at_most, std::move(stop));
}

}  // namespace staffel::sync
