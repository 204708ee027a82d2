// SPDX-License-Identifier: EUPL-1.2
// Commands about the charter: what it says, who has the chair next, keys and rules.
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/cli/commands.h"
#include "clients/cli/terminal.h"
#include "core/base/time.h"
#include "core/crypto/hash.h"
#include "core/crypto/key.h"

namespace staffel::cli {

namespace {

constexpr std::size_t kFileBytesMax = std::size_t{4} << 20;

std::string Join(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + text;
  return out;
}

std::string Short(const std::string& id) { return id.substr(0, 12); }

Result<std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  // No further than the limit: it may be a device, or without end.
  std::string text(kFileBytesMax + 1, '\0');
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) {
    return Fail(ErrorCode::kStorage, "{} cannot be read: {}", path, std::strerror(errno));
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kFileBytesMax) {
    return Fail(ErrorCode::kTooLarge, "{} is too large to be meant", path);
  }
  return text;
}

// What was put forward, and what it needs still.
int PrintProposed(const Context& context, const admin::ApproveReply& reply) {
  if (context.PrintedAsJson(reply)) return kExitDone;
  PrintProposals(context, reply.proposals());
  Context::Print(
      reply.in_force() > 0
          ? context.T("In Kraft.\n", "In force.\n")
          : context.T("Vorgeschlagen und hier unterschrieben; es wartet auf die anderen.\n",
                      "Put forward and signed here; it waits for the others.\n"));
  return kExitDone;
}

// ---- charter ----

void PrintTie(const Context& context, bool tied,
              const google::protobuf::RepeatedPtrField<std::string>& entries) {
  if (!tied) return;
  Context::Print(context.T(
      "GLEICHSTAND: Zwei Fassungen der Satzung sind gleich stark. Niemand handelt als Vorsitz, bis "
      "eine Mehrheit eine von ihnen stärkt; Bearbeiten geht weiter.\n",
      "TIE: two versions of the charter are equally strong. Nobody acts as the chair until a "
      "quorum "
      "strengthens one of them; editing goes on.\n"));
  for (const std::string& entry : entries) {
    Context::Print(fmt::format("  staffel charter strengthen {}\n", Short(entry)));
  }
}

std::string StateText(const Context& context, const admin::CharterEntry& entry) {
  if (entry.state() == "in-force") {
    return entry.settled() ? context.T("in Kraft, bestätigt", "in force, settled")
                           : context.T("in Kraft", "in force");
  }
  if (entry.state() == "waiting") return context.T("wartet", "waiting");
  if (entry.state() == "beside") return context.T("daneben", "beside");
  if (entry.state() == "forbidden") return context.T("nie erlaubt", "never allowed");
  return context.T("neuere Fassung", "of a newer version");
}

void PrintCharter(const Context& context, const admin::CharterReply& reply) {
  context.PrintNotice(reply.demonstration());
  const std::size_t width = 16;
  Context::Print(context.Line(context.T("Konferenz", "Conference"),
                              reply.name() + (reply.title().empty() ? "" : " – " + reply.title()),
                              width));
  Context::Print(context.Line(
      context.T("in Kraft", "in force"),
      fmt::format("{} ({} {}{})", Short(reply.entry()), context.T("Eintrag", "entry"),
                  reply.number(), reply.settled() ? context.T(", bestätigt", ", settled") : ""),
      width));
  Context::Print(context.Line(context.T("Mehrheit", "Quorum"),
                              fmt::format(fmt::runtime(context.T("{} von {}", "{} of {}")),
                                          reply.quorum(), Join(reply.eligible())),
                              width));
  if (!reply.personal_kinds().empty()) {
    Context::Print(context.Line(context.T("personenbezogen", "Personal"),
                                Join(reply.personal_kinds()), width));
  }
  Context::Print(context.Line(context.T("Fassung", "Version"),
                              fmt::format(fmt::runtime(context.T("{} der Regeln, an diesem Knoten",
                                                                 "{} of the rules, at this node")),
                                          reply.own_version()),
                              width));
  for (const auto& least : reply.min_versions()) {
    Context::Print(context.Line(
        context.T("Mindestfassung", "Least version"),
        fmt::format("{} {}{}", least.kind(), least.version(),
                    least.read_only()
                        ? fmt::format(fmt::runtime(context.T(": dieser Knoten hat {} und liest nur",
                                                             ": this node has {} and only reads")),
                                      reply.own_version())
                        : ""),
        width));
  }
  PrintTie(context, reply.tied(), reply.tied_entries());
  Table members({context.T("Mitglied", "Member"), context.T("Name", "Name"),
                 context.T("Stimme", "Vote"), context.T("Schlüssel", "Keys"),
                 context.T("Adresse", "Address")});
  for (const auto& member : reply.members()) {
    std::string url;
    std::size_t replicas = 0;
    for (const auto& key : member.keys()) {
      replicas += key.kind() == "replica" ? 1 : 0;
      if (!key.url().empty()) url += (url.empty() ? "" : " ") + key.url();
    }
    const std::size_t recovery = static_cast<std::size_t>(member.keys_size()) - replicas;
    members.Add(
        {member.id(), member.name(),
         member.voting() ? context.T("ja", "yes") : context.T("nein", "no"),
         member.keys().empty()
             ? context.T("noch keine", "none yet")
             : fmt::format("{}{}", replicas, recovery == 0 ? "" : fmt::format("+{}", recovery)),
         url});
  }
  Context::Print("\n" + members.Render(context.width()));
  Table audiences({context.T("Kreis", "Audience"), context.T("lesen", "read"),
                   context.T("schreiben", "write"), context.T("Treffpunkt", "Relay")});
  for (const auto& audience : reply.audiences()) {
    audiences.Add({audience.name().empty() ? audience.id().substr(0, 8) : audience.name(),
                   Join(audience.readers()), Join(audience.writers()),
                   audience.relay().empty() ? context.T("Hub", "hub") : audience.relay()});
  }
  Context::Print("\n" + audiences.Render(context.width()));
  Table terms({context.T("Amtszeit", "Term"), context.T("Vorsitz", "Chair"),
               context.T("ab", "from"), context.T("Schlüssel", "Key")});
  for (const auto& term : reply.terms()) {
    terms.Add({std::to_string(term.number()), term.member(), context.Time(term.starts_ms()),
               term.key().substr(0, 16)});
  }
  Context::Print("\n" + terms.Render(context.width()));
  if (!reply.cuts().empty()) {
    Table cuts({context.T("Schnitt", "Cut"), context.T("von", "of"), context.T("Kreis", "Audience"),
                context.T("gilt bis", "valid up to")});
    for (const auto& cut : reply.cuts()) {
      std::string heads;
      for (const std::string& head : cut.heads()) {
        heads += (heads.empty() ? "" : ", ") + head.substr(0, head.find(' ') + 9);
      }
      if (cut.hidden() && !cut.disclosed()) heads = context.T("verborgen", "hidden");
      if (heads.empty()) heads = context.T("nichts", "nothing");
      cuts.Add({Short(cut.journal()),
                cut.member() +
                    (cut.term() == 0
                         ? ""
                         : fmt::format(" ({} {})", context.T("Amtszeit", "term"), cut.term())),
                cut.audience(), heads});
    }
    Context::Print("\n" + cuts.Render(context.width()));
  }
}

