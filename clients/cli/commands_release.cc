// SPDX-License-Identifier: EUPL-1.2
// Commands about releases: release, withdraw; and what show says of them.
#include <memory>
#include <string>
#include <vector>

#include "clients/cli/commands.h"
#include "clients/cli/terminal.h"

namespace staffel::cli {

namespace {

constexpr std::size_t kWidth = 16;

std::string Reason(const Context& context, const std::string& reason) {
  if (reason == "confidential")
    return context.T("vertraulich: nur mit --with", "confidential: only by --with");
  if (reason == "part")
    return context.T("gehört zu einem anderen Teil (--part)", "of another part (--part)");
  if (reason == "owner") {
    return context.T("darf dieser Knoten dort nicht schreiben", "not this node's to write there");
  }
  if (reason == "named") return context.T("mit --without ausgelassen", "left out by --without");
  return context.T("bleibt immer innen", "always stays inside");
}

std::string Headline(const Context& context, const admin::ReleasedRecord& released, bool dry_run) {
  if (released.unchanged()) {
    return context.T("Schon so freigegeben für {}: {}  {}\n",
                     "Released so already to {}: {}  {}\n");
  }
  return dry_run ? context.T("Ginge hinaus für {}: {}  {}\n", "Would go out to {}: {}  {}\n")
                 : context.T("Freigegeben für {}: {}  {}\n", "Released to {}: {}  {}\n");
}

void PrintReply(const Context& context, const admin::ReleaseReply& reply, bool dry_run,
                const std::string& to) {
  std::string out;
  if (dry_run) out += context.T("Probe, nichts geschrieben.\n", "A trial, nothing was written.\n");
  for (const admin::ReleasedRecord& released : reply.released()) {
    out += fmt::format(fmt::runtime(Headline(context, released, dry_run)), Clean(to),
                       released.record().short_id(), Clean(released.record().title()));
    std::string carried;
    for (const std::string& field : released.carried()) {
      carried += (carried.empty() ? "" : ", ") + field;
    }
    if (!carried.empty()) {
      out += context.Line(context.T("geht hinaus", "goes out"), carried, kWidth);
    }
    for (const auto& left_out : released.left_out()) {
      out += context.Line(context.T("bleibt innen", "stays inside"),
                          context.Label(left_out.label_de(), left_out.label_en()) + " – " +
                              Reason(context, left_out.reason()),
                          kWidth);
    }
  }
  Context::Print(out);
}

void AddRelease(CLI::App& app, Context& context, Run& run) {
  struct Options {
    std::vector<std::string> ids;
    std::string from, to;
    std::vector<std::string> parts, with, without;
    bool dry_run = false;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "release",
      context.T("Datensätze, wie sie sind, für einen weiteren Kreis freigeben, ohne Geschichte und "
                "ohne Namen; nach Änderungen wieder",
                "Release records as they stand to a wider audience, without history and names; "
                "again after changes"));
  command
      ->add_option("id", options->ids,
                   context.T("Kennungen, gekürzt wo eindeutig; was einander nennt, zusammen: alle "
                             "werden freigegeben oder keiner",
                             "Ids, shortened where unique; what names each other, together: all "
                             "are released or none"))
      ->required()
      ->type_name("ID");
  command
      ->add_option("--to", options->to,
                   context.T("Der weitere Kreis: guests, public, …",
                             "The wider audience: guests, public, …"))
      ->required()
      ->type_name("NAME");
  command
      ->add_option("--from", options->from,
                   context.T("Aus diesem Kreis (sonst aus dem engsten, in dem er ist)",
                             "From this audience (else from the narrowest that it is in)"))
      ->type_name("NAME");
  command
      ->add_option("--part", options->parts,
                   context.T("Teile: decision, report, annexes (sonst nach der "
                             "Freigabe im Datensatz)",
                             "Parts: decision, report, annexes (else as the record's own "
                             "clearance says)"))
      ->delimiter(',')
      ->type_name("PART");
  command
      ->add_option("--with", options->with,
                   context.T("Vertrauliche Felder, die mitgehen sollen",
                             "Confidential fields that shall go along"))
      ->delimiter(',')
      ->type_name("FIELD");
  command
      ->add_option("--without", options->without,
                   context.T("Felder, die innen bleiben sollen", "Fields that shall stay inside"))
      ->delimiter(',')
      ->type_name("FIELD");
  command->add_flag("--dry-run", options->dry_run,
                    context.T("Nur sagen, was hinausginge", "Only say what would go out"));
  command->callback([&context, &run, options] {
    run = [&context, options] {
      admin::ReleaseRequest request;
      for (const auto& id : options->ids) request.add_ids(id);
      request.set_from(options->from);
      request.set_to(options->to);
      for (const auto& part : options->parts) request.add_parts(part);
      for (const auto& field : options->with) request.add_with(field);
      for (const auto& field : options->without) request.add_without(field);
      request.set_op(RandomOp());
      request.set_dry_run(options->dry_run);
      const auto reply = context.Ask<admin::ReleaseReply>("Release", request);
      if (!reply) return kExitRefused;
      if (!context.PrintedAsJson(*reply)) {
        PrintReply(context, *reply, options->dry_run, options->to);
      }
      return kExitDone;
    };
  });
}

void AddWithdraw(CLI::App& app, Context& context, Run& run) {
  struct Options {
    std::string id, from;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "withdraw", context.T("Eine Freigabe zurücknehmen", "Take a release back"));
  command
      ->add_option("id", options->id,
                   context.T("Kennung, gekürzt wo eindeutig", "Id, shortened where unique"))
      ->required()
      ->type_name("ID");
  command
      ->add_option("--from", options->from,
                   context.T("Der weitere Kreis, aus dem er verschwinden soll",
                             "The wider audience that it shall vanish from"))
      ->required()
      ->type_name("NAME");
  command->callback([&context, &run, options] {
    run = [&context, options] {
      admin::WithdrawRequest request;
      request.set_id(options->id);
      request.set_from(options->from);
      request.set_op(RandomOp());
      const auto reply = context.Ask<admin::WithdrawReply>("Withdraw", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      Context::Print(fmt::format(
          "{}: {}  {}\n{}\n",
          reply->unchanged() ? context.T("War schon zurückgenommen", "Was taken back already")
                             : context.T("Zurückgenommen", "Taken back"),
          reply->record().short_id(), Clean(reply->record().title()),
          context.T("Wer ihn gelesen hat, behält ihn in seinem Journal; was verschwinden muss, "
                    "wird gelöscht (Art. 17).",
                    "Whoever has read it keeps it in the journal; what must vanish is erased.")));
      return kExitDone;
    };
  });
}

}  // namespace

void PrintReleases(const Context& context, const admin::ShowReply& reply, std::size_t width) {
  for (const auto& release : reply.releases()) {
    std::string text;
    const std::string when = context.Time(release.time_ms());
    if (release.state() == admin::ReleaseState::RECEIVED) {
      text = fmt::format(fmt::runtime(context.T("freigegeben von {}, {}", "released by {}, {}")),
                         release.member(), when);
      if (reply.record().deleted()) text += context.T("; zurückgenommen", "; taken back");
    } else {
      text = fmt::format(
          fmt::runtime(release.outward() ? context.T("für {} ({}, {}): ", "to {} ({}, {}): ")
                                         : context.T("aus {} ({}, {}): ", "from {} ({}, {}): ")),
          release.audience(), release.member(), when);
      switch (release.state()) {
        case admin::ReleaseState::CURRENT:
          text += context.T("der freigegebene Text ist der aktuelle",
                            "the released text is the current one");
          break;
        case admin::ReleaseState::DIFFERS: {
          std::string fields;
          for (const std::string& field : release.fields())
            fields += (fields.empty() ? "" : ", ") + field;
          text += context.T("der freigegebene Text weicht vom aktuellen ab: ",
                            "the released text differs from the current one: ") +
                  fields;
          break;
        }
        case admin::ReleaseState::WITHDRAWN:
          text += context.T("zurückgenommen", "taken back");
          break;
        default:
          text += context.T("hier nicht zu sehen", "not to be seen here");
      }
      if (release.state() != admin::ReleaseState::WITHDRAWN && !release.proven()) {
        text += context.T(" (nicht belegt)", " (not proven)");
      }
    }
    Context::Print(context.Line(context.T("Freigabe", "Release"), text, width));
  }
}

void AddReleaseCommands(CLI::App& app, Context& context, Run& run) {
  AddRelease(app, context, run);
  AddWithdraw(app, context, run);
}

}  // namespace staffel::cli
