// SPDX-License-Identifier: EUPL-1.2
// Conflicts: list, show with both texts and a word diff, decide by taking one or writing another.
// No conflict is ever decided unasked.
#include <algorithm>
#include <cctype>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include "clients/cli/commands.h"
#include "clients/cli/terminal.h"

namespace staffel::cli {

namespace {

std::string Who(const Context& context, const admin::Head& head) {
  std::string who = head.member().empty() ? context.T("unbekannt", "unknown") : head.member();
  if (!head.author().empty()) who += ", " + head.author();
  return who;
}

std::string TextOf(const Context& context, const admin::Conflict& conflict,
                   const admin::Head& head) {
  if (head.erased()) return context.T("(Inhalt gelöscht, Art. 17)", "(erased)");
  if (head.deletes()) {
    std::string text = context.T("löscht den ganzen Datensatz", "deletes the whole record");
    if (const auto others = conflict.record().conflicts(); others > 1) {
      text += fmt::format(fmt::runtime(context.T("; noch unentschieden darin: {}",
                                                 "; undecided in it besides: {}")),
                          context.Count(others - 1, kConflicts));
    }
    return "(" + text + ")";
  }
  if (head.emptied()) return context.T("(geleert)", "(emptied)");
  return head.text();
}

std::string Diff(const Context& context, const admin::Head& head) {
  std::string out;
  for (const auto& part : head.diff()) {
    const std::string text = Clean(part.text());
    switch (part.op()) {
      case admin::DiffPart::DELETED:
        out += context.colour() ? "\x1B[31;9m" + text + "\x1B[0m" : "[-" + text + "-]";
        break;
      case admin::DiffPart::INSERTED:
        out += context.colour() ? "\x1B[32;1m" + text + "\x1B[0m" : "{+" + text + "+}";
        break;
      default:
        out += text;
    }
  }
  return out;
}

std::optional<admin::ConflictsReply> Fetch(Context& context, admin::ConflictsRequest request) {
  admin::ConflictsReply all;
  do {
    auto reply = context.Ask<admin::ConflictsReply>("Conflicts", request);
    if (!reply) return std::nullopt;
    request.set_page(reply->next_page());
    all.MergeFrom(*reply);
    all.set_next_page(reply->next_page());
  } while (!request.page().empty());
  return all;
}

int List(Context& context, const std::string& kind, const std::string& audience) {
  admin::ConflictsRequest request;
  request.set_kind(kind);
  request.set_audience(audience);
  const auto reply = Fetch(context, request);
  if (!reply) return kExitRefused;
  if (context.PrintedAsJson(*reply)) return kExitDone;
  context.PrintNotice(reply->demonstration());
  if (reply->conflicts().empty()) {
    Context::Print(context.T("Keine Konflikte.\n", "No conflicts.\n"));
    return kExitDone;
  }
  Table table({context.T("Kennung", "Id"), context.T("Kreis", "Audience"),
               context.T("Datensatz", "Record"), context.T("Feld", "Field"),
               context.T("zwischen", "between"), context.T("vorläufig", "provisional")});
  for (const auto& conflict : reply->conflicts()) {
    std::string between;
    std::string provisional;
    for (const auto& head : conflict.heads()) {
      between += (between.empty() ? "" : " / ") + head.member();
      if (head.provisional()) provisional = head.member();
    }
    table.Add(
        {conflict.record().short_id(), conflict.record().audience(), conflict.record().title(),
         context.Label(conflict.label_de(), conflict.label_en()) + " (" + conflict.path() + ")",
         between,
         conflict.deleted_beside_edited() ? context.T("bleibt sichtbar", "stays visible")
                                          : provisional});
  }
  Context::Print(table.Render(context.width()));
  Context::Print(context.T("\nAnsehen: staffel conflicts show KENNUNG\n",
                           "\nTo see one: staffel conflicts show ID\n"));
  return kExitDone;
}

// As a shell takes it for one word: the name of an audience may hold spaces, and more.
std::string Word(const std::string& text) {
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-' || c == ':';
  };
  if (std::all_of(text.begin(), text.end(), plain)) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

// How the conflict is decided: "staffel conflicts take ID FIELD --from 0123 --if-version 4567".
std::string Command(const admin::Conflict& conflict, const std::string& verb,
                    const std::string& choice, const std::string& audience) {
  return fmt::format("staffel conflicts {} {} {} {} --if-version {}{}", verb,
                     conflict.record().short_id(),
                     Word(conflict.path().empty() ? conflict.cell() : conflict.path()), choice,
                     conflict.version(), audience.empty() ? "" : " --audience " + Word(audience));
}

// In one line, however narrow the terminal is: to be copied whole.
std::string CommandLine(const char* label, std::size_t width, const std::string& command) {
  return Pad(label, width) + "  " + Clean(command) + "\n";
}

void PrintConflicts(const Context& context, const admin::ConflictsReply& reply,
                    const std::string& audience) {
  for (const auto& conflict : reply.conflicts()) {
    Context::Print(fmt::format("{}\n{} ({})\n\n", Clean(conflict.record().title()),
                               context.Label(conflict.label_de(), conflict.label_en()),
                               conflict.path()));
    if (conflict.deleted_beside_edited()) {
      Context::Print(
          context.T("Gelöscht von der einen Seite, geändert von der anderen; der Datensatz bleibt "
                    "sichtbar.\n\n",
                    "Deleted on one side, changed on the other; the record stays visible.\n\n"));
    }
    const std::size_t width = 12;
    if (conflict.has_base())
      Context::Print(context.Line(context.T("vorher", "before"), conflict.base(), width) + "\n");
    for (const auto& head : conflict.heads()) {
      std::string line = fmt::format("{}, {}", Who(context, head), context.Time(head.time_ms()));
      if (head.provisional()) line += context.T(" (vorläufig gezeigt)", " (shown provisionally)");
      if (!head.clock().empty()) line += context.T(" (Uhr ging vor)", " (its clock was ahead)");
      Context::Print(context.Line(context.T("Fassung von", "version of"), line, width));
      Context::Print(context.Line("", TextOf(context, conflict, head), width));
      if (!head.diff().empty())
        Context::Print(Pad(context.T("geändert", "changed"), width) + "  " + Diff(context, head) +
                       "\n");
      Context::Print(
          CommandLine(context.T("übernehmen", "to take it"), width,
                      Command(conflict, "take", "--from " + head.entry().substr(0, 12), audience)) +
          "\n");
    }
    if (conflict.has_suggestion()) {
      Context::Print(context.Line(context.T("beides", "both"), conflict.suggestion(), width));
      Context::Print(context.Line("",
                                  context.T("(Vorschlag: die Änderungen berühren sich nicht)",
                                            "(suggestion: the changes do not touch)"),
                                  width));
    }
    if (!conflict.deleted_beside_edited()) {
      Context::Print(CommandLine(context.T("schreiben", "to write"), width,
                                 Command(conflict, "write", "'TEXT'", audience)));
    }
  }
}

int Show(Context& context, const std::string& id, const std::string& cell,
         const std::string& audience) {
  admin::ConflictsRequest request;
  request.set_id(id);
  request.set_audience(audience);
  request.set_cell(cell);
  const auto reply = Fetch(context, request);
  if (!reply) return kExitRefused;
  if (context.PrintedAsJson(*reply)) return kExitDone;
  context.PrintNotice(reply->demonstration());
  if (reply->conflicts().empty()) Context::Print(context.T("Kein Konflikt.\n", "No conflict.\n"));
  PrintConflicts(context, *reply, audience);
  return kExitDone;
}

// What is decided is what was seen. Without its version the conflict is shown where a person can
// answer; a program has to say what it saw, or is refused by the node.
int Decide(Context& context, admin::DecideRequest request) {
  if (request.if_version().empty() && IsTerminal(STDIN_FILENO) && !context.json) {
    admin::ConflictsRequest look;
    look.set_id(request.id());
    look.set_cell(request.cell());
    look.set_audience(request.audience());
    const auto seen = Fetch(context, look);
    if (!seen) return kExitRefused;
    if (!seen->conflicts().empty()) {
      PrintConflicts(context, *seen, request.audience());
      if (!Confirmed(
              context.T("So entscheiden? Dann „ja“ eingeben: ", "Decide so? Then type 'yes': "))) {
        return context.Refuse(
            Error{ErrorCode::kInvalid, "not confirmed: the conflict stays undecided"});
      }
      request.set_if_version(seen->conflicts(0).version());
    }
  }
  request.set_author(context.author);
  request.set_op(RandomOp());
  const auto reply = context.Ask<admin::ChangeReply>("Decide", request);
  if (!reply) return kExitRefused;
  if (context.PrintedAsJson(*reply)) return kExitDone;
  PrintChange(context, *reply, context.T("Entschieden", "Decided"));
  if (reply->record().deleted()) {
    Context::Print(context.T("Damit ist der ganze Datensatz gelöscht.\n",
                             "With that the whole record is deleted.\n"));
  }
  return kExitDone;
}

}  // namespace

void AddConflictCommands(CLI::App& app, Context& context, Run& run) {
  struct Options {
    std::string id, cell, from, text, kind, audience, if_version;
  };
  auto options = std::make_shared<Options>();
  auto* conflicts = app.add_subcommand(
      "conflicts", context.T("Konflikte ansehen und entscheiden", "See and decide conflicts"));
  conflicts->require_subcommand(1);
  conflicts->fallthrough();

  const char* id_help = context.T("Kennung des Datensatzes, gekürzt wo eindeutig",
                                  "Id of the record, shortened where unique");
  const auto audience_option = [&context, options](CLI::App* command, const char* german,
                                                   const char* english) {
    command->add_option("--audience", options->audience, context.T(german, english))
        ->type_name("NAME");
  };
  constexpr const char* kOfRecordDe = "In diesem Kreis (sonst im engsten, in dem er ist)";
  constexpr const char* kOfRecordEn = "In this audience (else in the narrowest that it is in)";
  const char* cell_help = context.T("Feld, wie conflicts list es nennt (items.2.text)",
                                    "Field, as conflicts list names it (items.2.text)");

  auto* list = conflicts->add_subcommand("list", context.T("Alle Konflikte", "All conflicts"));
  list->add_option("--kind", options->kind, context.T("Nur diese Art", "Only this kind"))
      ->type_name("KIND");
  audience_option(list, "Nur dieser Kreis", "Only this audience");
  list->callback([&context, &run, options] {
    run = [&context, options] { return List(context, options->kind, options->audience); };
  });

  auto* show = conflicts->add_subcommand(
      "show", context.T("Beide Texte, wer, wann, aus was", "Both texts, who, when, from what"));
  show->add_option("id", options->id, id_help)->required()->type_name("ID");
  show->add_option("cell", options->cell, cell_help)->type_name("FIELD");
  audience_option(show, kOfRecordDe, kOfRecordEn);
  show->callback([&context, &run, options] {
    run = [&context, options] {
      return Show(context, options->id, options->cell, options->audience);
    };
  });

  const auto version_option = [&context, options](CLI::App* command) {
    command
        ->add_option("--if-version", options->if_version,
                     context.T("Die Fassung des Konflikts aus conflicts show; ohne sie wird er am "
                               "Terminal gezeigt und nachgefragt",
                               "The version of the conflict from conflicts show; without it, at a "
                               "terminal, the conflict is shown and you are asked"))
        ->type_name("TOKEN");
  };
  auto* take = conflicts->add_subcommand(
      "take", context.T("Eine der Fassungen übernehmen", "Take one of the versions"));
  take->add_option("id", options->id, id_help)->required()->type_name("ID");
  take->add_option("cell", options->cell, cell_help)->required()->type_name("FIELD");
  take->add_option("--from", options->from,
                   context.T("Mitglied (NW) oder Anfang der Eintragskennung",
                             "Member (NW) or the beginning of the entry's id"))
      ->required()
      ->type_name("ID");
  audience_option(take, kOfRecordDe, kOfRecordEn);
  version_option(take);
  take->callback([&context, &run, options] {
    run = [&context, options] {
      admin::DecideRequest request;
      request.set_id(options->id);
      request.set_cell(options->cell);
      request.set_take(options->from);
      request.set_audience(options->audience);
      request.set_if_version(options->if_version);
      return Decide(context, request);
    };
  });

  auto* write = conflicts->add_subcommand(
      "write",
      context.T("Eine neue Fassung schreiben, die gilt", "Write a new version that shall stand"));
  write->add_option("id", options->id, id_help)->required()->type_name("ID");
  write->add_option("cell", options->cell, cell_help)->required()->type_name("FIELD");
  write->add_option("text", options->text, context.T("Der Text", "The text"))
      ->required()
      ->type_name("TEXT");
  audience_option(write, kOfRecordDe, kOfRecordEn);
  version_option(write);
  write->callback([&context, &run, options] {
    run = [&context, options] {
      admin::DecideRequest request;
      request.set_id(options->id);
      request.set_cell(options->cell);
      request.set_write(options->text);
      request.set_audience(options->audience);
      request.set_if_version(options->if_version);
      return Decide(context, request);
    };
  });
}

}  // namespace staffel::cli