void AddAdmit(CLI::App* charter, Context& context, Run& run) {
  struct Options {
    std::string member;
    bool vote = false;
  };
  auto options = std::make_shared<Options>();
  auto* admit = charter->add_subcommand(
      "admit",
      context.T("Ein Mitglied mehr vorschlagen, etwa einen Gast; danach: staffel invite",
                "Put one more member forward, such as a guest; afterwards: staffel invite"));
  admit
      ->add_option("member", options->member,
                   context.T("Kennung und Name: BUND=Bund", "Id and name: BUND=Bund"))
      ->required()
      ->type_name("ID=NAME");
  admit->add_flag(
      "--vote", options->vote,
      context.T("Mit Stimme; dem stimmt eine Mehrheit zu", "With a vote; a quorum approves that"));
  admit->callback([&context, &run, options] {
    run = [&context, options] {
      admin::AdmitMemberRequest request;
      const NamedMember named = ReadNamedMember(options->member);
      request.set_id(named.id);
      request.set_name(named.name);
      request.set_voting(options->vote);
      const auto reply = context.Ask<admin::ApproveReply>("AdmitMember", request);
      return reply ? PrintProposed(context, *reply) : kExitRefused;
    };
  });
}

// "ja", "nein", "yes", "no", of an option.
Result<bool> ReadYesNo(const std::string& text) {
  if (text == "ja" || text == "yes") return true;
  if (text == "nein" || text == "no") return false;
  return Fail(ErrorCode::kInvalid, "'{}' is neither yes nor no", text);
}

Error NothingToChange() { return {ErrorCode::kInvalid, "say what is to be changed: see --help"}; }

void AddMemberChange(CLI::App* charter, Context& context, Run& run) {
  struct Options {
    std::string member, vote;
    std::optional<std::string> name;
  };
  auto options = std::make_shared<Options>();
  auto* command = charter->add_subcommand(
      "member",
      context.T("Ein Mitglied anders nennen, ihm eine Stimme geben oder nehmen; eine Mehrheit "
                "stimmt zu",
                "Rename a member, give it a vote or take it; a quorum approves that"));
  command->add_option("member", options->member, context.T("Das Mitglied", "The member"))
      ->required()
      ->type_name("MEMBER");
  command->add_option("--name", options->name, context.T("Sein neuer Name", "Its new name"))
      ->type_name("TEXT");
  command
      ->add_option("--vote", options->vote,
                   context.T("ja: liest und schreibt dann auch, was bei den Ländern liegt; nein: "
                             "bleibt in seinen Kreisen, bis es herausgenommen wird",
                             "yes: then also reads and writes what lies with the Länder; no: stays "
                             "in its audiences until it is taken out"))
      ->type_name("yes|no");
  command->callback([&context, &run, options] {
    run = [&context, options] {
      admin::ChangeMemberRequest request;
      request.set_member(options->member);
      if (options->name) request.set_name(*options->name);
      if (!options->vote.empty()) {
        const auto vote = ReadYesNo(options->vote);
        if (!vote) return context.RefuseUsage(vote.error());
        request.set_voting(*vote);
      }
      if (!request.has_name() && !request.has_voting()) {
        return context.RefuseUsage(NothingToChange());
      }
      const auto reply = context.Ask<admin::ApproveReply>("ChangeMember", request);
      return reply ? PrintProposed(context, *reply) : kExitRefused;
    };
  });
}

struct RemoveOptions {
  std::string member;
  bool anyway = false;
  bool yes = false;
};

int RunRemove(Context& context, const RemoveOptions& options) {
  if (!options.yes) {
    if (!context.json || IsTerminal(STDIN_FILENO)) {
      fmt::print(stderr,
                 fmt::runtime(context.T(
                     "{}: Seine Knoten werden abgewiesen, seine Stimme und seine "
                     "Schlüssel zählen nicht mehr.\nWas es geschrieben hat, "
                     "bleibt, soweit es bei diesem Knoten angekommen ist.\nKreise, in "
                     "denen es allein ist, werden für immer geschlossen.\n",
                     "{}: its nodes are turned away, its vote and its keys count no "
                     "more.\nWhat it has written stays, as far as "
                     "it has reached this node.\nAudiences that it alone is in are closed "
                     "for ever.\n")),
                 Clean(options.member));
    }
    if (!IsTerminal(STDIN_FILENO) || !Confirmed(context.T("Herausnehmen? Dann „ja“ eingeben: ",
                                                          "Take out? Then type 'yes': "))) {
      return context.Refuse(
          Error{ErrorCode::kInvalid,
                "not confirmed: nothing is put forward (--yes does so without asking)"});
    }
  }
  admin::RemoveMemberRequest request;
  request.set_member(options.member);
  request.set_anyway(options.anyway);
  const auto reply = context.Ask<admin::ApproveReply>("RemoveMember", request);
  return reply ? PrintProposed(context, *reply) : kExitRefused;
}

