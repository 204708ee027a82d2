// SPDX-License-Identifier: EUPL-1.2
#include "tests/sim/oracle.h"

#include <algorithm>

#include "core/charter/needs.h"

namespace staffel::sim {

Reading::Reading(std::vector<Batch> batches) : kept(std::move(batches)) {
  for (const Batch& batch : kept) {
    for (const Run& run : batch.runs) {
      for (const Entry& entry : run.entries) {
        entries[entry.id] = &entry;
        if (const auto* open = std::get_if<OpenBody>(&entry.header.body)) opened[entry.id] = open;
      }
    }
  }
  for (const auto& [id, entry] : entries) {
    const auto* body = std::get_if<DisclosureBody>(&entry->header.body);
    if (body == nullptr) continue;
    for (const DisclosureBody::Item& item : body->items) {
      const auto heads = charter::ParseCutHeads(item.content);
      if (!heads) continue;
      disclosed[{opened.at(entry->header.journal)->audience, charter::HashHidden(item)}] = *heads;
    }
  }
}

// ---------------------------------------------------------------------------------------------
// Rights

namespace {

// Each is read once: points on the curve are dear.
const charter::Content& ContentOf(const Entry& entry) {
  constexpr std::size_t kKeptMax = 1'000;
  thread_local std::map<EntryId, charter::Content> kept;
  if (const auto known = kept.find(entry.id); known != kept.end()) return known->second;
  if (kept.size() >= kKeptMax) kept.clear();
  auto content = charter::ParseContent(std::get<CharterBody>(entry.header.body).charter);
  STAFFEL_ASSERT(content.has_value());
  return kept.emplace(entry.id, std::move(*content)).first->second;
}

JournalId JournalOf(const Entry& entry) {
  return entry.header.seq == 0 ? entry.id : entry.header.journal;
}

// `entry` or one of its ancestors is `wanted`.
bool Reaches(const Reading& reading, const EntryId& entry, const EntryId& wanted) {
  for (auto at = reading.entries.find(entry); at != reading.entries.end();
       at = reading.entries.find(at->second->header.prev)) {
    if (at->first == wanted) return true;
    if (at->second->header.seq == 0) return false;
  }
  return false;
}

}  // namespace

Rights::Rights(const charter::CharterTree& tree, const EntryId& in_force) {
  for (EntryId at = in_force;;) {
    const Entry* entry = tree.Find(at);
    STAFFEL_ASSERT(entry != nullptr);
    contents_.push_back(ContentOf(*entry));
    if (entry->header.seq == 0) break;
    at = entry->header.prev;
  }
  std::reverse(contents_.begin(), contents_.end());
}

std::optional<MemberId> Rights::OwnerOf(const crypto::PublicKey& key) const {
  for (const charter::Content& content : contents_) {
    for (const charter::Member& member : content.members) {
      for (const charter::Replica& replica : member.replicas) {
        if (replica.key == key) return member.id;
      }
    }
  }
  return std::nullopt;
}

bool Rights::Reads(const MemberId& member, const AudienceId& audience) const {
  const charter::Audience* found = content().FindAudience(audience);
  return found != nullptr && found->IsReader(member);
}

bool Rights::EverPersonal(std::uint32_t kind) const {
  return std::any_of(contents_.begin(), contents_.end(), [&](const charter::Content& content) {
    const auto& kinds = content.personal_kinds;
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  });
}

Standing Rights::OfJournal(const OpenBody& open, const charter::Cut* cut) const {
  const auto member = OwnerOf(open.key);
  const charter::Audience* audience = content().FindAudience(open.audience);
  if (!member || audience == nullptr) return Standing::kNever;
  // Who reads says in a journal of its own what it has erased.
  const bool says = open.lane == Lane{0, Purpose::kErasures};
  const auto has_right = [&](const charter::Audience& then) {
    return says ? then.IsReader(*member) : then.IsWriter(*member);
  };
  const bool ever =
      std::any_of(contents_.begin(), contents_.end(), [&](const charter::Content& content) {
        const auto* then = content.FindAudience(open.audience);
        return then != nullptr && has_right(*then);
      });
  if (!ever) return Standing::kNever;
  bool granted = false;
  if (open.lane.term == 0) {
    const charter::Member* now = content().FindMember(*member);
    const bool listed =
        now != nullptr && std::any_of(now->replicas.begin(), now->replicas.end(),
                                      [&](const auto& replica) { return replica.key == open.key; });
    granted = listed && has_right(*audience);
  } else {
    if (open.lane.term > content().terms.size()) return Standing::kNever;
    if (content().terms[open.lane.term - 1].replica != open.key) return Standing::kNever;
    granted = open.lane.term == content().terms.size();
  }
  return granted || cut != nullptr ? Standing::kCounts : Standing::kBeyond;
}

bool Rights::BodyCounts(const OpenBody& open, const Header& header) const {
  const bool chair = open.lane.term != 0;
  const bool erasures = open.lane.purpose == Purpose::kErasures;
  if (header.opaque) return false;
  if (std::holds_alternative<OpenBody>(header.body)) return true;
  if (std::holds_alternative<ErasureBody>(header.body)) return erasures;
  if (std::holds_alternative<ReceiptBody>(header.body)) return chair && !erasures;
  if (std::holds_alternative<DisclosureBody>(header.body)) return !erasures;
  const auto* write = std::get_if<WriteBody>(&header.body);
  if (write == nullptr || erasures) return false;
  const bool chair_only = content().FindAudience(open.audience)->chair_writes_only;
  const MemberId member = *OwnerOf(open.key);
  std::set<std::tuple<std::uint32_t, RecordId, Cell>> written;
  for (const RecordPart& part : write->records) {
    for (const CellChange& change : part.changes) {
      const auto address = DecodeCell(change.cell);
      if (!address || !written.emplace(part.kind, part.record, change.cell).second) return false;
      const CellOwner& owner = address->owner;
      const bool may = owner.kind == OwnerKind::kMember  ? !chair && owner.member == member
                       : owner.kind == OwnerKind::kChair ? chair
                                                         : chair == chair_only;
      if (!may) return false;
    }
  }
  return true;
}

Standings Rights::StandingsOf(const Reading& reading) const {
  struct Judged {
    Standing standing = Standing::kNever;
    std::optional<std::vector<charter::CutHead>> heads;  // nothing: no cut that is known
  };
  std::map<JournalId, Judged> journals;
  for (const auto& [journal, open] : reading.opened) {
    const charter::Cut* cut = nullptr;
    for (const charter::Cut& one : content().cuts) {
      if (one.journal == journal && one.audience == open->audience && one.key == open->key &&
          one.term == open->lane.term) {
        cut = &one;
      }
    }
    Judged& judged = journals[journal];
    judged.standing = OfJournal(*open, cut);
    if (cut == nullptr) continue;
    if (!cut->hidden) {
      judged.heads = cut->heads;
    } else if (const auto found = reading.disclosed.find({open->audience, *cut->hidden});
               found != reading.disclosed.end()) {
      judged.heads = found->second;
    }
  }
  Standings standings;
  for (const auto& [id, entry] : reading.entries) {
    const JournalId journal = JournalOf(*entry);
    const Judged& judged = journals.at(journal);
    Standing& standing = standings[id];
    standing = judged.standing;
    if (standing == Standing::kNever) continue;
    if (!BodyCounts(*reading.opened.at(journal), entry->header)) {
      standing = Standing::kNever;
      continue;
    }
    if (!judged.heads) continue;
    const bool within =
        std::any_of(judged.heads->begin(), judged.heads->end(), [&](const auto& head) {
          const bool held = reading.entries.contains(head.entry);
          return held ? Reaches(reading, head.entry, id) : entry->header.seq <= head.seq;
        });
    if (!within) standing = Standing::kBeyond;
  }
  return standings;
}

std::set<EntryId> ValidOf(const Standings& standings) {
  std::set<EntryId> valid;
  for (const auto& [id, standing] : standings) {
    if (standing == Standing::kCounts) valid.insert(id);
  }
  return valid;
}

// ---------------------------------------------------------------------------------------------
// The tree

namespace {

struct TreeNode {
  const Entry* entry = nullptr;
  charter::Content content;
  std::vector<EntryId> children;
  bool possible = false;
  bool settled = false;
  bool approved = false;
  std::pair<std::size_t, std::size_t> best;  // settled, approved by a quorum
};

std::set<MemberId> SignersBy(const charter::CharterTree& tree, const EntryId& id,
                             const charter::Content& judge, charter::CharterSignature::Kind kind) {
  std::set<MemberId> members;
  for (const charter::CharterSignature& signature : tree.SignaturesOf(id)) {
    if (signature.kind != kind) continue;
    for (const charter::Member& member : judge.members) {
      if (member.SignsWith(signature.key)) members.insert(member.id);
    }
  }
  return members;
}

bool MoreThanHalf(const charter::Content& judge, const std::set<MemberId>& members) {
  std::size_t all = 0;
  std::size_t have = 0;
  for (const charter::Member& member : judge.members) {
    if (!member.voting || !member.has_keys()) continue;
    ++all;
    have += members.contains(member.id) ? 1 : 0;
  }
  return 2 * have > all;
}

}  // namespace

TreeReading ReadTree(const charter::CharterTree& tree) {
  std::map<EntryId, TreeNode> nodes;
  std::vector<EntryId> order = tree.Entries();  // parents first
  for (const EntryId& id : order) {
    TreeNode node;
    node.entry = tree.Find(id);
    if (!std::holds_alternative<CharterBody>(node.entry->header.body)) continue;
    node.content = ContentOf(*node.entry);
    const bool first = node.entry->header.seq == 0;
    const auto parent = nodes.find(node.entry->header.prev);
    if (!first && parent == nodes.end()) continue;
    const charter::Content& judge = first ? node.content : parent->second.content;
    using Kind = charter::CharterSignature::Kind;
    const auto approved = SignersBy(tree, id, judge, Kind::kApproval);
    node.settled = MoreThanHalf(judge, SignersBy(tree, id, judge, Kind::kSeen));
    node.approved = MoreThanHalf(judge, approved);
    if (first) {
      node.possible = true;
    } else {
      const auto needs = tree.NeedsOf(id);
      const bool met =
          needs && !needs->forbidden &&
          (node.approved ||
           std::all_of(needs->requirements.begin(), needs->requirements.end(),
                       [&](const charter::Requirement& one) { return one.MetBy(approved); }));
      node.possible = parent->second.possible && met;
      parent->second.children.push_back(id);
    }
    nodes.emplace(id, std::move(node));
  }
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    const auto at = nodes.find(*id);
    if (at == nodes.end() || !at->second.possible) continue;
    TreeNode& node = at->second;
    for (const EntryId& child : node.children) {
      if (nodes.at(child).possible) node.best = std::max(node.best, nodes.at(child).best);
    }
    node.best.first += node.settled ? 1 : 0;
    node.best.second += node.approved ? 1 : 0;
  }
  const auto strongest = [&](const EntryId& id) {
    std::vector<EntryId> best;
    for (const EntryId& child : nodes.at(id).children) {
      const TreeNode& node = nodes.at(child);
      if (!node.possible) continue;
      if (!best.empty() && node.best < nodes.at(best.front()).best) continue;
      if (!best.empty() && node.best > nodes.at(best.front()).best) best.clear();
      best.push_back(child);
    }
    return best;
  };
  TreeReading reading{.in_force = tree.conference()};
  for (;;) {
    const auto best = strongest(reading.in_force);
    if (best.empty()) return reading;
    if (best.size() > 1) {
      reading.tied = true;
      for (EntryId end : best) {
        for (auto next = strongest(end); !next.empty(); next = strongest(end)) end = next.front();
        reading.tied_ends.push_back(end);
      }
      return reading;
    }
    reading.in_force = best.front();
  }
}

