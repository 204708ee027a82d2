// SPDX-License-Identifier: EUPL-1.2
#include "tests/support/conference.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <utility>

#include "core/base/wire.h"
#include "core/charter/build.h"

namespace staffel::testing {
namespace {

constexpr std::array<std::string_view, 16> kLaender = {
    "NI", "NW", "BY", "HE", "BW", "BE", "BB", "HB", "HH", "MV", "RP", "SL", "SN", "ST", "SH", "TH"};

constexpr std::string_view kGuest = "BUND";

charter::Replica Listed(const TestConference::Replica& replica, const MemberId& member) {
  return {.key = replica.key.public_key(),
          .tls_key = replica.tls.public_key(),
          .url = fmt::format("https://{}.example:8443", member.text())};
}

charter::Audience AudienceOfMembers(std::string_view name, std::vector<MemberId> members,
                                    SimRandom& random) {
  charter::Audience audience;
  audience.id = random.DrawId<AudienceId>();
  audience.name = name;
  std::sort(members.begin(), members.end());
  audience.readers = members;
  audience.writers = std::move(members);
  return audience;
}

template <typename T>
T Must(Result<T> result) {
  if (!result) {
    fmt::print(stderr, "{}\n", result.error().message);
    STAFFEL_ASSERT(result.has_value());
  }
  return std::move(*result);
}

}  // namespace

TestConference::TestConference(const ConferenceOptions& options, std::uint64_t seed) {
  STAFFEL_ASSERT(options.laender >= 1 && options.laender <= kLaender.size());
  SimRandom random(seed);
  charter::FoundingOptions founding{.name = "TestMK", .title = "Konferenz zum Ausprobieren"};
  std::vector<std::string_view> names(kLaender.begin(), kLaender.begin() + options.laender);
  if (options.guest) names.push_back(kGuest);
  STAFFEL_ASSERT(options.second_replicas <= names.size());
  for (const std::string_view name : names) {
    const auto key = [&] {
      return crypto::KeyPair::FromSeedForTests(fmt::format("{} {}", name, seed));
    };
    const auto tls = [&] {
      return crypto::KeyPair::FromSeedForTests(fmt::format("tls {} {}", name, seed));
    };
    replicas_.push_back({members_.size(), key(), tls()});
    members_.push_back({*MemberId::From(name), key(), tls(), {}});
    founding.members.push_back(
        {*MemberId::From(name), fmt::format("Land {}", name), name != kGuest});
  }
  for (std::size_t second = 0; second < options.second_replicas; ++second) {
    const std::size_t member = names.size() - 1 - second;
    replicas_.push_back(
        {member,
         crypto::KeyPair::FromSeedForTests(fmt::format("{} second {}", names[member], seed)),
         crypto::KeyPair::FromSeedForTests(fmt::format("tls {} second {}", names[member], seed))});
  }
  listed_replicas_ = replicas_.size();
  for (std::size_t member = 0; member < std::min(options.spare_replicas, options.laender);
       ++member) {
    replicas_.push_back(
        {member, crypto::KeyPair::FromSeedForTests(fmt::format("{} spare {}", names[member], seed)),
         crypto::KeyPair::FromSeedForTests(fmt::format("tls {} spare {}", names[member], seed))});
  }
  founding.founder = members_[0].id;
  founding.replica = Listed(replicas_[0], members_[0].id);
  founding.term_starts = TimeMs{kSimStartMs};
  founding.personal_kinds = {kNote};
  founding.demonstration = true;

  charter::Content content = Must(charter::FoundingCharter(founding, random));
  // With a guest the Länder's cuts are hidden, as in every conference that is founded; without one
  // they stand in the clear here, so that both sorts are tried.
  content.audiences.front().open =
      std::all_of(content.members.begin(), content.members.end(),
                  [](const charter::Member& one) { return one.voting; });
  std::size_t joined = 1;
  const auto append = [&] {
    const Entry* parent = charter_.empty() ? nullptr : &*charter_.back().entry;
    const Entry entry =
        Must(charter::MakeCharterEntry(parent, content, TimeMs{kSimStartMs + charter_.size()}));
    CharterItem item{.entry = entry, .id = entry.id};
    // Approved by all who had keys before.
    for (std::size_t signer = 0; signer < joined; ++signer) {
      item.signatures.push_back(charter::SignCharterEntry(
          entry.id, charter::CharterSignature::Kind::kApproval, members_[signer].key));
    }
    charter_.push_back(std::move(item));
  };
  append();
  for (; joined < members_.size(); ++joined) {
    const Member& next = members_[joined];
    content = Must(charter::WithMemberJoined(content, next.id, Listed(replicas_[joined], next.id),
                                             {}, random));
    append();
  }
  for (std::size_t second = members_.size(); second < listed_replicas_; ++second) {
    const MemberId& member = members_[replicas_[second].member].id;
    content = Must(charter::WithReplicaAdded(content, member, Listed(replicas_[second], member)));
    append();
  }
  if (options.groups) {
    std::vector<MemberId> laender;
    std::vector<MemberId> all;
    for (const Member& member : members_) {
      all.push_back(member.id);
      if (member.id.text() != kGuest) laender.push_back(member.id);
    }
    charter::Audience guests = AudienceOfMembers("guests", all, random);
    guests.open = true;
    content.audiences.push_back(std::move(guests));
    charter::Audience everybody = AudienceOfMembers("public", all, random);
    everybody.open = true;
    everybody.chair_writes_only = true;
    std::sort(laender.begin(), laender.end());
    everybody.writers = laender;
    content.audiences.push_back(std::move(everybody));
    if (options.laender >= 3) {
      charter::Audience group =
          AudienceOfMembers("", {members_[0].id, members_[1].id, members_[2].id}, random);
      // Named, though the hub reads it: the next chair may not.
      group.relay = members_[0].id;
      content.audiences.push_back(std::move(group));
    }
    if (options.laender >= 4) {
      charter::Audience apart =
          AudienceOfMembers("", {members_[1].id, members_[2].id, members_[3].id}, random);
      apart.relay = members_[1].id;
      content.audiences.push_back(std::move(apart));
    }
    append();
  }
  for (const charter::Audience& audience : content.audiences) {
    if (audience.name == charter::kLaenderAudience) laender_ = audience.id;
    for (Member& member : members_) {
      if (audience.name == charter::OwnAudienceName(member.id)) member.own = audience.id;
    }
  }
}

const TestConference& ConferenceOf(const ConferenceOptions& options) {
  static std::mutex mutex;
  static std::map<ConferenceOptions, std::unique_ptr<TestConference>> made;
  const std::lock_guard lock(mutex);
  auto& conference = made[options];
  if (conference == nullptr) conference = std::make_unique<TestConference>(options);
  return *conference;
}
const TestConference& ConferenceOf(std::size_t size) {
  return ConferenceOf(ConferenceOptions{.laender = size});
}

charter::Replica ListedReplica(const TestConference& conference, std::size_t replica) {
  const TestConference::Replica& keys = conference.replicas().at(replica);
  return Listed(keys, conference.member(keys.member).id);
}

Batch TestConference::charter() const { return {.charter = charter_}; }

TestReplica::TestReplica(const TestConference& conference, std::size_t replica, std::uint64_t seed,
                         Charter charter)
    : conference_(conference),
      keys_(conference.replicas().at(replica)),
      charter_(charter),
      disk_(seed * 101 + replica),
      random_(seed * 1009 + replica) {}

bool TestReplica::ActsAsChair() const {
  const auto tree = store_ == nullptr ? nullptr : store_->charter();
  if (tree == nullptr || tree->InForce().authority == nullptr || tree->InForce().tied) return false;
  return tree->InForce().authority->hub_key() == key().public_key();
}

Status TestReplica::Open() {
  store_.reset();
  Become();
  STAFFEL_TRY(opened, Store::Open({.path = "replica.db",
                                   .clock = &clock_,
                                   .random = &random_,
                                   .key = &key(),
                                   .vfs = disk_.vfs(),
                                   .twin = twin_}));
  if (!opened->conference()) STAFFEL_CHECK(opened->Adopt(conference_.conference()));
  if (charter_ == Charter::kAtHand && !opened->own_member()) {
    STAFFEL_TRY(ingested, opened->Ingest(opened->Prepare(conference_.charter())));
    if (!ingested.charter_refusals.empty()) {
      return tl::unexpected<Error>(ingested.charter_refusals.front());
    }
  }
  store_ = std::move(opened);
  return {};
}

Status TestReplica::CrashAndOpen(Unsynced unsynced) {
  disk_.CutPower(unsynced);
  store_.reset();
  disk_.Restart();
  return Open();
}

Bytes TextValue(std::uint32_t field, std::string_view text) {
  Bytes value;
  AppendBytesField(value, field, text);
  return value;
}

Edit NewNote(const AudienceId& audience, const RecordId& record, std::string_view title,
             std::string_view text) {
  Edit edit{.audience = audience};
  edit.records.push_back(
      {.kind = kNote,
       .record = record,
       .mode = RecordEdit::Mode::kCreate,
       .cells = {{.cell = FieldCell(kNoteTitle), .value = TextValue(kNoteTitle, title)},
                 {.cell = FieldCell(kNoteText), .value = TextValue(kNoteText, text)}}});
  return edit;
}

Edit SetText(const AudienceId& audience, std::uint32_t kind, const RecordId& record,
             std::uint32_t field, std::string_view text) {
  Edit edit{.audience = audience};
  edit.records.push_back({.kind = kind,
                          .record = record,
                          .cells = {{.cell = FieldCell(field), .value = TextValue(field, text)}}});
  return edit;
}

RecordEdit ToRecordEdit(std::uint32_t kind, const RecordId& record, RecordEdit::Mode mode,
                        const std::vector<record::CellWrite>& writes,
                        const projection::RecordState* state) {
  RecordEdit edit{.kind = kind, .record = record, .mode = mode};
  for (const record::CellWrite& write : writes) {
    CellEdit cell{.cell = write.cell, .value = write.value};
    if (state != nullptr) {
      cell.parents.emplace();
      for (const projection::CellState& known : state->cells) {
        if (known.cell != write.cell) continue;
        for (const projection::Head& head : known.heads) cell.parents->push_back(head.entry);
      }
    }
    edit.cells.push_back(std::move(cell));
  }
  return edit;
}

namespace {

using record::Field;
using record::Format;
using record::Rule;
using record::Type;

std::string Quoted(std::string_view text) {
  std::string out;
  record::AppendJsonText(out, text);
  return out;
}

std::string RandomText(SimRandom& random) {
  static constexpr std::array<std::string_view, 12> kWords = {
      "Integration", "Übergabe", "Länder", "Bericht", "Müller-Straße", "2.9b",
      "Sprachkurse", "weiß",     "Antrag", "Vorsitz", "Beschluss",     "und"};
  std::string text;
  const std::uint64_t words = 1 + random.Below(4);
  for (std::uint64_t index = 0; index < words; ++index) {
    if (index > 0) text += ' ';
    text += kWords[random.Below(kWords.size())];
  }
  return text + fmt::format(" {}", random.Below(1000));
}

std::string RandomMember(SimRandom& random) {
  return std::string(kLaender[random.Below(kLaender.size())]);
}

std::string RandomDate(SimRandom& random) {
  return fmt::format("20{}-{:02}-{:02}", 24 + random.Below(4), 1 + random.Below(12),
                     1 + random.Below(28));
}

std::string RandomTextOf(Format format, SimRandom& random) {
  switch (format) {
    case Format::kDate:
    case Format::kDayOrTime:
      return RandomDate(random);
    case Format::kDateTime:
      return RandomDate(random) + fmt::format("T{:02}:30", 10 + random.Below(10));
    case Format::kZone:
      return "Europe/Berlin";
    case Format::kEmail:
      return fmt::format("stelle{}@beispiel.example", random.Below(1000));
    case Format::kUrl:
      return fmt::format("https://beispiel.example/{}", random.Below(1000));
    case Format::kTop:
      return fmt::format("{}.{}", 1 + random.Below(9), 1 + random.Below(20));
    case Format::kMember:
      return RandomMember(random);
    case Format::kPhone:
      return fmt::format("+49 511 {}", 10'000 + random.Below(80'000));
    case Format::kLanguage:
      return random.Chance(50) ? "de" : "en";
    case Format::kMediaType:
      return "application/pdf";
    case Format::kInstant:
      return RandomDate(random) + "T10:00:00Z";
    default:
      return RandomText(random);
  }
}

std::string RandomObject(const std::vector<Field>& parts, SimRandom& random);

// One value of a field's type, whatever its rule.
std::string RandomScalar(const Field& field, SimRandom& random) {
  switch (field.type) {
    case Type::kText:
      return Quoted(RandomTextOf(field.format, random));
    case Type::kBytes:
      return Quoted(ToHex(
          random.Draw(field.format == Format::kSha256 || field.format == Format::kBlob ? 32 : 16)));
    case Type::kBool:
      return random.Chance(70) ? "true" : "false";
    case Type::kNumber:
      return field.format == Format::kInstant ? Quoted(RandomTextOf(field.format, random))
                                              : fmt::format("{}", 1 + random.Below(100));
    case Type::kEnum:
      return Quoted(field.values[random.Below(field.values.size())].text);
    case Type::kMessage:
      return RandomObject(field.parts, random);
  }
  return "null";
}

std::string RandomObject(const std::vector<Field>& parts, SimRandom& random) {
  std::string object = "{";
  for (const Field& part : parts) {
    if (part.format == Format::kElement || part.format == Format::kPosition) continue;
    // An end before its beginning would be refused, rightly.
    if (part.name == "end" || part.name == "until" || part.name == "closes_ms") continue;
    if (!part.required && random.Chance(40)) continue;
    if (object.size() > 1) object += ", ";
    object += Quoted(part.name) + ": " + RandomScalar(part, random);
  }
  return object + "}";
}

std::string RandomList(const Field& field, SimRandom& random) {
  std::string list = "[";
  const std::uint64_t count = 1 + random.Below(3);
  std::vector<std::string> seen;
  for (std::uint64_t index = 0; index < count; ++index) {
    std::string item = RandomScalar(field, random);
    if (std::find(seen.begin(), seen.end(), item) != seen.end()) continue;
    if (!seen.empty()) list += ", ";
    list += item;
    seen.push_back(std::move(item));
  }
  return list + "]";
}

// An edit of one field as JSON: {"items.1.text": "…"}.
std::string RandomFieldEdit(const Field& field, bool fresh, const MemberId& member,
                            SimRandom& random) {
  const auto whole = [&](const std::string& value) {
    return "{" + Quoted(field.name) + ": " + value + "}";
  };
  if (!fresh && random.Chance(8) && field.rule != Rule::kSequence) return whole("null");
  switch (field.rule) {
    case Rule::kSet:
      if (fresh || random.Chance(30)) return whole(RandomList(field, random));
      return whole(R"({"add": )" + RandomList(field, random) + "}");
    case Rule::kMap: {
      const std::string key = field.owner == record::Owner::kEntryMember
                                  ? std::string(member.text())
                                  : RandomMember(random);
      return whole("{" + Quoted(key) + ": " + RandomScalar(field, random) + "}");
    }
    case Rule::kSequence: {
      if (fresh) return whole(RandomList(field, random));
      const std::uint64_t how = random.Below(10);
      if (how < 3) return whole(R"({"insert": )" + RandomList(field, random) + "}");
      if (how == 3) return "{" + Quoted(field.name + ".1") + ": null}";
      if (how == 4) {
        return whole(R"({"move": [{"item": "2", "before": "1"}]})");
      }
      const Field& part = field.parts[random.Below(field.parts.size())];
      return "{" + Quoted(field.name + ".1." + part.name) + ": " + RandomScalar(part, random) + "}";
    }
    default:
      return whole(RandomScalar(field, random));
  }
}

}  // namespace