void AddRemove(CLI::App* charter, Context& context, Run& run) {
  auto options = std::make_shared<RemoveOptions>();
  auto* command = charter->add_subcommand(
      "remove", context.T("Ein Mitglied aus der Konferenz nehmen; eine Mehrheit stimmt zu",
                          "Take a member out of the conference; a quorum approves that"));
  command->add_option("member", options->member, context.T("Das Mitglied", "The member"))
      ->required()
      ->type_name("MEMBER");
  command->add_flag(
      "--anyway", options->anyway,
      context.T("Nicht auf Schnitte in Kreisen warten, in denen dieser Knoten nicht mitliest",
                "Do not wait for cuts in audiences that this node does not read"));
  command->add_flag("--yes", options->yes, context.T("Ohne Rückfrage", "Without asking"));
  command->callback([&context, &run, options] {
    run = [&context, options] { return RunRemove(context, *options); };
  });
}

void AddConferenceChange(CLI::App* charter, Context& context, Run& run) {
  struct Options {
    std::optional<std::string> name, title;
  };
  auto options = std::make_shared<Options>();
  auto* command = charter->add_subcommand(
      "conference", context.T("Die Konferenz anders nennen; eine Mehrheit stimmt zu",
                              "Rename the conference; a quorum approves that"));
  command
      ->add_option("--name", options->name,
                   context.T("Kurzname, etwa IntMK", "Short name, such as IntMK"))
      ->type_name("NAME");
  command->add_option("--title", options->title, context.T("Voller Name", "Full name"))
      ->type_name("TEXT");
  command->callback([&context, &run, options] {
    run = [&context, options] {
      admin::ChangeConferenceRequest request;
      if (options->name) request.set_name(*options->name);
      if (options->title) request.set_title(*options->title);
      if (!request.has_name() && !request.has_title()) {
        return context.RefuseUsage(NothingToChange());
      }
      const auto reply = context.Ask<admin::ApproveReply>("ChangeConference", request);
      return reply ? PrintProposed(context, *reply) : kExitRefused;
    };
  });
}

void AddKindChange(CLI::App* charter, Context& context, Run& run) {
  struct Options {
    std::string kind, personal;
    std::optional<std::uint32_t> min_version;
  };
  auto options = std::make_shared<Options>();
  auto* command = charter->add_subcommand(
      "kind", context.T("Was für eine Art von Datensätzen gilt; eine Mehrheit stimmt zu",
                        "What holds for a kind of records; a quorum approves that"));
  command
      ->add_option("kind", options->kind,
                   context.T("Die Art: siehe staffel kinds", "The kind: see staffel kinds"))
      ->required()
      ->type_name("KIND");
  command
      ->add_option("--personal", options->personal,
                   context.T("Personenbezogen: wer geschrieben hat, darf es allein löschen",
                             "Personal data: whoever has written it may erase it alone"))
      ->type_name("yes|no");
  command
      ->add_option("--min-version", options->min_version,
                   context.T("Ab welcher Fassung der Regeln ein Knoten sie schreibt; ältere lesen "
                             "nur; 0: jede schreibt",
                             "From which version of the rules on a node writes them; older ones "
                             "only read; 0: any writes"))
      ->type_name("NUMBER");
  command->callback([&context, &run, options] {
    run = [&context, options] {
      admin::ChangeKindRequest request;
      request.set_kind(options->kind);
      if (!options->personal.empty()) {
        const auto personal = ReadYesNo(options->personal);
        if (!personal) return context.RefuseUsage(personal.error());
        request.set_personal(*personal);
      }
      if (options->min_version) request.set_min_version(*options->min_version);
      if (!request.has_personal() && !request.has_min_version()) {
        return context.RefuseUsage(NothingToChange());
      }
      const auto reply = context.Ask<admin::ApproveReply>("ChangeKind", request);
      return reply ? PrintProposed(context, *reply) : kExitRefused;
    };
  });
}