bool ChairActs(const charter::CharterTree& tree, const crypto::PublicKey& key, TimeMs now) {
  if (tree.Find(tree.conference()) == nullptr) return false;  // it has not come yet
  const TreeReading reading = ReadTree(tree);
  const charter::Content in_force = ContentOf(*tree.Find(reading.in_force));
  const charter::Term& term = in_force.terms.back();
  if (reading.tied || term.replica != key) return false;
  if (in_force.terms.size() > 1 && now < term.starts) return false;
  // What stands on the entry in force and is not in force waits, unless it never can be. Nothing
  // waits further on: a proposal's child counts only once the proposal does.
  for (const EntryId& id : tree.Entries()) {
    const Entry& entry = *tree.Find(id);
    if (entry.header.seq == 0 || entry.header.prev != reading.in_force) continue;
    if (!std::holds_alternative<CharterBody>(entry.header.body)) continue;
    const auto needs = tree.NeedsOf(id);
    if (!needs || needs->forbidden) continue;
    const auto signers = SignersBy(tree, id, in_force, charter::CharterSignature::Kind::kApproval);
    if (signers.contains(term.member) && ContentOf(entry).terms.size() != in_force.terms.size()) {
      return false;
    }
  }
  return true;
}

// ---------------------------------------------------------------------------------------------
// The fold