std::vector<record::CellWrite> RandomWrites(const record::Kind& kind, ByteView row,
                                            const MemberId& member, bool chair, SimRandom& random) {
  record::RandomElementIds ids(random);
  const record::InputContext context{.ids = &ids};
  const bool fresh = row.empty();
  // What the chair alone may write travels in a lane of its own: one edit is either or.
  const bool as_chair = chair && random.Chance(30) &&
                        std::any_of(kind.fields.begin(), kind.fields.end(), [](const Field& field) {
                          return field.owner == record::Owner::kChair;
                        });
  std::map<Cell, record::CellWrite> writes;
  const std::uint64_t wanted = fresh ? 3 + random.Below(6) : 1 + random.Below(2);
  for (std::uint64_t tries = 0; tries < wanted * 4 && writes.size() < wanted; ++tries) {
    const bool needed = fresh && tries < kind.fields.size() && kind.fields[tries].required;
    const Field& field = kind.fields[needed ? tries : random.Below(kind.fields.size())];
    if (field.rule == Rule::kDeleted) continue;
    if ((field.owner == record::Owner::kChair) != as_chair) continue;
    const std::string text = RandomFieldEdit(field, fresh, member, random);
    const auto json = record::ParseJson(text);
    STAFFEL_ASSERT(json.has_value());
    auto edits = record::EditsOf(kind, *json, row, context);
    if (!edits) continue;  // an element that is not there, a part that needs another one
    for (record::CellWrite& write : *edits) {
      if (write.cell == DeletedCell()) continue;
      const CellOwner owner = record::OwnerOf(write.cell);
      if (owner.kind == OwnerKind::kMember && owner.member != member) continue;
      writes.insert_or_assign(write.cell, std::move(write));
    }
  }
  std::vector<record::CellWrite> result;
  for (auto& [cell, write] : writes) result.push_back(std::move(write));
  return result;
}