void AddCharter(CLI::App& app, Context& context, Run& run) {
  auto* charter = app.add_subcommand(
      "charter", context.T("Die Satzung: Mitglieder, Schlüssel, Kreise, Amtszeiten, Regeln",
                           "The charter: members, keys, audiences, terms, rules"));
  charter->require_subcommand(1);
  auto* show = charter->add_subcommand(
      "show", context.T("Was die Satzung jetzt sagt", "What the charter says now"));
  show->callback([&context, &run] {
    run = [&context] {
      const auto reply = context.Ask<admin::CharterReply>("Charter", admin::CharterRequest());
      if (!reply) return kExitRefused;
      if (!context.PrintedAsJson(*reply)) PrintCharter(context, *reply);
      return kExitDone;
    };
  });
  auto* log = charter->add_subcommand(
      "log", context.T("Alle Einträge der Satzung: wer was zugestimmt hat, was gilt",
                       "All entries of the charter: who approved what, what holds"));
  log->callback([&context, &run] {
    run = [&context] {
      admin::CharterRequest request;
      request.set_log(true);
      const auto reply = context.Ask<admin::CharterReply>("Charter", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      PrintTie(context, reply->tied(), reply->tied_entries());
      Table table({context.T("Nr.", "No."), context.T("Eintrag", "Entry"),
                   context.T("Zeit", "Time"), context.T("Stand", "State"),
                   context.T("Änderung", "Change"), context.T("zugestimmt", "approved"),
                   context.T("gesehen", "seen")});
      for (const auto& entry : reply->entries()) {
        std::string changes;
        for (const std::string& change : entry.changes()) {
          changes += (changes.empty() ? "" : "; ") + context.Sentence(change);
        }
        for (const std::string& detail : entry.details()) {
          changes += (changes.empty() ? "" : "; ") + context.Sentence(detail);
        }
        table.Add({std::to_string(entry.number()), Short(entry.entry()),
                   context.Time(entry.time_ms()), StateText(context, entry), changes,
                   Join(entry.approved()), Join(entry.seen())});
      }
      Context::Print(table.Render(context.width()));
      return kExitDone;
    };
  });
  AddAdmit(charter, context, run);
  AddMemberChange(charter, context, run);
  AddRemove(charter, context, run);
  AddConferenceChange(charter, context, run);
  AddKindChange(charter, context, run);
  auto entry = std::make_shared<std::string>();
  auto* strengthen = charter->add_subcommand(
      "strengthen",
      context.T("Bei Gleichstand: eine der beiden Fassungen stärken; eine Mehrheit entscheidet",
                "In a tie: strengthen one of the two versions; a quorum decides"));
  strengthen
      ->add_option("entry", *entry,
                   context.T("Anfang der Kennung eines der gleich starken Einträge",
                             "The beginning of one of the equally strong entries' ids"))
      ->required()
      ->type_name("ID");
  strengthen->callback([&context, &run, entry] {
    run = [&context, entry] {
      admin::StrengthenRequest request;
      request.set_entry(*entry);
      const auto reply = context.Ask<admin::ApproveReply>("Strengthen", request);
      return reply ? PrintProposed(context, *reply) : kExitRefused;
    };
  });
}

// ---- handover ----

void PrintPending(const Context& context, const admin::HandoverPending& pending) {
  const std::size_t width = 16;
  std::string out =
      context.Line(context.T("es wartet", "waiting"),
                   fmt::format(fmt::runtime(context.T("Amtszeit {}: {} nach {}, ab {}, Eintrag {}",
                                                      "term {}: {} after {}, from {}, entry {}")),
                               pending.term(), pending.to(), pending.from(),
                               context.Time(pending.starts_ms()), Short(pending.entry())),
                   width);
  // Not always the chair: a lost one is replaced without it.
  out += context.Line(context.T("unterschrieben", "signed by"), Join(pending.approved()), width);
  out += context.Line(context.T("es fehlt", "missing"), context.Sentence(pending.needs()), width);
  if (!pending.check().empty()) {
    out += context.Line(context.T("hier noch nicht", "not here yet"),
                        context.Sentence(pending.check()), width);
  }
  if (!pending.not_cut().empty()) {
    out +=
        context.Line(context.T("schneidet nicht", "does not cut"), Join(pending.not_cut()), width);
  }
  Context::Print(out);
}

using Audiences = google::protobuf::RepeatedPtrField<std::string>;

void PrintNotCut(const Context& context, const Audiences& audiences, std::size_t width) {
  if (audiences.empty()) return;
  Context::Print(context.Line(
      context.T("ohne Wirkung", "without effect"),
      fmt::format(fmt::runtime(context.T(
                      "Amtshandlungen einer beendeten Amtszeit in {}: die Übergabe sagt nicht, bis "
                      "wohin sie gelten ('staffel handover cut')",
                      "a chair's acts of an ended term in {}: the handover does not say up to "
                      "where they count ('staffel handover cut')")),
                  fmt::join(audiences, ", ")),
      width));
}

void PrintHandover(const Context& context, const admin::HandoverState& state) {
  const std::size_t width = 16;
  const auto line = [&](const char* label, const std::string& text) {
    Context::Print(context.Line(label, text, width));
  };
  line(context.T("Vorsitz", "Chair"),
       fmt::format("{} ({} {}, {} {})", state.chair(), context.T("Amtszeit", "term"), state.term(),
                   context.T("ab", "from"), context.Time(state.term_starts_ms())));
  if (!state.chair_pauses().empty()) {
    line(context.T("Vorsitz ruht", "chair pauses"), context.Sentence(state.chair_pauses()));
  }
  PrintTie(context, state.tied(), state.tied_entries());
  if (!state.announced_member().empty()) {
    line(context.T("angekündigt", "announced"),
         fmt::format("{} {} {}", state.announced_member(), context.T("ab", "from"),
                     context.Time(state.announced_starts_ms())) +
             (state.agreed_here() ? context.T("; hier zugestimmt", "; agreed to here") : ""));
  } else if (!state.next_by_rule().empty()) {
    line(context.T("nach der Regel", "by the rules"),
         fmt::format("{} {} {}", state.next_by_rule(), context.T("ab", "from"),
                     context.Time(state.next_start_ms())));
  }
  for (const auto& pending : state.pending()) PrintPending(context, pending);
  PrintNotCut(context, state.not_cut(), width);
}

// Of a handover that its proposer could not cut everywhere.
void WarnNotCut(const Context& context, const Audiences& audiences) {
  if (audiences.empty()) return;
  Context::Print(fmt::format(
      fmt::runtime(context.T(
          "Achtung: In {} liest der vorschlagende Knoten nicht mit. Eingangsvermerke und andere "
          "Amtshandlungen des alten Vorsitzes dort verlieren ihre Wirkung, bis ein Knoten, der "
          "mitliest, 'staffel handover cut' ausführt und mehr als die Hälfte der Länder "
          "zustimmt.\n",
          "Attention: the node that puts this forward does not read {}. Receipts and other acts of "
          "the old chair there lose their effect, until a node that reads it runs 'staffel "
          "handover cut' and more than half of the Länder approve.\n")),
      fmt::join(audiences, ", ")));
}

std::string DoneText(const Context& context, const std::string& done) {
  if (done == "proposed") {
    return context.T(
        "Angekündigt. Die Nachfolge und ein weiteres Land stimmen zu: staffel handover accept\n",
        "Announced. The successor and another Land agree: staffel handover accept\n");
  }
  if (done == "accepted") {
    return context.T(
        "Zugestimmt; dieser Knoten unterschreibt, sobald der Vorsitz es getan hat und "
        "das Protokoll hier stimmt.\n",
        "Agreed; this node signs as soon as the chair has and the protocol is right "
        "here.\n");
  }
  if (done == "signed") return context.T("Unterschrieben.\n", "Signed.\n");
  if (done == "cancelled") return context.T("Zurückgenommen.\n", "Taken back.\n");
  if (done == "recovery") {
    return context.T(
        "Vorgeschlagen und hier unterschrieben; mehr als die Hälfte der Länder stimmt "
        "zu: staffel handover complete\n",
        "Put forward and signed here; more than half of the Länder approve: staffel "
        "handover complete\n");
  }
  if (done == "cut") {
    return context.T(
        "Vorgeschlagen und hier unterschrieben; mehr als die Hälfte der Länder stimmt zu: staffel "
        "approve\n",
        "Put forward and signed here; more than half of the Länder approve: staffel approve\n");
  }
  return "";
}

int AskHandover(Context& context, const admin::HandoverRequest& request) {
  const auto reply = context.Ask<admin::HandoverReply>("Handover", request);
  if (!reply) return kExitRefused;
  if (context.PrintedAsJson(*reply)) return kExitDone;
  Context::Print(DoneText(context, reply->done()));
  WarnNotCut(context, reply->not_cut());
  PrintHandover(context, reply->state());
  return kExitDone;
}

struct HandoverOptions {
  std::string member, at, key;
  bool now = false;
};

void AddChoice(CLI::App* command, Context& context, HandoverOptions& options, bool required) {
  auto* member =
      command
          ->add_option("member", options.member,
                       context.T("Das Land, das den Vorsitz bekommt; sonst nach der Regel",
                                 "The Land that gets the chair; else by the rules"))
          ->type_name("ID");
  if (required) member->required();
  command
      ->add_option("--key", options.key,
                   context.T("Welcher Knoten des Landes Hub wird: Anfang seines Schlüssels",
                             "Which of the Land's nodes becomes the hub: the beginning of its key"))
      ->type_name("KEY");
}

void AddHandoverStep(CLI::App* handover, Context& context, Run& run, const char* name,
                     const char* help, admin::HandoverRequest::Action action) {
  auto* command = handover->add_subcommand(name, help);
  command->callback([&context, &run, action] {
    run = [&context, action] {
      admin::HandoverRequest request;
      request.set_action(action);
      return AskHandover(context, request);
    };
  });
}

void AddPropose(CLI::App* handover, Context& context, Run& run) {
  auto options = std::make_shared<HandoverOptions>();
  auto* propose =
      handover->add_subcommand("propose", context.T("Beim Vorsitz: die nächste Amtszeit ankündigen",
                                                    "At the chair: announce the next term"));
  AddChoice(propose, context, *options, /*required=*/false);
  propose
      ->add_option("--at", options->at,
                   context.T("Wann der neue Hub übernimmt: 2025-07-01 oder 2025-07-01T00:00; sonst "
                             "der nächste erste Tag nach der Regel",
                             "When the new hub takes up: 2025-07-01 or 2025-07-01T00:00; else the "
                             "next first day by the rules"))
      ->type_name("TIME");
  propose->callback([&context, &run, options] {
    run = [&context, options] {
      admin::HandoverRequest request;
      request.set_action(admin::HandoverRequest::PROPOSE);
      request.set_member(options->member);
      request.set_key(options->key);
      if (!options->at.empty()) {
        const auto at = ReadWhen(options->at);
        if (!at) return context.RefuseUsage(at.error());
        request.set_starts_ms(at->value);
      }
      return AskHandover(context, request);
    };
  });
}

void AddComplete(CLI::App* handover, Context& context, Run& run) {
  auto options = std::make_shared<HandoverOptions>();
  auto* complete = handover->add_subcommand(
      "complete",
      context.T("Unterschreiben: beim Vorsitz enden damit seine Amtshandlungen, andere prüfen das "
                "Protokoll zuvor",
                "Sign: at the chair this ends its acts; others check the protocol before"));
  complete->add_flag("--now", options->now,
                     context.T("Der neue Hub übernimmt sofort, nicht erst zur angekündigten Zeit",
                               "The new hub takes up at once, not at the announced time"));
  complete->callback([&context, &run, options] {
    run = [&context, options] {
      admin::HandoverRequest request;
      request.set_action(admin::HandoverRequest::COMPLETE);
      request.set_at_once(options->now);
      return AskHandover(context, request);
    };
  });
}

void AddRecover(CLI::App* handover, Context& context, Run& run) {
  auto options = std::make_shared<HandoverOptions>();
  auto* recover = handover->add_subcommand(
      "recover", context.T("Wenn der Knoten des Vorsitzes verloren ist: eine neue Amtszeit "
                           "vorschlagen, der mehr als die Hälfte der Länder zustimmt",
                           "When the chair's node is lost: put a new term forward, which more than "
                           "half of the Länder approve"));
  AddChoice(recover, context, *options, /*required=*/true);
  recover->callback([&context, &run, options] {
    run = [&context, options] {
      admin::HandoverRequest request;
      request.set_action(admin::HandoverRequest::RECOVER);
      request.set_member(options->member);
      request.set_key(options->key);
      return AskHandover(context, request);
    };
  });
}

void AddUpTo(CLI::App* command, Context& context, std::vector<std::string>& up_to) {
  command
      ->add_option(
          "--up-to", up_to,
          context.T("Ein Eintrag, bis zu dem sein Journal gilt, mehrfach; sonst alles, was "
                    "hier ist",
                    "An entry up to which its journal is valid, repeatable; else all that "
                    "is here"))
      ->type_name("ENTRY");
}

void AddCut(CLI::App* handover, Context& context, Run& run) {
  auto up_to = std::make_shared<std::vector<std::string>>();
  auto* cut = handover->add_subcommand(
      "cut", context.T("Amtshandlungen beendeter Amtszeiten wieder gelten lassen, wo dieser Knoten "
                       "mitliest und die Übergabe nicht sagt, bis wohin sie gelten",
                       "Let acts of ended terms count again where this node reads and the handover "
                       "does not say up to where they count"));
  AddUpTo(cut, context, *up_to);
  cut->callback([&context, &run, up_to] {
    run = [&context, up_to] {
      admin::HandoverRequest request;
      request.set_action(admin::HandoverRequest::CUT);
      for (const std::string& entry : *up_to) request.add_up_to(entry);
      return AskHandover(context, request);
    };
  });
}

void AddProtocol(CLI::App* handover, Context& context, Run& run) {
  struct Options {
    std::uint64_t term = 0;
    bool all = false;
  };
  auto options = std::make_shared<Options>();
  auto* protocol = handover->add_subcommand(
      "protocol", context.T("Das Übergabeprotokoll: bei altem und neuem Hub dasselbe",
                            "The handover's protocol: the same at the old and the new hub"));
  protocol
      ->add_option("term", options->term,
                   context.T("Die Amtszeit, die damit begann; sonst die jetzige",
                             "The term that began with it; else the present one"))
      ->type_name("N");
  protocol->add_flag("--all", options->all,
                     context.T("Auch Kreise, die nur einer der beiden liest",
                               "Also audiences that only one of the two reads"));
  protocol->callback([&context, &run, options] {
    run = [&context, options] {
      admin::HandoverProtocolRequest request;
      request.set_term(options->term);
      request.set_all(options->all);
      const auto reply = context.Ask<admin::HandoverProtocolReply>("HandoverProtocol", request);
      if (!reply) return kExitRefused;
      if (!context.PrintedAsJson(*reply)) Context::Print(reply->text());
      return kExitDone;
    };
  });
}

void AddHandover(CLI::App& app, Context& context, Run& run) {
  auto* handover = app.add_subcommand(
      "handover", context.T("Übergabe des Vorsitzes: ankündigen, zustimmen, unterschreiben",
                            "Handing the chair over: announce, agree, sign"));
  handover->require_subcommand(1);
  AddHandoverStep(handover, context, run, "status",
                  context.T("Wie es um die Übergabe steht", "How the handover stands"),
                  admin::HandoverRequest::STATUS);
  AddPropose(handover, context, run);
  AddHandoverStep(
      handover, context, run, "accept",
      context.T("Bei der Nachfolge und einem weiteren Land: dem Angekündigten zustimmen",
                "At the successor and at another Land: agree to what is announced"),
      admin::HandoverRequest::ACCEPT);
  AddComplete(handover, context, run);
  AddHandoverStep(
      handover, context, run, "cancel",
      context.T("Zurücknehmen, was noch nicht in Kraft ist", "Take back what is not in force yet"),
      admin::HandoverRequest::CANCEL);
  AddRecover(handover, context, run);
  AddCut(handover, context, run);
  AddProtocol(handover, context, run);
}

// ---- keys ----

std::string RoleText(const Context& context, const admin::CharterKey& key) {
  if (key.kind() == "former") return context.T("herausgenommen", "taken out");
  std::string out = key.kind() == "recovery" ? context.T("Notschlüssel", "recovery key")
                                             : context.T("Knoten", "replica");
  if (key.hub()) out += context.T(", Hub", ", hub");
  if (key.cosigns()) out += context.T(", bestätigt die Satzung", ", cosigns the charter");
  if (key.ours()) out += context.T(", dieser Knoten", ", this node");
  return out;
}

int AskKeys(Context& context, const admin::ChangeKeysRequest& request) {
  const auto reply = context.Ask<admin::ApproveReply>("ChangeKeys", request);
  return reply ? PrintProposed(context, *reply) : kExitRefused;
}

// Written beside nothing that is there: a secret is never put over another file.
Status WriteSecret(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const bool written = fd >= 0 &&
                       ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (written) return {};
  return Fail(ErrorCode::kStorage, "{} cannot be written: {}", path, std::strerror(error));
}

void AddRecovery(CLI::App* keys, Context& context, Run& run) {
  auto file = std::make_shared<std::string>();
  auto* recovery = keys->add_subcommand(
      "recovery", context.T("Einen Notschlüssel machen: er stimmt der Satzung zu, wenn der Knoten "
                            "verloren ist",
                            "Make a recovery key: it approves charters when the node is lost"));
  recovery
      ->add_option(
          "file", *file,
          context.T("Wohin der geheime Teil geschrieben wird; danach an einen sicheren Ort",
                    "Where the secret part is written; then to a safe place"))
      ->required()
      ->type_name("FILE");
  recovery->callback([&context, &run, file] {
    run = [&context, file] {
      auto key = crypto::KeyPair::Generate();
      if (!key) return context.Refuse(key.error());
      // On disk before anyone hears of it: a listed key that nobody has helps nobody.
      if (const Status written = WriteSecret(*file, key->ToPem()); !written) {
        return context.Refuse(written.error());
      }
      admin::ChangeKeysRequest request;
      request.set_action(admin::ChangeKeysRequest::ADD_RECOVERY);
      request.set_key(ToHex(key->public_key().bytes()));
      const int code = AskKeys(context, request);
      if (code != kExitDone) ::unlink(file->c_str());
      return code;
    };
  });
}

void AddKeyChange(CLI::App* keys, Context& context, Run& run, const char* name, const char* help,
                  admin::ChangeKeysRequest::Action action) {
  struct Options {
    std::string key;
    std::vector<std::string> up_to;
    bool anyway = false;
  };
  auto options = std::make_shared<Options>();
  auto* command = keys->add_subcommand(name, help);
  command
      ->add_option("key", options->key,
                   context.T("Anfang des Schlüssels, wie ihn staffel keys list zeigt",
                             "The beginning of the key, as staffel keys list shows it"))
      ->required()
      ->type_name("KEY");
  AddUpTo(command, context, options->up_to);
  if (action == admin::ChangeKeysRequest::REMOVE) {
    command->add_flag(
        "--anyway", options->anyway,
        context.T("Nicht auf Schnitte in Kreisen warten, in denen dieser Knoten nicht mitliest",
                  "Do not wait for cuts in audiences that this node does not read"));
  }
  command->callback([&context, &run, options, action] {
    run = [&context, options, action] {
      admin::ChangeKeysRequest request;
      request.set_action(action);
      request.set_key(options->key);
      for (const std::string& entry : options->up_to) request.add_up_to(entry);
      request.set_anyway(options->anyway);
      return AskKeys(context, request);
    };
  });
}

void AddKeyStep(CLI::App* keys, Context& context, Run& run, const char* name, const char* help,
                admin::ChangeKeysRequest::Action action) {
  auto* command = keys->add_subcommand(name, help);
  command->callback([&context, &run, action] {
    run = [&context, action] {
      admin::ChangeKeysRequest request;
      request.set_action(action);
      return AskKeys(context, request);
    };
  });
}

void AddKeys(CLI::App& app, Context& context, Run& run) {
  auto* keys =
      app.add_subcommand("keys", context.T("Schlüssel der Knoten: zeigen, wechseln, sperren",
                                           "Keys of the nodes: show, rotate, revoke"));
  keys->require_subcommand(1);
  auto* list = keys->add_subcommand(
      "list", context.T("Alle Schlüssel der Satzung", "All keys in the charter"));
  list->callback([&context, &run] {
    run = [&context] {
      const auto reply = context.Ask<admin::KeysReply>("Keys", admin::KeysRequest());
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      Table table({context.T("Mitglied", "Member"), context.T("Schlüssel", "Key"),
                   context.T("Art", "Sort"), context.T("Adresse", "Address")});
      for (const auto* keys_of : {&reply->keys(), &reply->former()}) {
        for (const auto& key : *keys_of) {
          table.Add({key.member(), key.key().substr(0, 20), RoleText(context, key), key.url()});
        }
      }
      Context::Print(table.Render(context.width()));
      if (!reply->rotation().empty()) {
        Context::Print(fmt::format("\n{}: {}\n", context.T("Wechsel", "Rotation"),
                                   context.Sentence(reply->rotation())));
      }
      return kExitDone;
    };
  });
  AddKeyStep(keys, context, run, "rotate",
             context.T("Die Schlüssel dieses Knotens wechseln: erst die neuen in die Satzung, nach "
                       "dem Neustart die alten hinaus",
                       "Rotate this node's keys: first the new ones into the charter, after the "
                       "restart the old ones out"),
             admin::ChangeKeysRequest::ROTATE);
  AddKeyChange(
      keys, context, run, "revoke",
      context.T("Einen Schlüssel aus der Satzung nehmen; seine Journale gelten bis hierher",
                "Take a key out of the charter; its journals are valid up to here"),
      admin::ChangeKeysRequest::REMOVE);
  AddKeyChange(keys, context, run, "cut",
               context.T("Die Journale eines Schlüssels schneiden und ihn lassen, wie er ist; auch "
                         "die eines herausgenommenen, die sonst nicht gälten",
                         "Cut the journals of a key and leave it as it is; also those of one taken "
                         "out, which would not count else"),
               admin::ChangeKeysRequest::CUT);
  AddRecovery(keys, context, run);
  AddKeyStep(keys, context, run, "address",
             context.T("Die Adresse aus der Konfiguration dieses Knotens in die Satzung bringen",
                       "Bring the address of this node's configuration into the charter"),
             admin::ChangeKeysRequest::ADDRESS);
}

// ---- rules ----

void AddRules(CLI::App& app, Context& context, Run& run) {
  auto* rules = app.add_subcommand(
      "rules", context.T("Regeln der Konferenz als Daten: Reihenfolge, Schwellen, Fristen",
                         "Rules of the conference as data: rotation, thresholds, deadlines"));
  rules->require_subcommand(1);
  auto* list = rules->add_subcommand("list", context.T("Alle Regeln und was aus ihnen folgt",
                                                       "All rules and what follows from them"));
  list->callback([&context, &run] {
    run = [&context] {
      const auto reply = context.Ask<admin::RulesReply>("Rules", admin::RulesRequest());
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      Table table({context.T("Regel", "Rule"), context.T("Wert", "Value"), context.T("ab", "from"),
                   context.T("gilt jetzt", "holds now")});
      for (const auto& rule : reply->rules()) {
        table.Add({rule.name(), rule.value(), context.Time(rule.from_ms()),
                   rule.now() ? context.T("ja", "yes") : ""});
      }
      if (!table.empty()) Context::Print(table.Render(context.width()) + "\n");
      const std::size_t width = 18;
      Context::Print(
          context.Line(context.T("Reihenfolge", "Order"), Join(reply->chair_order()), width));
      Context::Print(context.Line(context.T("nächster Vorsitz", "Next chair"),
                                  reply->next_chair() + " " + context.T("ab", "from") + " " +
                                      context.Time(reply->next_start_ms()),
                                  width));
      return kExitDone;
    };
  });
  struct Options {
    std::string name, value, from;
    bool remove = false;
  };
  auto options = std::make_shared<Options>();
  auto* set = rules->add_subcommand(
      "set", context.T("Eine Regel ab einem Tag setzen", "Set a rule from a day on"));
  set->add_option("name", options->name,
                  context.T("Name, etwa threshold.resolution oder rotation.order",
                            "Name, such as threshold.resolution or rotation.order"))
      ->required()
      ->type_name("NAME");
  set->add_option("value", options->value, context.T("Wert, etwa 13", "Value, such as 13"))
      ->type_name("VALUE");
  set->add_option(
         "--from", options->from,
         context.T("Ab wann: 2025-07-01; sonst ab jetzt", "From when: 2025-07-01; else now"))
      ->type_name("TIME");
  set->add_flag("--remove", options->remove,
                context.T("Die Regel streichen, die zu dieser Zeit beginnt",
                          "Drop the rule that begins at that time"));
  set->callback([&context, &run, options] {
    run = [&context, options] {
      admin::SetRuleRequest request;
      request.set_name(options->name);
      request.set_value(options->value);
      request.set_remove(options->remove);
      if (!options->from.empty()) {
        const auto from = ReadWhen(options->from);
        if (!from) return context.RefuseUsage(from.error());
        request.set_from_ms(from->value);
      }
      const auto reply = context.Ask<admin::ApproveReply>("SetRule", request);
      return reply ? PrintProposed(context, *reply) : kExitRefused;
    };
  });
}

}  // namespace

