// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/judge.h"

#include <algorithm>
#include <tuple>

#include "core/base/mutation.h"

namespace staffel::charter {
namespace {

// Up to this many cells, comparing each with each is cheaper than sorting them.
constexpr std::size_t kFewCells = 16;

bool MayWriteCell(const JournalVerdict& journal, const CellOwner& owner) {
  const bool chair = journal.lane.term != 0;
  switch (owner.kind) {
    case OwnerKind::kAnyone:
      return chair == journal.chair_writes_only;
    case OwnerKind::kChair:
      return chair || STAFFEL_MUTATION(kMembersWriteChair);
    case OwnerKind::kMember:
      if (chair) return STAFFEL_MUTATION(kChairWritesAll);
      return owner.member == journal.member || STAFFEL_MUTATION(kMembersWriteAll);
  }
  return false;
}

bool HasCellTwice(const WriteBody& write) {
  if (write.records.size() == 1 && write.records.front().changes.size() <= kFewCells) {
    const auto& changes = write.records.front().changes;
    for (std::size_t i = 0; i < changes.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (changes[i].cell == changes[j].cell) return true;
      }
    }
    return false;
  }
  using Place = std::tuple<std::uint32_t, RecordId, ByteView>;
  std::vector<Place> places;
  for (const RecordPart& part : write.records) {
    for (const CellChange& change : part.changes) {
      places.emplace_back(part.kind, part.record, change.cell);
    }
  }
  std::sort(places.begin(), places.end());
  return std::adjacent_find(places.begin(), places.end()) != places.end();
}

Reason JudgeWrite(const JournalVerdict& journal, const WriteBody& write) {
  for (const RecordPart& part : write.records) {
    for (const CellChange& change : part.changes) {
      const auto owner = CheckCell(change.cell);
      if (!owner || !MayWriteCell(journal, *owner)) return Reason::kForeignCell;
    }
  }
  return HasCellTwice(write) && !STAFFEL_MUTATION(kCellTwice) ? Reason::kCellTwice : Reason::kValid;
}

}  // namespace

std::string_view ReasonSentence(Reason reason) {
  switch (reason) {
    case Reason::kValid:
      return "the entry is valid";
    case Reason::kOtherConference:
      return "the journal belongs to another conference";
    case Reason::kUnknownAudience:
      return "the charter in force has no such audience";
    case Reason::kUnknownKey:
      return "the journal's key was never a replica's of any member";
    case Reason::kNeverAWriter:
      return "the journal's member was never a writer of the audience";
    case Reason::kUnknownTerm:
      return "the charter in force has no such term of the chair";
    case Reason::kNotTheTermsReplica:
      return "the journal's key is not the replica of that term";
    case Reason::kGrantEnded:
      return "the right to write has ended, and no cut says up to where the journal counts";
    case Reason::kAfterCut:
      return "the entry lies beyond the journal's cut";
    case Reason::kForeignCell:
      return "the entry writes a cell that is not its writer's";
    case Reason::kCellTwice:
      return "the entry writes one cell twice";
    case Reason::kNotOfThisLane:
      return "entries of this sort do not belong in this lane";
    case Reason::kNewerFormat:
      return "the entry is of a newer format: upgrade to fold it";
  }
  return "unknown reason";
}

