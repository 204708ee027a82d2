// SPDX-License-Identifier: EUPL-1.2
// Commands about audiences: audience list, show, create, add, remove, relay, close.
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include "clients/cli/commands.h"
#include "clients/cli/terminal.h"

namespace staffel::cli {

namespace {

constexpr std::size_t kIdDigits = 8;
constexpr std::size_t kWidth = 14;

template <typename Names>
std::string Join(const Names& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : " ") + name;
  return out;
}

std::string NameOf(const Context& context, const admin::Audience& audience) {
  std::string name = audience.name();
  if (name.empty()) name = audience.id().substr(0, kIdDigits);
  if (audience.confidential()) name += context.T(" (vertraulich)", " (confidential)");
  return Clean(name);
}

void PrintChange(const Context& context, const admin::AudienceChangeReply& reply) {
  const auto& proposal = reply.proposal();
  std::string out;
  out += context.Line(context.T("Kreis", "Audience"), reply.audience(), kWidth);
  out += ProposalText(context, proposal, kWidth);
  if (reply.in_force()) {
    out += context.Line(context.T("Stand", "State"), context.T("in Kraft", "in force"), kWidth);
  } else {
    out += context.Line("",
                        fmt::format(fmt::runtime(context.T("Dort: staffel approve {}",
                                                           "There: staffel approve {}")),
                                    proposal.entry().substr(0, 12)),
                        kWidth);
  }
  Context::Print(out);
}

void AddList(CLI::App& group, Context& context, Run& run) {
  auto all = std::make_shared<bool>(false);
  auto* command = group.add_subcommand(
      "list", context.T("Kreise, die dieser Knoten liest", "Audiences that this node reads"));
  command->add_flag("--all", *all,
                    context.T("Auch Kreise, die er nicht liest: wer darin ist, ist kein Geheimnis",
                              "Also those that it does not read: who is in them is no secret"));
  command->callback([&context, &run, all] {
    run = [&context, all] {
      admin::AudienceListRequest request;
      request.set_all(*all);
      const auto reply = context.Ask<admin::AudienceListReply>("AudienceList", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      Table table({context.T("Kreis", "Audience"), context.T("liest", "reads"),
                   context.T("schreibt", "writes"), context.T("Datensätze", "Records"),
                   context.T("gibt weiter", "passed on by"), context.T("Mitglieder", "Members")});
      const auto* yes = context.T("ja", "yes");
      for (const auto& audience : reply->audiences()) {
        table.Add({NameOf(context, audience), audience.reader() ? yes : "–",
                   audience.writer() ? (audience.chair_writes_only()
                                            ? context.T("nur der Vorsitz", "the chair only")
                                            : yes)
                                     : "–",
                   audience.reader() ? std::to_string(audience.records()) : "–",
                   audience.passed_on_by(), Join(audience.readers())});
      }
      Context::Print(table.Render(context.width()));
      return kExitDone;
    };
  });
}

void AddShow(CLI::App& group, Context& context, Run& run) {
  auto name = std::make_shared<std::string>();
  auto* command = group.add_subcommand("show", context.T("Einen Kreis zeigen", "Show an audience"));
  command->add_option("audience", *name, context.T("Name oder Kennung", "Name or id"))
      ->required()
      ->type_name("NAME");
  command->callback([&context, &run, name] {
    run = [&context, name] {
      admin::AudienceListRequest request;
      request.set_audience(*name);
      const auto reply = context.Ask<admin::AudienceListReply>("AudienceList", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      for (const auto& audience : reply->audiences()) {
        const auto line = [&](const char* label, const std::string& text) {
          if (!text.empty()) Context::Print(context.Line(label, text, kWidth));
        };
        line(context.T("Kreis", "Audience"), NameOf(context, audience));
        line(context.T("Zweck", "Purpose"), audience.purpose());
        line(context.T("Kennung", "Id"), audience.id());
        line(context.T("lesen", "read by"), Join(audience.readers()));
        line(context.T("schreiben", "written by"),
             audience.chair_writes_only() ? context.T("nur der Vorsitz", "the chair only")
                                          : Join(audience.writers()));
        line(context.T("gibt weiter", "passed on by"),
             audience.passed_on_by() + (audience.relay().empty()
                                            ? context.T(" (Vorsitz)", " (chair)")
                                            : context.T(" (Relais)", " (relay)")));
        if (audience.reader()) {
          line(context.T("Datensätze", "Records"), std::to_string(audience.records()));
        }
        for (const auto& copy : audience.deleted_copies()) {
          line(context.T("ausgeschieden", "taken out"),
               copy.member() + (copy.time_ms() == 0
                                    ? context.T(": Löschung noch nicht bestätigt",
                                                ": deletion not confirmed yet")
                                    : context.T(": Kopie gelöscht ", ": copy deleted ") +
                                          context.Time(copy.time_ms()) +
                                          (copy.verified() ? ""
                                                           : context.T(" (Unterschrift falsch)",
                                                                       " (signature is wrong)"))));
        }
      }
      return kExitDone;
    };
  });
}

void AddCreate(CLI::App& group, Context& context, Run& run) {
  struct Options {
    std::string name, relay, purpose;
    std::vector<std::string> readers, writers;
    bool confidential = false;
  };
  auto options = std::make_shared<Options>();
  auto* command = group.add_subcommand(
      "create", context.T("Einen Kreis gründen; alle seine Mitglieder stimmen zu",
                          "Found an audience; all its members approve"));
  command->add_option("name", options->name, context.T("Name des Kreises", "Its name"))
      ->required()
      ->type_name("NAME");
  command
      ->add_option("--members", options->readers,
                   context.T("Mitglieder, das eigene Land darunter: NI,NW,BY",
                             "Members, our own among them: NI,NW,BY"))
      ->required()
      ->delimiter(',')
      ->type_name("MEMBERS");
  command
      ->add_option("--writers", options->writers,
                   context.T("Wer davon schreibt (sonst alle)", "Which of them write (else all)"))
      ->delimiter(',')
      ->type_name("MEMBERS");
  command
      ->add_option("--relay", options->relay,
                   context.T("Über wen sich treffen, die einander nicht erreichen, wo der Vorsitz "
                             "nicht dabei ist (sonst über den eigenen Knoten)",
                             "Through whom those meet who cannot reach each other, where the "
                             "chair is not among them (else through our own node)"))
      ->type_name("MEMBER");
  command
      ->add_option("--purpose", options->purpose, context.T("Wozu es ihn gibt", "What it is for"))
      ->type_name("TEXT");
  command->add_flag(
      "--confidential", options->confidential,
      context.T("Den Namen erfährt nur, wer darin ist", "Only those in it learn its name"));
  command->callback([&context, &run, options] {
    run = [&context, options] {
      admin::AudienceCreateRequest request;
      request.set_name(options->name);
      request.set_confidential(options->confidential);
      request.set_relay(options->relay);
      request.set_purpose(options->purpose);
      for (const auto& reader : options->readers) request.add_readers(reader);
      for (const auto& writer : options->writers) request.add_writers(writer);
      const auto reply = context.Ask<admin::AudienceChangeReply>("AudienceCreate", request);
      if (!reply) return kExitRefused;
      if (!context.PrintedAsJson(*reply)) PrintChange(context, *reply);
      return kExitDone;
    };
  });
}

struct CloseOptions {
  std::string audience;
  bool yes = false;
};

// What would be gone, before anything is proposed.
std::string CloseText(const Context& context, const admin::Audience& audience) {
  const std::string held =
      audience.reader() ? fmt::format(fmt::runtime(context.T("{} darin, auf diesem Knoten gezählt",
                                                             "{} in it, as counted on this node")),
                                      context.Count(audience.records(), kRecords))
                        : std::string(context.T("Was darin liegt, sieht dieser Knoten nicht",
                                                "What is in it, this node does not see"));
  return fmt::format(
      "{}: {}\n{}\n{}\n", NameOf(context, audience), Join(audience.readers()), held,
      context.T("Ein geschlossener Kreis verschwindet mit allem, was darin liegt, aus jeder Liste, "
                "bei allen, und wird nie wieder geöffnet.",
                "A closed audience disappears with all that is in it from every list, everywhere, "
                "and is never opened again."));
}

int RunClose(Context& context, const CloseOptions& options) {
  if (!options.yes) {
    admin::AudienceListRequest look;
    look.set_audience(options.audience);
    const auto found = context.Ask<admin::AudienceListReply>("AudienceList", look);
    if (!found) return kExitRefused;
    const bool is_shown = !context.json || IsTerminal(STDIN_FILENO);
    for (const auto& audience : found->audiences()) {
      if (is_shown) fmt::print(stderr, "{}", CloseText(context, audience));
    }
    if (!IsTerminal(STDIN_FILENO) ||
        !Confirmed(context.T("Schließen? Dann „ja“ eingeben: ", "Close? Then type 'yes': "))) {
      return context.Refuse(
          Error{ErrorCode::kInvalid,
                "not confirmed: the audience stays open (--yes closes without asking)"});
    }
  }
  admin::AudienceCloseRequest request;
  request.set_audience(options.audience);
  const auto reply = context.Ask<admin::AudienceChangeReply>("AudienceClose", request);
  if (!reply) return kExitRefused;
  if (!context.PrintedAsJson(*reply)) PrintChange(context, *reply);
  return kExitDone;
}

void AddChanges(CLI::App& group, Context& context, Run& run) {
  struct Options {
    std::string audience, member;
    bool reads_only = false;
  };
  auto adding = std::make_shared<Options>();
  auto* add = group.add_subcommand(
      "add", context.T("Ein Mitglied in einen Kreis aufnehmen: es bekommt die ganze Geschichte",
                       "Take a member into an audience: it gets the whole history"));
  add->add_option("audience", adding->audience, context.T("Name oder Kennung", "Name or id"))
      ->required()
      ->type_name("NAME");
  add->add_option("member", adding->member, context.T("Das Mitglied", "The member"))
      ->required()
      ->type_name("MEMBER");
  add->add_flag("--reads-only", adding->reads_only,
                context.T("Liest, schreibt nicht", "Reads, does not write"));
  add->callback([&context, &run, adding] {
    run = [&context, adding] {
      admin::AudienceAddRequest request;
      request.set_audience(adding->audience);
      request.set_member(adding->member);
      request.set_reads_only(adding->reads_only);
      const auto reply = context.Ask<admin::AudienceChangeReply>("AudienceAdd", request);
      if (!reply) return kExitRefused;
      if (!context.PrintedAsJson(*reply)) PrintChange(context, *reply);
      return kExitDone;
    };
  });
  auto removing = std::make_shared<Options>();
  auto* remove = group.add_subcommand(
      "remove", context.T("Ein Mitglied aus einem Kreis nehmen: sein Knoten löscht seine Kopie",
                          "Take a member out of an audience: its node deletes its copy"));
  remove->add_option("audience", removing->audience, context.T("Name oder Kennung", "Name or id"))
      ->required()
      ->type_name("NAME");
  remove->add_option("member", removing->member, context.T("Das Mitglied", "The member"))
      ->required()
      ->type_name("MEMBER");
  remove->callback([&context, &run, removing] {
    run = [&context, removing] {
      admin::AudienceRemoveRequest request;
      request.set_audience(removing->audience);
      request.set_member(removing->member);
      const auto reply = context.Ask<admin::AudienceChangeReply>("AudienceRemove", request);
      if (!reply) return kExitRefused;
      if (!context.PrintedAsJson(*reply)) PrintChange(context, *reply);
      return kExitDone;
    };
  });
  auto passing = std::make_shared<Options>();
  auto* relay = group.add_subcommand(
      "relay", context.T("Ein anderes seiner Mitglieder gibt weiter, was nicht beim Vorsitz liegt",
                         "Another of its members passes on what does not lie with the chair"));
  relay->add_option("audience", passing->audience, context.T("Name oder Kennung", "Name or id"))
      ->required()
      ->type_name("NAME");
  relay->add_option("member", passing->member, context.T("Das Mitglied", "The member"))
      ->required()
      ->type_name("MEMBER");
  relay->callback([&context, &run, passing] {
    run = [&context, passing] {
      admin::AudienceRelayRequest request;
      request.set_audience(passing->audience);
      request.set_member(passing->member);
      const auto reply = context.Ask<admin::AudienceChangeReply>("AudienceRelay", request);
      if (!reply) return kExitRefused;
      if (!context.PrintedAsJson(*reply)) PrintChange(context, *reply);
      return kExitDone;
    };
  });
  auto closing = std::make_shared<CloseOptions>();
  auto* close = group.add_subcommand(
      "close", context.T("Einen Kreis für immer schließen", "Close an audience for ever"));
  close->add_option("audience", closing->audience, context.T("Name oder Kennung", "Name or id"))
      ->required()
      ->type_name("NAME");
  close->add_flag("--yes", closing->yes, context.T("Ohne Rückfrage", "Without asking"));
  close->callback([&context, &run, closing] {
    run = [&context, closing] { return RunClose(context, *closing); };
  });
}

}  // namespace

void AddAudienceCommands(CLI::App& app, Context& context, Run& run) {
  auto* group = app.add_subcommand("audience",
                                   context.T("Kreise: wer was sieht", "Audiences: who sees what"));
  group->require_subcommand(1);
  group->fallthrough();
  AddList(*group, context, run);
  AddShow(*group, context, run);
  AddCreate(*group, context, run);
  AddChanges(*group, context, run);
}

}  // namespace staffel::cli