NamedMember ReadNamedMember(const std::string& text) {
  const auto sign = text.find('=');
  return {text.substr(0, sign), sign == std::string::npos ? text : text.substr(sign + 1)};
}

Result<TimeMs> ReadWhen(const std::string& text) {
  constexpr std::string_view kZone = "Europe/Berlin";
  if (IsDate(text)) return ParseLocalTime(text + "T00:00", kZone);
  if (auto local = ParseLocalTime(text, kZone)) return local;
  return ParseTime(text);
}

int ApproveWithKey(Context& context, const std::string& what, const std::string& key_file) {
  const auto pem = ReadWhole(key_file);
  if (!pem) return context.Refuse(pem.error());
  const auto key = crypto::KeyPair::FromPem(*pem);
  if (!key) return context.Refuse(key.error());
  const auto waiting = context.Ask<admin::WaitingReply>("Waiting", admin::WaitingRequest());
  if (!waiting) return kExitRefused;
  std::vector<std::string> chosen;
  for (const auto& proposal : waiting->proposals()) {
    if (what.size() >= 4 && proposal.entry().starts_with(what)) chosen.push_back(proposal.entry());
  }
  if (chosen.size() != 1) {
    return context.Refuse(Error{
        chosen.empty() ? ErrorCode::kNotFound : ErrorCode::kInvalid,
        fmt::format("{} of the waiting changes begin with {}: name one as 'staffel waiting' has it",
                    chosen.size(), what)});
  }
  // Signed here: the secret never reaches the node.
  admin::ApproveWithRequest request;
  request.set_entry(chosen.front());
  request.set_key(Bytes(key->public_key().bytes()));
  const auto id = FromHex(chosen.front());
  request.set_signature(key->Sign(crypto::kTagSign, id.value_or(Bytes())));
  const auto reply = context.Ask<admin::ApproveReply>("ApproveWith", request);
  return reply ? PrintProposed(context, *reply) : kExitRefused;
}

