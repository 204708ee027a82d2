// SPDX-License-Identifier: EUPL-1.2
#include "core/store/doubt.h"

#include <algorithm>

#include "core/base/mutation.h"
#include "core/base/wire.h"
#include "core/store/store_impl.h"

namespace staffel {
namespace {

constexpr std::string_view kMetaNonce = "nonce";
constexpr std::string_view kMetaDoubt = "doubt";
// What earlier doubts have left, as it was when the present one began.
constexpr std::string_view kMetaDoubtBefore = "doubt before";
// One line of text before the nonces, so that whoever finds the file knows what it is.
constexpr std::string_view kTwinHead = "staffel twin 1\n";

}  // namespace

// ---------------------------------------------------------------------------------------------
// Bytes

Bytes EncodeTwin(const std::vector<Nonce>& nonces) {
  Bytes out(kTwinHead);
  for (const Nonce& nonce : nonces) out += nonce.Hex() + "\n";
  return out;
}

std::optional<std::vector<Nonce>> DecodeTwin(ByteView content) {
  if (!content.starts_with(kTwinHead)) return std::nullopt;
  content.remove_prefix(kTwinHead.size());
  std::vector<Nonce> nonces;
  while (!content.empty()) {
    const auto end = content.find('\n');
    if (end == ByteView::npos) return std::nullopt;
    const auto nonce = Nonce::FromText(content.substr(0, end));
    if (!nonce) return std::nullopt;
    nonces.push_back(*nonce);
    content.remove_prefix(end + 1);
  }
  if (nonces.empty() || nonces.size() > 2) return std::nullopt;
  return nonces;
}

Bytes EncodeDoubt(const DoubtState& state) {
  Bytes out;
  AppendVarint(out, state.in_doubt ? 1 : 0);
  AppendVarint(out, state.since.value);
  AppendVarint(out, state.cosigning_waits ? 1 : 0);
  AppendVarint(out, state.cosign_from);
  AppendVarint(out, state.no_acts_until_term);
  out += state.reason;
  return out;
}

std::optional<DoubtState> DecodeDoubt(ByteView bytes) {
  DoubtState state;
  const auto in_doubt = TakeVarint(bytes);
  const auto since = TakeVarint(bytes);
  const auto waits = TakeVarint(bytes);
  const auto from = TakeVarint(bytes);
  const auto term = TakeVarint(bytes);
  if (!in_doubt || !since || !waits || !from || !term) return std::nullopt;
  state.in_doubt = *in_doubt != 0;
  state.since = TimeMs{*since};
  state.cosigning_waits = *waits != 0;
  state.cosign_from = *from;
  state.no_acts_until_term = *term;
  state.reason = std::string(bytes);
  return state;
}

Error DoubtRefusal() {
  return {
      ErrorCode::kUnavailable,
      "this node is in doubt about its own past (it was restored from a backup, or a file of it "
      "was lost) and serves nobody before it has exchanged with another node: try again later"};
}

// ---------------------------------------------------------------------------------------------
// In the database

Status Writer::LoadDoubt() {
  const auto read = [&](std::string_view key) -> Result<std::optional<Bytes>> {
    STAFFEL_TRY(statement, reader_.Get("SELECT value FROM meta WHERE key = ?"));
    statement->BindText(1, key);
    const sqlite::StatementScope scope(*statement);
    STAFFEL_TRY(row, statement->Step());
    return row ? std::optional<Bytes>(statement->Blob(0)) : std::nullopt;
  };
  STAFFEL_TRY(nonce, read(kMetaNonce));
  if (nonce) cache_.nonce = Nonce::From(*nonce);
  for (const auto& [key, state] :
       {std::pair(kMetaDoubt, &cache_.doubt), std::pair(kMetaDoubtBefore, &cache_.doubt_before)}) {
    STAFFEL_TRY(stored, read(key));
    if (!stored) continue;
    auto doubt = DecodeDoubt(*stored);
    if (!doubt) {
      return Fail(ErrorCode::kCorrupt,
                  "the file is damaged: its note about doubts cannot be read; restore a backup");
    }
    *state = std::move(*doubt);
  }
  return {};
}

Status Writer::PutMeta(std::string_view key, ByteView value) {
  wrote_ = true;
  STAFFEL_TRY(put, reader_.Get("INSERT INTO meta (key, value) VALUES (?, ?) "
                               "ON CONFLICT (key) DO UPDATE SET value = excluded.value"));
  put->BindText(1, key);
  put->BindBlob(2, value);
  return put->Run();
}

Status Writer::SetNonce(const Nonce& nonce) {
  STAFFEL_CHECK(PutMeta(kMetaNonce, nonce.bytes()));
  cache_.nonce = nonce;
  return {};
}

Status Writer::SetDoubt(DoubtState state) {
  const Bytes encoded = EncodeDoubt(state);
  STAFFEL_CHECK(PutMeta(kMetaDoubt, encoded));
  cache_.doubt = std::move(state);
  ++cache_.revision;
  return {};
}

Status Writer::BeginDoubt(std::string reason) {
  // Whatever was written after this database's moment is not known: all journals end here.
  if (!STAFFEL_MUTATION(kKeepJournals)) {
    STAFFEL_CHECK(database_.Execute("UPDATE journal SET current = 0"));
    cache_.current.clear();
  }
  DoubtState state = cache_.doubt;
  if (!state.in_doubt) {
    STAFFEL_CHECK(PutMeta(kMetaDoubtBefore, EncodeDoubt(state)));
    cache_.doubt_before = state;
  }
  state.in_doubt = true;
  state.since = clock_.Now();
  state.reason = std::move(reason);
  state.cosigning_waits = true;
  if (cache_.authority) {
    state.no_acts_until_term =
        std::max(state.no_acts_until_term, cache_.authority->current_term().number);
  }
  STAFFEL_CHECK(ReportIncident(
      "doubt", fmt::format("in doubt about its own past: {}. It opens new journals and serves "
                           "nobody before it has exchanged with another node",
                           state.reason)));
  return SetDoubt(std::move(state));
}

Status Writer::EndDoubt(DoubtEnd how) {
  DoubtState state = cache_.doubt;
  state.in_doubt = false;
  switch (how) {
    case DoubtEnd::kExchanged: {
      if (!state.cosigning_waits) break;
      state.cosigning_waits = false;
      // What is linked to entry 0 may have been cosigned here once; what waits for its parents was
      // never in force.
      if (cache_.tree && !STAFFEL_MUTATION(kCosignAgain)) {
        for (const EntryId& id : cache_.tree->Entries()) {
          if (cache_.tree->AuthorityOf(id) == nullptr) continue;
          state.cosign_from = std::max(state.cosign_from, cache_.tree->Find(id)->header.seq + 1);
        }
      }
      if (cache_.authority && cache_.authority->hub_key() == key_.public_key()) {
        state.no_acts_until_term =
            std::max(state.no_acts_until_term, cache_.authority->current_term().number);
      }
      break;
    }
    case DoubtEnd::kTrusted:
      break;
    case DoubtEnd::kVouched:
      // What follows from an earlier doubt stays.
      state = cache_.doubt_before;
      break;
    case DoubtEnd::kFounded:
      state = DoubtState();
      break;
  }
  if (state == cache_.doubt) return {};
  return SetDoubt(std::move(state));
}

Status Writer::CheckMayAct(const Lane& lane) const {
  if (lane.term == 0 || cache_.doubt.MayActIn(lane.term)) return {};
  if (STAFFEL_MUTATION(kActInDoubt)) return {};
  return Fail(ErrorCode::kDenied,
              "this node of the chair was restored or was in doubt in term {}: what it had signed "
              "as the chair may be unknown to it, so it acts again only in a next term. Let the "
              "chair be handed over, to another member or to this node itself",
              lane.term);
}

// ---------------------------------------------------------------------------------------------
// The twin

Status StoreImpl::MatchTwin() {
  if (options.twin == nullptr) return {};
  STAFFEL_TRY(content, options.twin->Load());
  const auto twin = content ? DecodeTwin(*content) : std::nullopt;
  const WriterCache& cache = writer_.cache();
  const bool empty = !cache.tree && cache.journals.by_number.empty();
  const auto holds = [&](const Nonce& nonce) {
    if (STAFFEL_MUTATION(kIgnoreDoubt)) return true;
    return twin && std::find(twin->begin(), twin->end(), nonce) != twin->end();
  };
  if (cache.nonce ? holds(*cache.nonce) : empty && (!content || holds(Nonce()))) {
    const Status renewed = RenewNonce();
    // On a full disk there is nothing to write, but all to read: the next write settles it first.
    if (!renewed && cache.nonce && renewed.error().code == ErrorCode::kStorage) return {};
    return renewed;
  }
  std::string reason =
      empty      ? "its database is empty, though this node has written one before"
      : !content ? "the twin of the database's nonce is missing"
      : !twin    ? "the twin of the database's nonce cannot be read"
                 : "the database is not the one that this node wrote last: an older copy was put "
                   "back, or it was run elsewhere";
  const Nonce fresh = options.random->DrawId<Nonce>();
  // The doubt is on disk before the twin matches again; until then every start finds it anew.
  const auto begin = [&](Writer& writer) -> Status {
    STAFFEL_CHECK(writer.BeginDoubt(std::move(reason)));
    return writer.SetNonce(fresh);
  };
  STAFFEL_CHECK(WriteQuietly(begin));
  STAFFEL_CHECK(options.twin->Save(EncodeTwin({fresh})));
  nonce_settled_ = true;
  nonce_renewed_ = options.clock->Now();
  return {};
}

Status StoreImpl::RenewNonce() {
  if (options.twin == nullptr) return {};
  nonce_settled_ = false;
  const Nonce old = writer_.cache().nonce.value_or(Nonce());
  Nonce fresh = options.random->DrawId<Nonce>();
  if (STAFFEL_MUTATION(kSameNonce)) fresh = old;
  STAFFEL_CHECK(options.twin->Save(EncodeTwin({old, fresh})));
  STAFFEL_CHECK(WriteQuietly([&](Writer& writer) { return writer.SetNonce(fresh); }));
  STAFFEL_CHECK(options.twin->Save(EncodeTwin({fresh})));
  nonce_settled_ = true;
  nonce_renewed_ = options.clock->Now();
  return {};
}

Status StoreImpl::RenewNonceNow() {
  if (options.twin == nullptr) return {};
  renewal_wanted_ = true;
  // The transaction writes nothing: what counts is what comes before it.
  return Write([](Writer&) { return Status(); }, /*alone=*/true);
}

Status StoreImpl::SettleNonce() {
  if (options.twin == nullptr) return {};
  if (renewal_wanted_.exchange(false)) nonce_settled_ = false;
  if (nonce_settled_ || STAFFEL_MUTATION(kWriteUnsettled)) return {};
  const Status renewed = RenewNonce();
  if (renewed) return {};
  return Fail(renewed.error().code, "nothing is written before the database's twin is: {}",
              renewed.error().message);
}

void StoreImpl::RenewNonceWhenDue() {
  if (options.twin == nullptr || !nonce_settled_) return;
  const std::uint64_t now = options.clock->Now().value;
  const auto period = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(kNonceRenewal).count());
  // A clock that was put back counts as due: how much was written since is not known.
  if (now >= nonce_renewed_.value && now - nonce_renewed_.value < period) return;
  // What was written is on disk, whatever comes of this; the next write settles it first.
  (void)RenewNonce();
}

Status StoreImpl::WriteQuietly(const std::function<Status(Writer&)>& work) {
  const auto undo = [&](const Status& failed) {
    database_.Rollback();
    cache_valid_ = writer_.Load().has_value();
    return failed;
  };
  STAFFEL_CHECK(database_.BeginImmediate());
  Status done = work(writer_);
  if (done) done = writer_.Flush();
  if (done && !database_.in_transaction()) {
    done = Fail(ErrorCode::kStorage, "the disk failed in the middle of a write");
  }
  if (done) done = database_.Commit();
  if (!done) return undo(done);
  return {};
}

// ---------------------------------------------------------------------------------------------
// The public face

DoubtState Store::doubt() const { return impl_->published()->doubt; }

std::optional<std::uint64_t> Store::cosign_from() const {
  const auto published = impl_->published();
  if (published->doubt.cosigning_waits) return std::nullopt;
  return published->doubt.cosign_from;
}

Status Store::EndDoubt(DoubtEnd how) {
  return impl_->Write([&](Writer& writer) { return writer.EndDoubt(how); }, /*alone=*/false);
}

Status Store::RenewNonce() { return impl_->RenewNonceNow(); }

}  // namespace staffel