Entry ToEntry(const StoredEntry& stored) {
  Entry entry = Must(MakeEntry(stored.header));
  entry.payloads = stored.payloads;
  entry.signature = stored.signature;
  return entry;
}

namespace {

Result<std::vector<Batch>> ReadWanted(Snapshot& snapshot, std::vector<Want> wants,
                                      std::size_t bytes_max) {
  std::vector<Batch> batches;
  bool more = !wants.empty();
  while (more) {
    STAFFEL_TRY(runs, snapshot.ReadRuns(wants, bytes_max, &more));
    if (runs.empty()) break;
    Batch batch;
    for (const StoredRun& stored : runs) {
      Run run;
      for (const StoredEntry& entry : stored.entries) run.entries.push_back(ToEntry(entry));
      for (Want& want : wants) {
        if (want.journal == stored.journal) want.from_seq = stored.entries.back().seq + 1;
      }
      batch.runs.push_back(std::move(run));
    }
    batches.push_back(std::move(batch));
  }
  return batches;
}

}  // namespace

Result<std::vector<Batch>> ReadAll(Store& store, std::size_t bytes_max) {
  STAFFEL_TRY(snapshot, store.Read());
  STAFFEL_TRY(journals, snapshot.Journals());
  std::vector<Want> wants;
  for (const JournalView& journal : journals) wants.push_back({journal.journal, 0});
  return ReadWanted(snapshot, std::move(wants), bytes_max);
}