int VerifyHandover(Context& context, const std::string& what) {
  admin::HandoverProtocolRequest request;
  // Nothing: the term in force.
  if (what.find_first_not_of("0123456789") == std::string::npos) {
    request.set_term(what.empty() ? 0 : std::strtoull(what.c_str(), nullptr, 10));
  } else {
    const auto text = ReadWhole(what);
    if (!text) return context.Refuse(text.error());
    // Nothing to compare with would be the check without a paper, which holds.
    if (text->empty()) {
      return context.Refuse(
          Error{ErrorCode::kInvalid, fmt::format("{} is empty, or no file: a protocol is what "
                                                 "'staffel handover protocol' prints",
                                                 what)});
    }
    request.set_compare(*text);
  }
  const auto reply = context.Ask<admin::HandoverProtocolReply>("HandoverProtocol", request);
  if (!reply) return kExitRefused;
  const int code = reply->holds() ? kExitDone : kExitRefused;
  if (context.PrintedAsJson(*reply)) return code;
  Context::Print(fmt::format(
      fmt::runtime(context.T("Übergabe von {} an {} (Amtszeit {}), unterschrieben von {}{}\n",
                             "Handover from {} to {} (term {}), signed by {}{}\n")),
      reply->from(), reply->to(), reply->term(), Join(reply->approved()),
      reply->settled() ? context.T(", bestätigt", ", settled") : ""));
  for (const auto& audience : reply->audiences()) {
    const std::string name = audience.name().empty() ? audience.id().substr(0, 8) : audience.name();
    std::string state = context.T("STIMMT NICHT", "DIFFERS");
    if (audience.state() == "equal") {
      state = context.T("nachgerechnet: stimmt", "recomputed: right");
    } else if (audience.state() == "erased-since") {
      state = context.T("stimmt bis auf seither Gelöschtes", "right but for what was erased since");
    } else if (audience.state() == "not-held" || audience.state() == "not-disclosed") {
      state = context.T("hier nicht prüfbar", "cannot be checked here");
    }
    Context::Print(fmt::format(
        "  {}  {}{}\n", Pad(name, 12), state,
        audience.sentence().empty() ? "" : ": " + context.Sentence(audience.sentence())));
  }
  for (const std::string& one : reply->differences())
    fmt::print(stderr, "staffel: {}\n", Clean(context.Sentence(one)));
  Context::Print(reply->holds()
                     ? context.T("Das Protokoll stimmt.\n", "The protocol is right.\n")
                     : context.T("Das Protokoll stimmt nicht, oder nichts davon war hier "
                                 "zu prüfen.\n",
                                 "The protocol is not right, or nothing of it could be "
                                 "checked here.\n"));
  return code;
}

