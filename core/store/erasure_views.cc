// SPDX-License-Identifier: EUPL-1.2
// Erasure as the store's face has it: what was erased and who has carried it out; the wiping of
// files, which is no transaction.
#include <algorithm>
#include <map>
#include <set>

#include "core/base/mutation.h"
#include "core/store/erasure_index.h"
#include "core/store/store_impl.h"

namespace staffel {
namespace {

using Word = ErasureIndex::Word;

// How long writers wait at most for readers of an old snapshot while the WAL is emptied.
constexpr int kWipePatienceMs = 100;

ErasureStanding StandingOf(const ErasureIndex::Source& source) {
  if (source.dropped) return ErasureStanding::kDropped;
  switch (source.word) {
    case Word::kInEffect:
      return ErasureStanding::kInEffect;
    case Word::kUndecided:
      return ErasureStanding::kUndecided;
    default:
      return ErasureStanding::kWithoutEffect;
  }
}

// What replicas say that they have carried out.
class Statements {
 public:
  static Result<Statements> Load(TableReader& reader, const JournalMap& journals) {
    Statements all;
    for (const auto& [number, journal] : journals.by_number) {
      if (journal.open.lane != Lane{0, Purpose::kErasures} || !journal.verdict.valid()) continue;
      STAFFEL_TRY(statement,
                  reader.Get("SELECT header FROM entry WHERE journal = ? AND reason = 0"));
      statement->Bind(1, number);
      const sqlite::StatementScope scope(*statement);
      for (;;) {
        STAFFEL_TRY(row, statement->Step());
        if (!row) break;
        const auto header = ParseHeader(statement->Blob(0));
        const auto* body = header ? std::get_if<ErasureBody>(&header->body) : nullptr;
        if (body == nullptr) continue;
        for (const auto& line : body->carried_out) {
          all.lines_[{journal.audience, journal.open.key}].push_back({line, header->time});
        }
      }
    }
    return all;
  }

  struct Line {
    ErasureBody::CarriedOut said;
    TimeMs time;
  };
  [[nodiscard]] const std::vector<Line>& Of(const AudienceId& audience,
                                            const crypto::PublicKey& key) const {
    static const std::vector<Line> nothing;
    const auto found = lines_.find({audience, key});
    return found == lines_.end() ? nothing : found->second;
  }

 private:
  std::map<std::pair<AudienceId, crypto::PublicKey>, std::vector<Line>> lines_;
};

class Viewer {
 public:
  Viewer(TableReader& reader, const Published& published)
      : reader_(reader), journals_(*published.journals), published_(published) {}

  Result<std::vector<ErasureView>> Run() {
    std::vector<ErasureView> views;
    STAFFEL_TRY(
        index, ErasureIndex::Load(reader_, journals_, published_.tree.get(), published_.authority));
    STAFFEL_TRY(statements, Statements::Load(reader_, journals_));
    for (const auto& source : index.sources()) {
      if (source.arrival == 0 || !source.names) continue;
      seqs_[source.entry] = source.seq;
    }
    for (const auto& source : index.sources()) {
      if (source.arrival == 0 || !source.names) continue;
      STAFFEL_TRY(view, View(index, source, statements));
      arrivals_.push_back(source.arrival);
      views.push_back(std::move(view));
    }
    std::vector<std::size_t> order(views.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return arrivals_[a] < arrivals_[b]; });
    std::vector<ErasureView> sorted;
    for (std::size_t at : order) sorted.push_back(std::move(views[at]));
    AddCharter(statements, sorted);
    return sorted;
  }