Result<std::size_t> CopyMissing(Store& from, Store& to, const AudienceId& audience) {
  std::vector<Want> wants;
  STAFFEL_TRY(snapshot, from.Read());
  {
    STAFFEL_TRY(there, to.Read());
    STAFFEL_TRY(journals, snapshot.Journals());
    for (const JournalView& journal : journals) {
      if (journal.audience != audience) continue;
      STAFFEL_TRY(last, there.LastSeq(journal.journal));
      wants.push_back({journal.journal, last ? *last + 1 : 0});
    }
  }
  STAFFEL_TRY(batches, ReadWanted(snapshot, std::move(wants), 1 << 20));
  std::size_t copied = 0;
  for (Batch& batch : batches) {
    STAFFEL_TRY(ingested, to.Ingest(to.Prepare(std::move(batch))));
    copied += ingested.new_entries;
    for (const RunResult& run : ingested.runs) {
      if (run.outcome == RunOutcome::kRefused) return tl::unexpected<Error>(*run.reason);
    }
  }
  return copied;
}

Result<std::string> Describe(Store& store, const AudienceId& audience) {
  STAFFEL_TRY(snapshot, store.Read());
  std::map<std::pair<RecordId, std::uint32_t>, std::string> lines;
  ListFilter filter{.audience = audience, .with_deleted = true, .limit = 500};
  for (;;) {
    STAFFEL_TRY(views, snapshot.List(filter));
    if (views.empty()) break;
    filter.after_number = views.back().number;
    for (const RecordView& view : views) {
      std::string line = fmt::format("{} {} {}{}row {} changed {}\n", view.record.Hex(), view.kind,
                                     view.deleted ? "deleted " : "", view.erased ? "erased " : "",
                                     ToHex(view.row), view.changed.value);
      STAFFEL_TRY(conflicts, snapshot.ConflictsOf(view));
      if (conflicts.size() != view.conflicts) {
        return Fail(ErrorCode::kInternal, "record {}: {} conflicts counted, {} listed",
                    view.record.Hex(), view.conflicts, conflicts.size());
      }
      for (const ConflictView& conflict : conflicts) {
        line += fmt::format("  conflict {} {} shown {} base {}", ToHex(conflict.conflict.cell),
                            static_cast<int>(conflict.conflict.kind),
                            conflict.conflict.provisional.Hex(),
                            conflict.conflict.base ? ToHex(*conflict.conflict.base) : "-");
        for (const projection::Head& head : conflict.conflict.heads) {
          line += fmt::format(" [{} {} {} {}]", head.entry.Hex(), head.time.value,
                              head.member.text(), head.value ? ToHex(*head.value) : "-");
        }
        line += '\n';
      }
      lines[{view.record, view.kind}] = std::move(line);
    }
  }
  std::string text;
  for (const auto& [key, line] : lines) text += line;
  return text;
}

namespace {

std::string FirstLineOnlyIn(const std::string& text, const std::string& other) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    if (other.find(line) == std::string::npos) return line;
    begin = end + 1;
  }
  return "(nothing more)";
}

}  // namespace

std::string Difference(const std::string& text, const std::string& other) {
  return fmt::format("{}\nagainst\n{}", FirstLineOnlyIn(text, other), FirstLineOnlyIn(other, text));
}

Result<Hash> DigestRoot(Store& store, const AudienceId& audience) {
  STAFFEL_TRY(snapshot, store.Read());
  STAFFEL_TRY(digest, snapshot.Digest(audience));
  if (!digest.complete) return Fail(ErrorCode::kUnsupported, "the digest is not complete");
  return digest.root;
}

}  // namespace staffel::testing
