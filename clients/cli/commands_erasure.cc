// SPDX-License-Identifier: EUPL-1.2
// Commands about erasure (Art. 17 DSGVO): erase, erasures list, repeat, drop.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include "clients/cli/commands.h"
#include "clients/cli/terminal.h"

namespace staffel::cli {

namespace {

constexpr std::size_t kWidth = 10;
constexpr std::size_t kShortDigits = 12;

struct EraseOptions {
  std::string id, kind, audience;
  std::vector<std::string> fields;
  bool yes = false;
  bool plan = false;
  bool propose = false;
};

std::string What(const Context& context, const EraseOptions& options) {
  if (options.fields.empty()) {
    return context.T("der ganze Datensatz, für immer", "the whole record, for ever");
  }
  std::string names = context.T("nur die Felder", "only the fields");
  for (std::size_t i = 0; i < options.fields.size(); ++i) {
    names += (i == 0 ? " " : ", ") + options.fields[i];
  }
  return names;
}

// What would be done, in plain words, before anything is.
std::string PlanText(const Context& context, const EraseOptions& options,
                     const admin::EraseReply& plan) {
  std::string out = fmt::format("{} {} {}\n{}: {}\n", plan.record().short_id(),
                                plan.record().kind(), Clean(plan.record().title()),
                                context.T("Gelöscht wird", "To be erased"), What(context, options));
  for (const auto& audience : plan.audiences()) {
    std::string text;
    if (audience.erased_before()) {
      text = context.T("nichts mehr zu löschen", "nothing left to erase");
    } else if (!audience.refusal().empty()) {
      text = fmt::format("{}: {}", context.T("nicht von hier allein", "not from here alone"),
                         context.Sentence(audience.refusal()));
    } else {
      text = fmt::format(
          fmt::runtime(context.T("zu vernichten: {}; zuvor neu zu schreiben: {}",
                                 "to be destroyed: {}; to be written anew before: {}")),
          context.Count(audience.payloads(), {"Inhalt", "Inhalte", "content", "contents"}),
          context.Count(audience.clean_values(), {"Wert", "Werte", "value", "values"}));
    }
    out += context.Line("  " + Clean(audience.audience()), text, kWidth + 4);
  }
  out += context.T(
      "Vernichtet wird der Inhalt auf jedem Knoten und Telefon, auch was später noch eintrifft; "
      "rückgängig machen kann es niemand. Wer wann geschrieben hat, bleibt prüfbar. Papier, "
      "Ausdrucke und Exportdateien erreicht der Knoten nicht.\n",
      "The content is destroyed on every node and phone, also what arrives later; nobody can take "
      "it back. Who wrote when stays verifiable. Paper, prints and exported files are out of the "
      "node's reach.\n");
  return out;
}

void PrintDone(const Context& context, const admin::EraseReply& reply) {
  for (const auto& audience : reply.audiences()) {
    std::string text;
    if (!audience.entries().empty()) {
      text = context.T("gelöscht (Art. 17 DSGVO)", "erased (Art. 17 GDPR)");
    } else if (!audience.proposal().empty()) {
      text = fmt::format(
          fmt::runtime(context.T("vorgeschlagen: gelöscht wird, sobald genug Länder zustimmen "
                                 "(staffel approve {})",
                                 "proposed: erased as soon as enough Länder approve "
                                 "(staffel approve {})")),
          audience.proposal().substr(0, kShortDigits));
    } else if (audience.erased_before()) {
      text = context.T("war schon gelöscht", "had been erased");
    } else {
      text = fmt::format("{}: {}", context.T("NICHT gelöscht", "NOT erased"),
                         context.Sentence(audience.refusal()));
    }
    Context::Print(context.Line("  " + Clean(audience.audience()), text, kWidth + 4));
  }
  if (!reply.wiped()) {
    Context::Print(context.T(
        "Freie Stellen der Dateien werden noch überschrieben: staffel status sagt, ob das "
        "aussteht.\n",
        "Free places of the files are still being overwritten: staffel status says while that is "
        "pending.\n"));
  }
  Context::Print(context.T("Wo es schon vollzogen ist: staffel erasures list\n",
                           "Where it has been carried out: staffel erasures list\n"));
}

int RunErase(Context& context, const EraseOptions& options) {
  admin::EraseRequest request;
  request.set_id(options.id);
  request.set_kind(options.kind);
  request.set_audience(options.audience);
  for (const std::string& field : options.fields) request.add_fields(field);
  request.set_propose(options.propose);
  if (options.plan || !options.yes) {
    request.set_plan_only(true);
    const auto plan = context.Ask<admin::EraseReply>("Erase", request);
    if (!plan) return kExitRefused;
    if (options.plan && context.PrintedAsJson(*plan)) return kExitDone;
    const bool is_asked = !options.plan && IsTerminal(STDIN_FILENO);
    if (!context.json) {
      context.PrintNotice(plan->demonstration());
      Context::Print(PlanText(context, options, *plan));
    } else if (is_asked) {
      fmt::print(stderr, "{}", PlanText(context, options, *plan));
    }
    if (options.plan) return kExitDone;
    // Before the question, which comes another way; nobody agrees to what could not be shown.
    if (Context::FlushOutput() != 0) return kExitRefused;
    if (!is_asked ||
        !Confirmed(context.T("Löschen? Dann „ja“ eingeben: ", "Erase? Then type 'yes': "))) {
      return context.Refuse(Error{
          ErrorCode::kInvalid, "not confirmed: nothing was erased (--yes erases without asking)"});
    }
    request.set_plan_only(false);
  }
  const auto reply = context.Ask<admin::EraseReply>("Erase", request);
  if (!reply) return kExitRefused;
  if (context.PrintedAsJson(*reply)) return kExitDone;
  PrintDone(context, *reply);
  return kExitDone;
}

void AddErase(CLI::App& app, Context& context, Run& run) {
  auto options = std::make_shared<EraseOptions>();
  auto* command =
      app.add_subcommand("erase", context.T("Personenbezogenes überall vernichten (Art. 17 DSGVO)",
                                            "Destroy personal data everywhere (Art. 17 GDPR)"));
  command->add_option("id", options->id, context.T("Kennung des Datensatzes", "The record's id"))
      ->required()
      ->type_name("ID");
  command
      ->add_option("fields", options->fields,
                   context.T("Nur diese Felder; ohne: der ganze Datensatz, für immer",
                             "Only these fields; none: the whole record, for ever"))
      ->type_name("FIELD");
  command
      ->add_option("--kind", options->kind, context.T("Art des Datensatzes", "The record's kind"))
      ->type_name("KIND");
  command
      ->add_option("--audience", options->audience,
                   context.T("Nur in diesem Kreis; sonst in jedem, in dem er liegt",
                             "Only in this audience; else in each where it lives"))
      ->type_name("NAME");
  command->add_flag("--yes", options->yes, context.T("Ohne Rückfrage", "Without asking"));
  command->add_flag("--plan", options->plan,
                    context.T("Nur sagen, was geschähe", "Only say what would be done"));
  command->add_flag("--propose", options->propose,
                    context.T("Was niemand allein löschen darf, den Ländern vorschlagen",
                              "Propose to the Länder what nobody may erase alone"));
  command->callback([&context, &run, options] {
    run = [&context, options] { return RunErase(context, *options); };
  });
}

std::string StandingText(const Context& context, const admin::Erasure& erasure) {
  const std::string& standing = erasure.standing();
  if (standing == "in-effect") return context.T("gilt", "in effect");
  if (standing == "undecided") {
    return context.T(
        "hinter einem Schnitt: verborgen, bis der Vorsitz sie wiederholt oder verwirft",
        "beyond a cut: hidden until the chair repeats or drops it");
  }
  if (standing == "dropped") {
    return context.T("hinter einem Schnitt, vom Vorsitz verworfen",
                     "beyond a cut, dropped by the chair");
  }
  return fmt::format("{}: {}", context.T("ohne Wirkung", "without effect"),
                     context.Sentence(erasure.sentence()));
}

void PrintErasure(const Context& context, const admin::Erasure& erasure) {
  const std::string who =
      erasure.member().empty()
          ? std::string(context.T("ein Quorum", "a quorum"))
          : erasure.member() +
                (erasure.term() == 0 ? "" : context.T(" (Vorsitz)", " (in the chair)"));
  Context::Print(fmt::format("{}  {}  {} {}  {}\n", context.Time(erasure.time_ms()), who,
                             context.T("Löschung", "erasure"),
                             erasure.entry().substr(0, kShortDigits), Clean(erasure.audience())));
  for (const auto& thing : erasure.things()) {
    std::string text = thing.record().empty()
                           ? std::string(context.T("noch unbekannt", "not known here"))
                           : thing.kind() + " " + thing.record();
    if (!thing.whole()) {
      text += ", " + context.Count(thing.payloads(), {"einzelner Inhalt", "einzelne Inhalte",
                                                      "single content", "single contents"});
    }
    Context::Print(context.Line(context.T("  was", "  what"), text, kWidth));
  }
  Context::Print(
      context.Line(context.T("  Stand", "  state"), StandingText(context, erasure), kWidth));
  for (const auto& replica : erasure.replicas()) {
    const auto same = std::count_if(
        erasure.replicas().begin(), erasure.replicas().end(),
        [&](const admin::ErasedBy& other) { return other.member() == replica.member(); });
    const std::string name = same > 1 ? replica.member() + "/" + replica.key() : replica.member();
    Context::Print(
        fmt::format("    {}: {}\n", name,
                    replica.carried_out_ms() == 0
                        ? std::string(context.T("noch nicht gemeldet", "not reported yet"))
                        : fmt::format("{} {}", context.T("gelöscht", "erased"),
                                      context.Time(replica.carried_out_ms()))));
  }
}

void AddList(CLI::App& group, Context& context, Run& run) {
  auto id = std::make_shared<std::string>();
  auto* command = group.add_subcommand(
      "list", context.T("Alle Löschungen, und welche Knoten sie vollzogen haben",
                        "All erasures, and which nodes have carried them out"));
  command
      ->add_option("id", *id,
                   context.T("Nur die dieses Datensatzes oder dieser Löschung",
                             "Only those of this record, or this erasure"))
      ->type_name("ID");
  command->callback([&context, &run, id] {
    run = [&context, id] {
      admin::ErasuresRequest request;
      request.set_id(*id);
      const auto reply = context.Ask<admin::ErasuresReply>("Erasures", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      context.PrintNotice(reply->demonstration());
      if (reply->erasures().empty()) Context::Print(context.T("Keine.\n", "None.\n"));
      for (const auto& erasure : reply->erasures()) PrintErasure(context, erasure);
      return kExitDone;
    };
  });
}

void AddDecision(CLI::App& group, Context& context, Run& run, const char* name, const char* help,
                 bool repeat) {
  auto entry = std::make_shared<std::string>();
  auto* command = group.add_subcommand(name, help);
  command
      ->add_option("entry", *entry,
                   context.T("Die Löschung: ihr Eintrag oder sein Anfang",
                             "The erasure: its entry or the beginning of it"))
      ->required()
      ->type_name("ENTRY");
  command->callback([&context, &run, entry, repeat] {
    run = [&context, entry, repeat] {
      admin::DecideErasureRequest request;
      request.set_entry(*entry);
      request.set_repeat(repeat);
      const auto reply = context.Ask<admin::DecideErasureReply>("DecideErasure", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      Context::Print(repeat ? context.T("Wiederholt: gelöscht wird überall.\n",
                                        "Repeated: it is erased everywhere.\n")
                            : context.T("Verworfen: was verborgen war, wird wieder gezeigt.\n",
                                        "Dropped: what was hidden is shown again.\n"));
      return kExitDone;
    };
  });
}

}  // namespace

void AddErasureCommands(CLI::App& app, Context& context, Run& run) {
  AddErase(app, context, run);
  auto* group =
      app.add_subcommand("erasures", context.T("Was gelöscht wurde, von wem, und wo schon",
                                               "What was erased, by whom, and where already"));
  group->require_subcommand(1);
  AddList(*group, context, run);
  AddDecision(*group, context, run, "repeat",
              context.T("Vorsitz: eine Löschung hinter einem Schnitt wiederholen",
                        "Chair: repeat an erasure beyond a cut"),
              /*repeat=*/true);
  AddDecision(*group, context, run, "drop",
              context.T("Vorsitz: eine Löschung hinter einem Schnitt verwerfen",
                        "Chair: drop an erasure beyond a cut"),
              /*repeat=*/false);
}

void PrintErasureState(const Context& context, const admin::StatusReply& status,
                       std::size_t width) {
  const char* label = context.T("Löschung", "Erasure");
  if (status.wipe_pending()) {
    Context::Print(context.Line(
        label,
        context.T("steht aus: Gelöschtes kann noch in freien Stellen der Dateien liegen, solange "
                  "jemand sie liest",
                  "pending: what was erased may still lie in free places of the files, while "
                  "somebody reads them"),
        width));
  }
  if (status.erasures_undecided() > 0) {
    Context::Print(context.Line(
        label,
        fmt::format(fmt::runtime(context.T(
                        "{} hinter einem Schnitt, der Vorsitz entscheidet: staffel erasures list",
                        "{} beyond a cut, the chair decides: staffel erasures list")),
                    status.erasures_undecided()),
        width));
  }
  if (status.payloads_missing() > 0) {
    Context::Print(context.Line(
        label,
        fmt::format(
            fmt::runtime(
                context.T("fehlend: {}, unter einer Löschung vernichtet, die nicht mehr gilt",
                          "missing: {}, destroyed under an erasure that has no effect now")),
            context.Count(status.payloads_missing(), {"Inhalt", "Inhalte", "content", "contents"})),
        width));
  }
}

}  // namespace staffel::cli
