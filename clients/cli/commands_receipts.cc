// SPDX-License-Identifier: EUPL-1.2
// Commands about what the chair has received and what has no effect: receipts, late, ineffective.
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "clients/cli/commands.h"
#include "clients/cli/terminal.h"
#include "core/base/time.h"

namespace staffel::cli {

namespace {

struct ReasonTexts {
  std::string_view name;
  const char* german;
  const char* english;
  const char* advice_german;
  const char* advice_english;
};

// Every name of docs/formats/admin.md, "Without effect".
constexpr ReasonTexts kReasons[] = {
    {"foreign-cell", "schreibt ein Feld, das jemand anderem gehört",
     "writes a field that belongs to someone else",
     "Stimmen und Erklärungen schreibt nur das Land selbst, Felder des Vorsitzes nur dessen "
     "Knoten: "
     "diese bitten, es zu schreiben. War es Ihr eigener Eintrag, das Programm des Knotens prüfen.",
     "A Land's votes and statements are written by that Land alone, the chair's fields by its node "
     "alone: ask them to write it. If the entry is yours, check your node's program."},
    {"never-a-writer", "Ihr Land liest diesen Kreis nur", "the member only reads this audience",
     "Den Vorsitz um das Schreibrecht bitten; danach gilt auch dieser Eintrag.",
     "Ask the chair for the right to write; then this entry counts, too."},
    {"grant-ended", "das Recht zu schreiben ist erloschen", "the right to write has ended",
     "Noch einmal schreiben, sobald das Recht wieder besteht. Der Vorsitz sieht den Eintrag und "
     "kann ihn mit einem Schnitt der Satzung zulassen.",
     "Write it again once the right is there. The chair sees the entry and can admit it with a cut "
     "of the charter."},
    {"after-cut", "liegt hinter dem Schnitt, bis zu dem das Journal gilt",
     "lies beyond the cut up to which the journal counts",
     "Noch einmal schreiben: der Knoten führt ein neues Journal. Der Vorsitz kann den Schnitt "
     "später weiter fassen.",
     "Write it again: the node goes on in a new journal. The chair may extend the cut later."},
    {"unknown-term", "gehört zu einer Amtszeit, die die Satzung nicht hat",
     "belongs to a term that the charter does not have",
     "Als Vorsitz der geltenden Amtszeit noch einmal schreiben.",
     "Write it again as the chair of the present term."},
    {"not-the-terms-replica", "wurde nicht vom Knoten dieser Amtszeit geschrieben",
     "was not written by the node of that term",
     "Nur der Hub der Amtszeit handelt als Vorsitz: dort noch einmal schreiben.",
     "Only the hub of the term acts as the chair: write it again there."},
    {"not-of-this-lane", "steht in einem Journal, in das es nicht gehört",
     "stands in a journal where it does not belong",
     "Das Programm des Knotens prüfen: ein unverändertes schreibt so nicht.",
     "Check the node's program: an unchanged one does not write so."},
    {"cell-twice", "schreibt ein Feld zweimal", "writes one field twice",
     "Das Programm des Knotens prüfen: ein unverändertes schreibt so nicht.",
     "Check the node's program: an unchanged one does not write so."},
    {"unknown-audience", "gehört zu einem Kreis, den die Satzung nicht hat",
     "belongs to an audience that the charter does not have",
     "In einem bestehenden Kreis noch einmal schreiben (staffel status).",
     "Write it again in an audience that exists (staffel status)."},
    {"unknown-key", "ist mit einem Schlüssel geschrieben, der zu keinem Mitglied gehört",
     "is written with a key that belongs to no member",
     "Den Schlüssel in der Satzung prüfen; vielleicht steht ein Beitritt noch aus.",
     "Check the key in the charter; perhaps a joining is not yet approved."},
    {"other-conference", "gehört zu einer anderen Konferenz", "belongs to another conference",
     "Nichts zu tun.", "Nothing to do."},
    {"newer-format", "hat ein neueres Format und wirkt nach der Aktualisierung",
     "is of a newer format and takes effect after the upgrade", "Diesen Knoten aktualisieren.",
     "Upgrade this node."},
};

const ReasonTexts* FindReason(std::string_view name) {
  for (const ReasonTexts& one : kReasons) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

std::string Named(const std::string& member, std::uint64_t term, const Context& context) {
  std::string who = member.empty() ? context.T("unbekannt", "unknown") : member;
  if (term > 0) who += fmt::format(" ({} {})", context.T("Vorsitz, Amtszeit", "chair, term"), term);
  return who;
}

// To the second: at a deadline minutes are too coarse.
std::string Exactly(std::uint64_t time_ms) {
  // "2025-06-13 12:00:00"
  const std::string text = FormatTimeIn(TimeMs{time_ms}, "Europe/Berlin");
  if (text.size() < 19) return text;
  return text.substr(8, 2) + "." + text.substr(5, 2) + "." + text.substr(0, 4) + text.substr(10);
}

void AddReceipts(CLI::App& app, Context& context, Run& run) {
  auto* command = app.add_subcommand(
      "receipts", context.T("Eingangsvermerke des Vorsitzes: der letzte je Kreis, und unwirksame",
                            "The chair's receipts: the last of each audience, and void ones"));
  command->callback([&context, &run] {
    run = [&context] {
      const auto reply = context.Ask<admin::ReceiptsReply>("Receipts", admin::ReceiptsRequest());
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      Table table({context.T("Kreis", "Audience"), context.T("letzter Vermerk", "last receipt"),
                   context.T("Amtszeit", "term"), context.T("Eintrag", "entry"),
                   context.T("noch nicht eingegangen", "not received"),
                   context.T("seit", "since")});
      for (const auto& audience : reply->audiences()) {
        const bool any = audience.has_last();
        table.Add(
            {audience.audience(),
             !audience.receipted() ? context.T("kein Vorsitz im Kreis", "no chair in it")
             : any                 ? context.Time(audience.last().time_ms())
                                   : context.T("noch keiner", "none yet"),
             any ? std::to_string(audience.last().term()) : "",
             any ? audience.last().entry().substr(0, 12) : "",
             std::to_string(audience.not_received()),
             audience.not_received() == 0 ? "" : context.Time(audience.not_received_since_ms())});
      }
      Context::Print(table.Render(context.width()));
      if (reply->void_().empty()) return kExitDone;
      Context::Print(context.T(
          "\nUnwirksame Vermerke. Sie belegen, was dort einging; der jetzige Vorsitz vermerkt es "
          "selbst:\n",
          "\nVoid receipts. They are evidence of what came in there; the present chair gives its "
          "own:\n"));
      Table evidence({context.T("Zeit", "Time"), context.T("von", "by"),
                      context.T("Kreis", "Audience"), context.T("Eintrag", "entry"),
                      context.T("nennt", "names"), context.T("unwirksam, weil", "void because")});
      for (const auto& receipt : reply->void_()) {
        evidence.Add({context.Time(receipt.time_ms()),
                      Named(receipt.member(), receipt.term(), context), receipt.audience(),
                      receipt.entry().substr(0, 12), std::to_string(receipt.lines_size()),
                      context.Sentence(receipt.sentence())});
      }
      Context::Print(evidence.Render(context.width()));
      if (reply->void_more()) {
        Context::Print(context.T("Es gibt weitere.\n", "There are more.\n"));
      }
      return kExitDone;
    };
  });
}

void PrintLate(const Context& context, const admin::LateReply& reply, bool in_time) {
  Table table({context.T("geschrieben", "written"), context.T("eingegangen", "received"),
               context.T("von", "by"), context.T("was", "what"), context.T("Inhalt", "text"),
               context.T("Eintrag", "entry")});
  for (const auto& item : reply.items()) {
    if (item.in_time() != in_time) continue;
    std::string what = context.Label(item.label_de(), item.label_en());
    if (item.record_id() != reply.record().id()) {
      what = item.record_short_id() + " " + item.record_title() + ": " + what;
    }
    if (item.admitted()) what += context.T(" [zugelassen]", " [admitted]");
    table.Add(
        {Exactly(item.time_ms()),
         item.received_ms() == 0 ? context.T("noch nicht", "not yet") : Exactly(item.received_ms()),
         item.member(), what, item.text(), item.entry().substr(0, 12)});
  }
  if (table.empty()) {
    Context::Print(context.T("nichts\n", "nothing\n"));
  } else {
    Context::Print(table.Render(context.width()));
  }
}

// "14 Tage vor der Sitzung „Hauptkonferenz“ (Regel deadline.amendment)".
std::string DeadlineSource(const Context& context, const admin::LateReply& reply) {
  if (reply.deadline_from() == "request") return context.T("mit --at genannt", "named by --at");
  if (reply.deadline_from() != "rule") {
    return fmt::format(
        fmt::runtime(context.T("steht im Datensatz ({})", "stands in the record ({})")),
        reply.deadline_field());
  }
  const auto& rule = reply.deadline_rule();
  const std::string named = fmt::format("{} {} {} {}", context.T("Regel", "rule"), rule.name(),
                                        context.T("ab", "from"), context.Time(rule.from_ms()));
  if (!reply.has_deadline_meeting()) return named;
  const auto days = std::strtoul(rule.value().c_str(), nullptr, 10);
  return fmt::format(fmt::runtime(context.T("{} {} vor der Sitzung „{}“ ({})",
                                            "{} {} before the meeting „{}“ ({})")),
                     days, days == 1 ? context.T("Tag", "day") : context.T("Tage", "days"),
                     Clean(reply.deadline_meeting().title()), named);
}

void AddLate(CLI::App& app, Context& context, Run& run) {
  struct Options {
    std::string id, at;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "late",
      context.T(
          "Was vor einer Frist geschrieben und danach eingegangen ist: der Vorsitz entscheidet",
          "What was written before a deadline and received after it: the chair decides"));
  command
      ->add_option("id", options->id,
                   context.T("Eine Abstimmung, ein Termin (Frist) oder ein anderer Datensatz",
                             "A ballot, an event (deadline), or any other record"))
      ->required()
      ->type_name("ID");
  command
      ->add_option("--at", options->at,
                   context.T("Eine andere Frist: 2025-06-13T12:00 (deutsche Zeit) oder mit Zone",
                             "Another deadline: 2025-06-13T12:00 (German time) or with a zone"))
      ->type_name("TIME");
  command->callback([&context, &run, options] {
    run = [&context, options] {
      admin::LateRequest request;
      request.set_id(options->id);
      if (!options->at.empty()) {
        auto time = ParseTime(options->at);
        if (!time) time = ParseLocalTime(options->at, "Europe/Berlin");
        if (!time) return context.Refuse(time.error());
        request.set_deadline_ms(time->value);
      }
      const auto reply = context.Ask<admin::LateReply>("Late", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      context.PrintNotice(reply->demonstration());
      Context::Print(fmt::format("{}\n{} {}, {}\n", Clean(reply->record().title()),
                                 context.T("Frist:", "Deadline:"), Exactly(reply->deadline_ms()),
                                 DeadlineSource(context, *reply)));
      if (!reply->receipted()) {
        Context::Print(
            context.T("In diesem Kreis ist kein Vorsitz: hier wird nie ein Eingang vermerkt.\n",
                      "There is no chair in this audience: nothing is ever receipted here.\n"));
      }
      Context::Print(context.T("\nVor der Frist geschrieben, nicht vor ihr eingegangen:\n",
                               "\nWritten before the deadline, not received before it:\n"));
      PrintLate(context, *reply, /*in_time=*/true);
      Context::Print(
          context.T("\nNach der Frist geschrieben:\n", "\nWritten after the deadline:\n"));
      PrintLate(context, *reply, /*in_time=*/false);
      return kExitDone;
    };
  });
}

void AddIneffective(CLI::App& app, Context& context, Run& run) {
  struct Options {
    bool all = false;
    std::uint32_t limit = 0;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "ineffective", context.T("Eigene Einträge ohne Wirkung: warum, und was zu tun ist",
                               "Entries of ours without effect: why, and what to do"));
  command->add_flag("--all", options->all, context.T("Die aller Mitglieder", "Those of everyone"));
  command->add_option("--limit", options->limit, context.T("Höchstens so viele", "At most so many"))
      ->check(CLI::Range(1, 10'000))
      ->type_name("N");
  command->callback([&context, &run, options] {
    run = [&context, options] {
      admin::IneffectiveRequest request;
      request.set_all(options->all);
      request.set_limit(options->limit);
      const auto reply = context.Ask<admin::IneffectiveReply>("Ineffective", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      context.PrintNotice(reply->demonstration());
      if (reply->entries().empty()) {
        Context::Print(context.T("Keine: alles wirkt.\n", "None: all of it has its effect.\n"));
        return kExitDone;
      }
      constexpr std::size_t kWidth = 10;
      for (const auto& entry : reply->entries()) {
        Context::Print(fmt::format("{}  {}  {} {}, {} {}\n", context.Time(entry.time_ms()),
                                   Named(entry.member(), entry.term(), context),
                                   context.T("Eintrag", "entry"), entry.entry().substr(0, 12),
                                   context.T("Kreis", "audience"), Clean(entry.audience())));
        for (const auto& record : entry.records()) {
          Context::Print(context.Line(context.T("  betrifft", "  about"),
                                      record.short_id() + " " + record.kind() +
                                          (record.title().empty() ? "" : " " + record.title()),
                                      kWidth));
        }
        Context::Print(context.Line(context.T("  Grund", "  reason"),
                                    ReasonText(context, entry.reason(), entry.sentence()), kWidth));
        const std::string advice = AdviceText(context, entry.reason());
        if (!advice.empty()) {
          Context::Print(context.Line(context.T("  Rat", "  advice"), advice, kWidth));
        }
      }
      if (reply->more()) {
        Context::Print(context.T("Es gibt weitere (--limit).\n", "There are more (--limit).\n"));
      }
      return kExitDone;
    };
  });
}

}  // namespace

std::string ReasonText(const Context& context, std::string_view reason,
                       const std::string& sentence) {
  const ReasonTexts* texts = FindReason(reason);
  return texts == nullptr ? sentence : context.T(texts->german, texts->english);
}

std::string AdviceText(const Context& context, std::string_view reason) {
  const ReasonTexts* texts = FindReason(reason);
  return texts == nullptr ? "" : context.T(texts->advice_german, texts->advice_english);
}

std::string ReceptionText(const Context& context, std::string_view reception,
                          std::uint64_t received_ms) {
  if (reception == "received") {
    std::string text = context.T("eingegangen", "received");
    if (received_ms != 0) text += " " + context.Time(received_ms);
    return text;
  }
  if (reception == "no-chair") {
    return context.T("am Ministerium (kein Vorsitz im Kreis, nie ein Eingang)",
                     "at the ministry (no chair in the audience, never received)");
  }
  return context.T("am Ministerium, noch nicht eingegangen", "at the ministry, not yet received");
}

void PrintReceptions(const Context& context, const admin::StatusReply& status, std::size_t width) {
  for (const auto& audience : status.audiences()) {
    const std::string name =
        Pad(audience.name().empty() ? audience.id().substr(0, 8) : audience.name(), 12) + "  ";
    std::string text;
    if (!audience.receipted()) {
      text = fmt::format(
          "{} ({} {})",
          context.T("kein Vorsitz im Kreis: nie ein Eingang", "no chair in it: never received"),
          audience.not_received(),
          audience.not_received() == 1 ? context.T("Eintrag", "entry")
                                       : context.T("Einträge", "entries"));
    } else if (audience.not_received() == 0) {
      text = context.T("alles eingegangen", "all of it received");
    } else {
      if (audience.own_not_received() > 0) {
        text = fmt::format(fmt::runtime(context.T("{} eigene noch nicht eingegangen, seit {}",
                                                  "{} of ours not yet received, since {}")),
                           audience.own_not_received(),
                           context.Time(audience.own_not_received_since_ms()));
      }
      if (audience.not_received() > audience.own_not_received()) {
        if (!text.empty()) text += "; ";
        text +=
            fmt::format(fmt::runtime(context.T("{} insgesamt, seit {}", "{} of all, since {}")),
                        audience.not_received(), context.Time(audience.not_received_since_ms()));
      }
    }
    Context::Print(context.Line(context.T("Eingang", "Received"), name + text, width));
  }
  const auto& counts = status.counts();
  if (counts.invalid_entries() > 0) {
    Context::Print(context.Line(
        context.T("ohne Wirkung", "without effect"),
        fmt::format(fmt::runtime(context.T("{}, {} davon von uns: staffel ineffective",
                                           "{}, {} of them ours: staffel ineffective")),
                    context.Count(counts.invalid_entries(), kEntries),
                    counts.own_invalid_entries()),
        width));
  }
  if (status.void_receipts() > 0) {
    Context::Print(
        context.Line(context.T("Vermerke", "Receipts"),
                     fmt::format(fmt::runtime(context.T("{} unwirksame: staffel receipts",
                                                        "{} void ones: staffel receipts")),
                                 status.void_receipts()),
                     width));
  }
  if (status.charter_tied()) {
    Context::Print(context.Line(
        context.T("GLEICHSTAND", "TIE"),
        context.T(
            "Zwei Fassungen der Satzung sind gleich stark: niemand handelt als Vorsitz, bis "
            "eine Mehrheit entscheidet (staffel charter show). Bearbeiten geht weiter.",
            "Two versions of the charter are equally strong: nobody acts as the chair until a "
            "quorum decides (staffel charter show). Editing goes on."),
        width));
  }
}

void AddReceiptCommands(CLI::App& app, Context& context, Run& run) {
  AddReceipts(app, context, run);
  AddLate(app, context, run);
  AddIneffective(app, context, run);
}

}  // namespace staffel::cli