 private:
  Result<ErasureView> View(const ErasureIndex& index, const ErasureIndex::Source& source,
                           const Statements& statements) {
    ErasureView view;
    STAFFEL_TRY(row, reader_.GetEntry(source.arrival));
    const auto& body = std::get<ErasureBody>(row.entry.header.body);
    view.entry = source.entry;
    view.audience = source.audience;
    view.member = source.member;
    view.lane = source.lane;
    view.time = row.entry.header.time;
    view.records = body.records;
    view.payloads = body.payloads;
    view.standing = StandingOf(source);
    if (view.standing == ErasureStanding::kInEffect) {
      STAFFEL_CHECK(FindParts(index, source, view));
    } else {
      view.why = charter::ReasonSentence(source.reason);
      if (source.dropped) view.why += "; the chair has dropped it";
    }
    const JournalInfo& journal = journals_.Get(source.journal);
    AddReplicas(view, [&](const crypto::PublicKey& key) {
      std::optional<TimeMs> first;
      for (const auto& line : statements.Of(source.audience, key)) {
        if (line.said.journal != journal.id) continue;
        const auto seq = seqs_.find(line.said.entry);
        const bool reaches =
            line.said.entry == source.entry ||
            (seq != seqs_.end() && journal.branches.size() == 1 && seq->second >= source.seq);
        if (reaches && (!first || line.time < *first)) first = line.time;
      }
      return first;
    });
    return view;
  }

  // The records of single payloads; and whether the writer may erase what it names at all.
  Status FindParts(const ErasureIndex& index, const ErasureIndex::Source& source,
                   ErasureView& view) {
    for (const auto& record : view.records) {
      RecordPart part;
      part.kind = record.kind;
      part.record = record.record;
      JournalInfo own;
      own.audience = source.audience;
      own.open.lane = {source.lane.term, Purpose::kActs};
      own.verdict.member = source.member;
      if (const auto objection = index.Objection(source, own, part)) {
        view.standing = ErasureStanding::kWithoutEffect;
        view.why = *objection;
      }
    }
    if (view.payloads.empty()) return {};
    std::unordered_map<EntryId, std::vector<std::uint32_t>> wanted;
    for (const auto& payload : view.payloads) wanted[payload.entry].push_back(payload.index);
    STAFFEL_TRY(statement, reader_.Get("SELECT e.arrival, e.id FROM absent a JOIN entry e ON "
                                       "e.arrival = a.arrival GROUP BY e.arrival"));
    std::vector<std::uint64_t> arrivals;
    {
      const sqlite::StatementScope scope(*statement);
      for (;;) {
        STAFFEL_TRY(row, statement->Step());
        if (!row) break;
        const auto id = EntryId::From(statement->Blob(1));
        if (id && wanted.contains(*id))
          arrivals.push_back(static_cast<std::uint64_t>(statement->Int(0)));
      }
    }
    for (std::uint64_t arrival : arrivals) {
      STAFFEL_TRY(row, reader_.GetEntry(arrival));
      const auto* write = std::get_if<WriteBody>(&row.entry.header.body);
      for (std::uint32_t at : wanted[row.entry.id]) {
        if (write == nullptr || at >= write->records.size()) continue;
        const ErasureBody::WholeRecord record{write->records[at].kind, write->records[at].record};
        if (std::find(view.parts_of.begin(), view.parts_of.end(), record) == view.parts_of.end())
          view.parts_of.push_back(record);
      }
    }
    return {};
  }

  template <typename CarriedOut>
  void AddReplicas(ErasureView& view, CarriedOut&& carried_out) {
    if (!published_.authority) return;
    for (const auto& member : published_.authority->members()) {
      if (!published_.authority->KeepsCopy(member.id, view.audience)) continue;
      for (const auto& replica : member.replicas) {
        view.replicas.push_back({member.id, replica.key, carried_out(replica.key)});
      }
    }
    std::sort(view.replicas.begin(), view.replicas.end(), [](const auto& a, const auto& b) {
      return std::pair(a.member, a.key) < std::pair(b.member, b.key);
    });
  }