JournalVerdict JudgeJournal(const Authority& authority, const JournalId& journal,
                            const OpenBody& open, const OpenedCuts* opened) {
  JournalVerdict verdict;
  verdict.lane = open.lane;
  const auto refuse = [&](Reason reason) {
    verdict.reason = reason;
    return verdict;
  };
  if (open.conference != authority.conference()) return refuse(Reason::kOtherConference);
  const auto member = authority.MemberOfKey(open.key);
  if (!member) return refuse(Reason::kUnknownKey);
  verdict.member = *member;
  const Audience* audience = authority.FindAudience(open.audience);
  // With an audience all ends that was done in it, but for what was erased: copies of it stay.
  const Authority::Closed* closed = nullptr;
  if (audience == nullptr && open.lane.purpose == Purpose::kErasures) {
    closed = authority.FindClosed(open.audience);
    if (closed != nullptr) audience = &closed->audience;
  }
  if (audience == nullptr) return refuse(Reason::kUnknownAudience);
  verdict.chair_writes_only = audience->chair_writes_only;
  // A member's lane hangs on its key in the audience, the chair's on the term alone.
  bool granted = false;
  // Whoever reads may say what it has erased; it has written nothing else that it could erase.
  const bool own_erasures = open.lane.term == 0 && open.lane.purpose == Purpose::kErasures;
  if (open.lane.term == 0) {
    const bool current =
        closed != nullptr ? closed->keys.contains(open.key) : authority.IsCurrentKey(open.key);
    granted = current && (own_erasures ? audience->IsReader(*member) : audience->IsWriter(*member));
  } else {
    const Term* term = authority.FindTerm(open.lane.term);
    if (term == nullptr) return refuse(Reason::kUnknownTerm);
    if (term->replica != open.key && !STAFFEL_MUTATION(kAnyTerm)) {
      return refuse(Reason::kNotTheTermsReplica);
    }
    // A handover cuts no lanes in closed audiences: terms from then on do not end there.
    granted = term->number == authority.current_term().number ||
              (closed != nullptr && term->number >= closed->term) || STAFFEL_MUTATION(kIgnoreEnd);
  }
  if (!(own_erasures ? authority.EverRead(*member, open.audience)
                     : authority.EverWrote(*member, open.audience))) {
    return refuse(Reason::kNeverAWriter);
  }
  const Cut* cut = authority.FindCut(journal, open.audience, open.key, open.lane.term);
  if (cut == nullptr) return granted ? verdict : refuse(Reason::kGrantEnded);
  verdict.named_by_cut = true;
  if (!cut->hidden) {
    verdict.cut = cut->heads;
  } else if (opened != nullptr) {
    verdict.cut = opened->HeadsOf(open.audience, *cut->hidden);
  }
  return verdict;
}

bool WithinCut(const JournalVerdict& journal, std::uint64_t seq, const EntryId& entry,
               const HeldEntries& held) {
  if (!journal.cut || STAFFEL_MUTATION(kIgnoreCut)) return true;
  return std::any_of(journal.cut->begin(), journal.cut->end(), [&](const CutHead& head) {
    if (seq > head.seq) return false;
    return !held.Holds(head.entry) || held.IsSelfOrAncestor(entry, head.entry);
  });
}

Reason JudgeHeader(const JournalVerdict& journal, const Header& header) {
  // First: whatever becomes of the journal, an entry that is not understood is not folded.
  if (header.opaque) return Reason::kNewerFormat;
  if (!journal.valid()) return journal.reason;
  const bool acts = journal.lane.purpose == Purpose::kActs;
  const bool chair = journal.lane.term != 0;
  if (std::holds_alternative<OpenBody>(header.body)) return Reason::kValid;
  if (const auto* write = std::get_if<WriteBody>(&header.body)) {
    return acts ? JudgeWrite(journal, *write) : Reason::kNotOfThisLane;
  }
  if (std::holds_alternative<ReceiptBody>(header.body)) {
    return acts && chair ? Reason::kValid : Reason::kNotOfThisLane;
  }
  if (std::holds_alternative<ErasureBody>(header.body)) {
    return acts ? Reason::kNotOfThisLane : Reason::kValid;
  }
  if (std::holds_alternative<DisclosureBody>(header.body)) {
    return acts ? Reason::kValid : Reason::kNotOfThisLane;
  }
  return Reason::kNotOfThisLane;
}

Reason JudgeEntry(const JournalVerdict& journal, const EntryId& id, const Header& header,
                  const HeldEntries& held) {
  const Reason reason = JudgeHeader(journal, header);
  if (reason != Reason::kValid) return reason;
  return WithinCut(journal, header.seq, id, held) ? Reason::kValid : Reason::kAfterCut;
}

}  // namespace staffel::charter