std::map<RecordKey, HeadsByCell> FoldAll(const Reading& reading, const Rights& rights,
                                         const std::set<EntryId>& valid) {
  std::map<RecordKey, std::map<Cell, std::map<EntryId, std::set<EntryId>>>> changes;
  // Entries of one member with one op are repeats: naming one names all.
  std::map<std::pair<MemberId, OpId>, std::vector<EntryId>> repeats;
  std::map<EntryId, std::pair<MemberId, OpId>> op_of;
  for (const auto& [id, entry] : reading.entries) {
    const auto* write = std::get_if<WriteBody>(&entry->header.body);
    if (write == nullptr || entry->header.opaque) continue;
    const OpenBody& open = *reading.opened.at(JournalOf(*entry));
    const auto member = rights.OwnerOf(open.key);
    if (entry->header.op && member) {
      const std::pair key(*member, *entry->header.op);
      repeats[key].push_back(id);
      op_of[id] = key;
    }
    for (const RecordPart& part : write->records) {
      auto& cells = changes[{open.audience, part.kind, part.record}];
      for (const CellChange& change : part.changes) {
        auto& parents = cells[change.cell][id];
        for (const std::uint32_t parent : change.parents) parents.insert(write->parents[parent]);
      }
    }
  }
  std::map<RecordKey, HeadsByCell> heads;
  for (const auto& [key, cells] : changes) {
    for (const auto& [cell, by_entry] : cells) {
      std::set<EntryId> covered;
      std::vector<EntryId> open;  // they cover what they name
      for (const auto& [id, parents] : by_entry) {
        if (valid.contains(id)) open.push_back(id);
      }
      const auto cover = [&](const EntryId& id) {
        if (by_entry.contains(id) && covered.insert(id).second) open.push_back(id);
      };
      while (!open.empty()) {
        const EntryId id = open.back();
        open.pop_back();
        for (const EntryId& parent : by_entry.at(id)) {
          cover(parent);
          const auto op = op_of.find(parent);
          if (op == op_of.end()) continue;
          for (const EntryId& repeat : repeats[op->second]) cover(repeat);
        }
      }
      for (const auto& [id, parents] : by_entry) {
        if (valid.contains(id) && !covered.contains(id)) heads[key][cell].insert(id);
      }
    }
  }
  return heads;
}