void PrintHandoverStatus(const Context& context, const admin::StatusReply& status,
                         std::size_t width) {
  const auto line = [&](const char* label, const std::string& text) {
    Context::Print(context.Line(label, text, width));
  };
  if (!status.charter_tied() && status.is_hub() && !status.chair_pauses().empty()) {
    line(context.T("Vorsitz ruht", "chair pauses"), context.Sentence(status.chair_pauses()));
  }
  if (status.has_handover()) {
    const auto& handover = status.handover();
    if (!handover.announced_member().empty()) {
      line(context.T("Übergabe", "Handover"),
           fmt::format("{} {} {}", handover.announced_member(), context.T("ab", "from"),
                       context.Time(handover.announced_starts_ms())) +
               (handover.agreed_here() ? context.T("; hier zugestimmt", "; agreed to here") : ""));
    }
    for (const auto& pending : handover.pending()) {
      line(context.T("Übergabe wartet", "Handover waits"), context.Sentence(pending.needs()));
    }
    PrintNotCut(context, handover.not_cut(), width);
  }
  if (!status.key_rotation().empty()) {
    line(context.T("Schlüsselwechsel", "Key rotation"), context.Sentence(status.key_rotation()));
  }
}

void AddCharterCommands(CLI::App& app, Context& context, Run& run) {
  AddCharter(app, context, run);
  AddHandover(app, context, run);
  AddKeys(app, context, run);
  AddRules(app, context, run);
}

}  // namespace staffel::cli