  // What the charter in force names, each where it was named first.
  void AddCharter(const Statements& statements, std::vector<ErasureView>& views) {
    if (!published_.tree || !published_.authority) return;
    std::set<charter::ErasedRecord> records;
    std::set<charter::ErasedPayload> payloads;
    const auto path = published_.tree->PathInForce();
    for (std::size_t at = 0; at < path.size(); ++at) {
      const auto authority = published_.tree->AuthorityOf(path[at]);
      if (!authority) continue;
      std::map<AudienceId, ErasureView> named;
      const auto view_for = [&](const AudienceId& audience) -> ErasureView& {
        ErasureView& view = named[audience];
        view.entry = path[at];
        view.by_charter = true;
        view.audience = audience;
        const auto* entry = published_.tree->Find(path[at]);
        if (entry != nullptr) view.time = entry->header.time;
        return view;
      };
      for (const auto& record : authority->content().erased_records) {
        if (!records.insert(record).second) continue;
        if (!ReadHere(record.audience)) continue;
        view_for(record.audience).records.push_back({record.kind, record.record});
      }
      for (const auto& payload : authority->content().erased_payloads) {
        if (!payloads.insert(payload).second) continue;
        view_for(AudienceId()).payloads.push_back({payload.entry, payload.index});
      }
      for (auto& entry_of : named) {
        ErasureView& view = entry_of.second;  // clang 14 captures no structured bindings
        AddReplicas(view, [&](const crypto::PublicKey& key) {
          std::optional<TimeMs> first;
          for (const auto& line : statements.Of(view.audience, key)) {
            if (line.said.journal != published_.authority->conference()) continue;
            const auto said = std::find(path.begin(), path.end(), line.said.entry);
            if (said == path.end() || said - path.begin() < static_cast<std::ptrdiff_t>(at))
              continue;
            if (!first || line.time < *first) first = line.time;
          }
          return first;
        });
        views.push_back(std::move(view));
      }
    }
  }

  [[nodiscard]] bool ReadHere(const AudienceId& audience) const {
    return journals_.audiences.contains(audience);
  }

  TableReader& reader_;
  const JournalMap& journals_;
  const Published& published_;
  std::unordered_map<EntryId, std::uint64_t> seqs_;
  std::vector<std::uint64_t> arrivals_;
};

}  // namespace

Result<std::vector<ErasureView>> Snapshot::Erasures() {
  return Viewer(state_->connection->reader, *state_->published).Run();
}

Result<ErasureCounts> Snapshot::CountErasures() {
  ErasureCounts counts;
  TableReader& reader = state_->connection->reader;
  STAFFEL_TRY(
      index, ErasureIndex::Load(reader, *state_->published->journals, state_->published->tree.get(),
                                state_->published->authority));
  for (const auto& source : index.sources()) {
    if (source.word == Word::kUndecided && source.names) ++counts.undecided;
  }
  STAFFEL_TRY(missing,
              state_->connection->database.QueryInt("SELECT COUNT(*) FROM absent WHERE why = 3"));
  counts.missing_payloads = static_cast<std::uint64_t>(missing);
  STAFFEL_TRY(wipe, state_->connection->database.QueryInt(
                        "SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'wipe')"));
  counts.wipe_pending = wipe != 0;
  return counts;
}

Result<std::vector<PayloadAt>> Snapshot::MissingPayloads(const AudienceId& audience) {
  std::vector<PayloadAt> missing;
  TableReader& reader = state_->connection->reader;
  const JournalMap& journals = *state_->published->journals;
  STAFFEL_TRY(statement, reader.Get("SELECT e.journal, e.seq, e.id, a.part FROM absent a JOIN "
                                    "entry e ON e.arrival = a.arrival WHERE a.why = 3"));
  const sqlite::StatementScope scope(*statement);
  for (;;) {
    STAFFEL_TRY(row, statement->Step());
    if (!row) break;
    const JournalInfo& journal = journals.Get(statement->Int(0));
    if (journal.audience != audience) continue;
    missing.push_back({journal.id, static_cast<std::uint64_t>(statement->Int(1)),
                       EntryId::From(statement->Blob(2)).value_or(EntryId()),
                       static_cast<std::uint32_t>(statement->Int(3))});
  }
  std::sort(missing.begin(), missing.end());
  return missing;
}

Result<std::optional<Bytes>> Snapshot::Payload(const AudienceId& audience, const PayloadAt& at) {
  TableReader& reader = state_->connection->reader;
  const JournalInfo* journal = state_->published->journals->Find(at.journal);
  if (journal == nullptr || journal->audience != audience) return std::optional<Bytes>();
  STAFFEL_TRY(statement,
              reader.Get("SELECT id, payloads FROM entry WHERE journal = ? AND seq = ?"));
  statement->Bind(1, journal->number);
  statement->Bind(2, static_cast<std::int64_t>(at.seq));
  const sqlite::StatementScope scope(*statement);
  for (;;) {
    STAFFEL_TRY(row, statement->Step());
    if (!row) return std::optional<Bytes>();
    if (statement->Blob(0) != at.entry.bytes() || statement->IsNull(1)) continue;
    STAFFEL_TRY(payloads, UnpackPayloads(statement->Blob(1)));
    if (at.index >= payloads.size()) return std::optional<Bytes>();
    return std::move(payloads[at.index]);
  }
}