// ---------------------------------------------------------------------------------------------
// Receipts

TimeMs GreatestTime(const Reading& reading, const EntryId& entry) {
  TimeMs greatest;
  for (auto at = reading.entries.find(entry); at != reading.entries.end();
       at = reading.entries.find(at->second->header.prev)) {
    greatest = std::max(greatest, at->second->header.time);
    if (at->second->header.seq == 0) break;
  }
  return greatest;
}

std::map<EntryId, Reception> ReceptionsOf(const Reading& reading, const std::set<EntryId>& valid) {
  std::vector<std::pair<Reception, const Entry*>> receipts;
  for (const auto& [id, entry] : reading.entries) {
    if (!std::holds_alternative<ReceiptBody>(entry->header.body) || !valid.contains(id)) continue;
    const OpenBody& open = *reading.opened.at(entry->header.journal);
    receipts.emplace_back(Reception{open.lane.term, GreatestTime(reading, id), id}, entry);
  }
  // The least first: who has one is received by it, and so are all before it.
  std::sort(receipts.begin(), receipts.end());
  std::map<EntryId, Reception> received;
  for (const auto& [reception, receipt] : receipts) {
    const AudienceId& audience = reading.opened.at(receipt->header.journal)->audience;
    for (const auto& line : std::get<ReceiptBody>(receipt->header.body).lines) {
      for (auto at = reading.entries.find(line.entry); at != reading.entries.end();
           at = reading.entries.find(at->second->header.prev)) {
        const JournalId journal = JournalOf(*at->second);
        if (journal != line.journal || reading.opened.at(journal)->audience != audience) break;
        if (!received.emplace(at->first, reception).second || at->second->header.seq == 0) break;
      }
    }
  }
  return received;
}

// ---------------------------------------------------------------------------------------------
// Erasure

namespace {

// Who says what: one erasure of an entry, or of the charter.
struct Eraser {
  bool charter = false;  // a quorum: it may name anything
  AudienceId audience;
  MemberId member;
  bool chair = false;
  ErasureWord word = ErasureWord::kNone;
};

bool MayErase(const Eraser& eraser, const OpenBody& open, const MemberId& writer,
              const RecordPart& part, const Rights& rights) {
  if (eraser.charter) return true;
  if (!eraser.chair && (open.lane.term != 0 || writer != eraser.member)) return false;
  if (!rights.EverPersonal(part.kind)) return false;
  return std::none_of(part.changes.begin(), part.changes.end(), [&](const CellChange& change) {
    const auto address = DecodeCell(change.cell);
    return address && address->owner.kind == OwnerKind::kMember &&
           address->owner.member != eraser.member;
  });
}

}  // namespace

std::map<EntryId, std::vector<ErasureWord>> ErasureWords(const Reading& reading,
                                                         const Rights& rights,
                                                         const Standings& standings,
                                                         const charter::CharterTree& tree) {
  std::vector<Eraser> erasers;
  std::map<std::pair<EntryId, std::uint32_t>, std::vector<std::size_t>> payloads;
  std::map<RecordKey, std::vector<std::size_t>> records;
  std::set<std::pair<AudienceId, EntryId>> dropped;
  std::map<EntryId, std::size_t> of_entry;
  for (const auto& [id, entry] : reading.entries) {
    const auto* body = std::get_if<ErasureBody>(&entry->header.body);
    if (body == nullptr) continue;
    const OpenBody& open = *reading.opened.at(entry->header.journal);
    if (open.lane.purpose != Purpose::kErasures) continue;
    const Standing standing = standings.at(id);
    if (open.lane.term != 0 && standing == Standing::kCounts) {
      for (const EntryId& one : body->dropped) dropped.emplace(open.audience, one);
    }
    of_entry[id] = erasers.size();
    for (const auto& one : body->payloads) {
      payloads[{one.entry, one.index}].push_back(erasers.size());
    }
    for (const auto& one : body->records) {
      records[{open.audience, one.kind, one.record}].push_back(erasers.size());
    }
    erasers.push_back({.audience = open.audience,
                       .member = rights.OwnerOf(open.key).value_or(MemberId()),
                       .chair = open.lane.term != 0,
                       .word = standing == Standing::kCounts   ? ErasureWord::kInEffect
                               : standing == Standing::kBeyond ? ErasureWord::kUndecided
                                                               : ErasureWord::kWithoutEffect});
  }
  for (const auto& [audience, id] : dropped) {
    const auto found = of_entry.find(id);
    if (found == of_entry.end() || erasers[found->second].audience != audience) continue;
    ErasureWord& word = erasers[found->second].word;
    if (word == ErasureWord::kUndecided) word = ErasureWord::kWithoutEffect;
  }
  const auto add_charter = [&](const charter::Content& content, ErasureWord word) {
    for (const auto& one : content.erased_payloads) {
      payloads[{one.entry, one.index}].push_back(erasers.size());
    }
    for (const auto& one : content.erased_records) {
      records[{one.audience, one.kind, one.record}].push_back(erasers.size());
    }
    erasers.push_back({.charter = true, .word = word});
  };
  add_charter(rights.content(), ErasureWord::kInEffect);
  for (const EntryId& id : tree.Entries()) {
    const Entry& entry = *tree.Find(id);
    if (!std::holds_alternative<CharterBody>(entry.header.body)) continue;
    add_charter(ContentOf(entry), ErasureWord::kWithoutEffect);
  }

  // Entries of one member with one op are repeats: naming one names all.
  std::map<std::tuple<AudienceId, MemberId, OpId>, std::vector<EntryId>> repeats;
  for (const auto& [id, entry] : reading.entries) {
    if (!std::holds_alternative<WriteBody>(entry->header.body) || !entry->header.op) continue;
    const OpenBody& open = *reading.opened.at(entry->header.journal);
    const auto member = rights.OwnerOf(open.key);
    if (member) repeats[{open.audience, *member, *entry->header.op}].push_back(id);
  }
  std::map<EntryId, std::vector<ErasureWord>> words;
  for (const auto& [id, entry] : reading.entries) {
    const auto* write = std::get_if<WriteBody>(&entry->header.body);
    if (write == nullptr) continue;
    const OpenBody& open = *reading.opened.at(entry->header.journal);
    const MemberId writer = rights.OwnerOf(open.key).value_or(MemberId());
    auto& own = words[id];
    for (std::size_t index = 0; index < write->records.size(); ++index) {
      const RecordPart& part = write->records[index];
      ErasureWord word = ErasureWord::kNone;
      const auto hear = [&](const std::vector<std::size_t>& said) {
        for (const std::size_t at : said) {
          const Eraser& eraser = erasers[at];
          if (!eraser.charter && eraser.audience != open.audience) continue;
          word = std::max(word, MayErase(eraser, open, writer, part, rights)
                                    ? eraser.word
                                    : ErasureWord::kWithoutEffect);
        }
      };
      const auto hear_payload = [&](const EntryId& named, std::size_t at) {
        const auto said = payloads.find({named, static_cast<std::uint32_t>(at)});
        if (said != payloads.end()) hear(said->second);
      };
      hear_payload(id, index);
      if (const auto said = records.find({open.audience, part.kind, part.record});
          said != records.end()) {
        hear(said->second);
      }
      if (entry->header.op && !writer.empty()) {
        for (const EntryId& repeat : repeats[{open.audience, writer, *entry->header.op}]) {
          if (repeat == id) continue;
          const auto& same = std::get<WriteBody>(reading.entries.at(repeat)->header.body).records;
          for (std::size_t at = 0; at < same.size(); ++at) {
            if (same[at].kind == part.kind && same[at].record == part.record) {
              hear_payload(repeat, at);
            }
          }
        }
      }
      own.push_back(word);
    }
  }
  return words;
}

}  // namespace staffel::sim