Result<std::vector<ErasurePlan>> Store::PlanErasure(const ErasureRequest& request) {
  std::vector<ErasurePlan> plans;
  const Status done = impl_->Write(
      [&](Writer& writer) -> Status {
        STAFFEL_TRY(made, writer.PlanErasure(request));
        plans = std::move(made);
        return {};
      },
      /*alone=*/false);
  if (!done) return tl::unexpected<Error>(done.error());
  return plans;
}

Result<std::vector<EntryId>> Store::Erase(const ErasureRequest& request) {
  std::vector<EntryId> erasures;
  const Status done = impl_->Write(
      [&](Writer& writer) -> Status {
        STAFFEL_TRY(made, writer.Erase(request));
        erasures = std::move(made);
        return {};
      },
      /*alone=*/true);
  if (!done) return tl::unexpected<Error>(done.error());
  return erasures;
}

Status Store::WriteCleanValues(const ErasureRequest& request) {
  return impl_->Write([&](Writer& writer) { return writer.WriteCleanValues(request); },
                      /*alone=*/true);
}

Result<EntryId> Store::DecideErasure(const EntryId& erasure, bool repeat) {
  EntryId decision;
  const Status done = impl_->Write(
      [&](Writer& writer) -> Status {
        STAFFEL_TRY(made, writer.DecideErasure(erasure, repeat));
        decision = made;
        return {};
      },
      /*alone=*/true);
  if (!done) return tl::unexpected<Error>(done.error());
  return decision;
}

Result<std::size_t> Store::TakePayloads(std::vector<PayloadBytes> payloads) {
  std::size_t taken = 0;
  const Status done = impl_->Write(
      [&](Writer& writer) -> Status {
        STAFFEL_TRY(count, writer.TakePayloads(payloads));
        taken = count;
        return {};
      },
      /*alone=*/true);
  if (!done) return tl::unexpected<Error>(done.error());
  return taken;
}

Result<bool> Store::Wipe() {
  const MutexLock lock(impl_->wipe_mutex);
  const std::uint64_t vacuumed = impl_->vacuumed;
  std::uint64_t mark = 0;
  std::uint64_t last_arrival = 0;
  bool unstated = false;
  const Status looked = impl_->Write(
      [&](Writer& writer) -> Status {
        STAFFEL_TRY(found, writer.WipeMark());
        STAFFEL_TRY(open, writer.HasUnstatedErasures());
        mark = found;
        unstated = open;
        last_arrival = writer.cache().last_arrival;
        if (mark == 0 || mark == vacuumed) return {};
        return writer.ForgetWords();
      },
      /*alone=*/true);
  if (!looked) return tl::unexpected<Error>(looked.error());
  if (mark == 0 && !unstated) return true;
  if (mark != 0 && !STAFFEL_MUTATION(kSkipWipe)) {
    bool empty = false;
    const Status wiped = impl_->Outside([&](sqlite::Database& database) -> Status {
      STAFFEL_TRY(done, vacuumed == mark ? database.EmptyWal(kWipePatienceMs)
                                         : database.Vacuum(kWipePatienceMs));
      empty = done;
      return {};
    });
    if (!wiped) return tl::unexpected<Error>(wiped.error());
    impl_->vacuumed = empty ? 0 : mark;
    if (!empty) return false;
  }
  if (impl_->options.forget_copies) STAFFEL_CHECK(impl_->options.forget_copies());
  const Status said = impl_->Write([&](Writer& writer) { return writer.Wiped(mark, last_arrival); },
                                   /*alone=*/true);
  if (!said) return tl::unexpected<Error>(said.error());
  return true;
}

}  // namespace staffel
