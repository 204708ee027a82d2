// SPDX-License-Identifier: EUPL-1.2
// Commands about the node and its conference: found, invite, join, waiting, approve, status, sync,
// kinds.
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unistd.h>

#include "clients/cli/commands.h"
#include "clients/cli/terminal.h"

namespace staffel::cli {

namespace {

// As sync/invitation.h makes them.
constexpr std::string_view kTokenPrefix = "staffel-1.";
constexpr std::size_t kInvitationBytesMax = std::size_t{1} << 20;

std::string Join(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + text;
  return out;
}

void AddMember(admin::FoundRequest& request, const std::string& text, bool guest) {
  auto* member = request.add_members();
  const NamedMember named = ReadNamedMember(text);
  member->set_id(named.id);
  member->set_name(named.name);
  member->set_guest(guest);
}

void AddFound(CLI::App& app, Context& context, Run& run) {
  struct Options {
    admin::FoundRequest request;
    std::vector<std::string> lands;
    std::vector<std::string> guests;
    std::vector<std::string> rules;
    std::string name, title, member, starts;
    bool demonstration = false;
  };
  auto options = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("found", context.T("Eine Konferenz gründen; dieser Knoten wird ihr Hub",
                                            "Found a conference; this node becomes its hub"));
  command
      ->add_option("name", options->name,
                   context.T("Kurzname, etwa IntMK", "Short name, such as IntMK"))
      ->required()
      ->type_name("NAME");
  command
      ->add_option("--as", options->member,
                   context.T("Das Mitglied dieses Knotens, etwa NI; hat den ersten Vorsitz",
                             "The member of this node, such as NI; has the first chair"))
      ->required()
      ->type_name("ID");
  command
      ->add_option("--land", options->lands,
                   context.T("Stimmberechtigtes Mitglied, mehrfach: NI=Niedersachsen",
                             "A voting member, repeatable: NI=Niedersachsen"))
      ->required()
      ->type_name("ID=NAME");
  command
      ->add_option("--guest", options->guests,
                   context.T("Gast ohne Stimme, mehrfach: BUND=Bund",
                             "A guest without vote, repeatable: BUND=Bund"))
      ->type_name("ID=NAME");
  command->add_option("--title", options->title, context.T("Voller Name", "Full name"))
      ->type_name("TEXT");
  command
      ->add_option("--rule", options->rules,
                   context.T("Eine Regel, mehrfach: rotation.first-day=07-01",
                             "A rule, repeatable: rotation.first-day=07-01"))
      ->type_name("NAME=VALUE");
  command
      ->add_option("--term-starts", options->starts,
                   context.T("Wann die erste Amtszeit begann: 2024-07-01; sonst jetzt",
                             "When the first term began: 2024-07-01; else now"))
      ->type_name("TIME");
  command->add_flag(
      "--demonstration", options->demonstration,
      context.T("Überall als Demodaten kennzeichnen", "Mark everything as demonstration data"));
  command->callback([&context, &run, options] {
    run = [&context, options] {
      admin::FoundRequest& request = options->request;
      request.set_name(options->name);
      request.set_title(options->title);
      request.set_member(options->member);
      request.set_demonstration(options->demonstration);
      for (const std::string& rule : options->rules) {
        const auto sign = rule.find('=');
        if (sign == std::string::npos) {
          return context.RefuseUsage(Error{
              ErrorCode::kInvalid,
              fmt::format("a rule is NAME=VALUE, such as rotation.first-day=07-01, not {}", rule)});
        }
        auto* out = request.add_rules();
        out->set_name(rule.substr(0, sign));
        out->set_value(rule.substr(sign + 1));
      }
      if (!options->starts.empty()) {
        const auto starts = ReadWhen(options->starts);
        if (!starts) return context.RefuseUsage(starts.error());
        request.set_term_starts_ms(starts->value);
      }
      for (const std::string& land : options->lands) AddMember(request, land, false);
      for (const std::string& guest : options->guests) AddMember(request, guest, true);
      const auto reply = context.Ask<admin::FoundReply>("Found", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      Context::Print(fmt::format(
          fmt::runtime(context.T(
              "{} ist gegründet; dieser Knoten ({}) ist der Hub.\nKennung der Konferenz: {}\n",
              "{} is founded; this node ({}) is the hub.\nId of the conference: {}\n")),
          options->name, options->member, reply->conference_id()));
      return kExitDone;
    };
  });
}

std::string InvitationState(const Context& context, const std::string& state) {
  if (state == "open") return context.T("offen", "open");
  if (state == "used") return context.T("benutzt", "used");
  if (state == "expired") return context.T("abgelaufen", "expired");
  if (state == "revoked") return context.T("widerrufen", "revoked");
  return state;
}

int ListInvitations(Context& context) {
  const auto reply =
      context.Ask<admin::ListInvitationsReply>("ListInvitations", admin::ListInvitationsRequest());
  if (!reply) return kExitRefused;
  if (context.PrintedAsJson(*reply)) return kExitDone;
  Table table({context.T("Kennung", "Id"), context.T("Mitglied", "Member"),
               context.T("Stand", "State"), context.T("ausgestellt", "created"),
               context.T("gültig bis", "valid until")});
  for (const auto& invitation : reply->invitations()) {
    table.Add({invitation.id(), invitation.member(), InvitationState(context, invitation.state()),
               context.Time(invitation.created_ms()), context.Time(invitation.expires_ms())});
  }
  if (table.empty()) {
    Context::Print(context.T("Keine Einladungen.\n", "No invitations.\n"));
  } else {
    Context::Print(table.Render(context.width()));
  }
  return kExitDone;
}

void AddInvite(CLI::App& app, Context& context, Run& run) {
  struct Options {
    std::string member, revoke;
    std::uint64_t hours = 0;
    bool list = false;
    bool further = false;
  };
  auto options = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("invite", context.T("Den Knoten eines Mitglieds einladen (am Hub)",
                                             "Invite a member's node (at the hub)"));
  auto* member =
      command
          ->add_option("member", options->member,
                       context.T("Kennung des Mitglieds, etwa NW", "Id of the member, such as NW"))
          ->type_name("ID");
  command
      ->add_option("--hours", options->hours,
                   context.T("Wie viele Stunden die Einladung gilt (sonst sieben Tage)",
                             "How many hours the invitation is valid (else seven days)"))
      ->check(CLI::Range(1, 24 * 90))
      ->type_name("N");
  command->add_flag("--further", options->further,
                    context.T("Ein weiterer Knoten eines Mitglieds, das schon dabei ist; es muss "
                              "zustimmen",
                              "One more node of a member that has joined; it must approve"));
  auto* list = command->add_flag("--list", options->list,
                                 context.T("Alle Einladungen zeigen", "Show all invitations"));
  command
      ->add_option("--revoke", options->revoke,
                   context.T("Eine Einladung widerrufen", "Revoke an invitation"))
      ->excludes(list)
      ->excludes(member)
      ->type_name("ID");
  member->excludes(list);
  command->callback([&context, &run, options, command] {
    if (options->member.empty() && !options->list && options->revoke.empty()) {
      throw CLI::RequiredError(command->get_name() + ": member, --list, --revoke");
    }
    run = [&context, options] {
      if (options->list) return ListInvitations(context);
      if (!options->revoke.empty()) {
        admin::RevokeInvitationRequest request;
        request.set_id(options->revoke);
        const auto reply = context.Ask<admin::RevokeInvitationReply>("RevokeInvitation", request);
        if (!reply) return kExitRefused;
        if (context.PrintedAsJson(*reply)) return kExitDone;
        Context::Print(
            context.T("Die Einladung ist widerrufen.\n", "The invitation is revoked.\n"));
        return kExitDone;
      }
      admin::InviteRequest request;
      request.set_member(options->member);
      request.set_valid_seconds(options->hours * 3600);
      request.set_further(options->further);
      const auto reply = context.Ask<admin::InviteReply>("Invite", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      // The token alone on a line, so that it can be cut out: it is shown only now.
      Context::Print(fmt::format(
          fmt::runtime(context.T("Einladung für {}, gültig bis {}, einmal zu benutzen:\n\n{}\n\n"
                                 "Dort: staffel join -   (und die Einladung eingeben)\n",
                                 "Invitation for {}, valid until {}, to be used once:\n\n{}\n\n"
                                 "There: staffel join -   (and enter the invitation)\n")),
          options->member, context.Time(reply->expires_ms()), reply->token()));
      return kExitDone;
    };
  });
}

std::string JoinState(const Context& context, const admin::JoinProgress& join) {
  std::string text;
  if (join.state() == "joined") {
    text = context.T("beigetreten", "joined");
  } else if (join.state() == "refused") {
    text = context.T("abgelehnt", "refused");
  } else if (join.state() == "waiting") {
    text = context.T("wartet auf Zustimmung", "waits for approval");
  } else {
    text = context.T("fragt beim Hub an", "asks the hub");
  }
  if (!join.sentence().empty()) text += ": " + context.Sentence(join.sentence());
  return text;
}

// The next line, read to one byte beyond `bytes_max` at most: a line may have no end.
bool ReadLine(std::istream& input, std::size_t bytes_max, std::string& line) {
  line.clear();
  for (char c = 0; line.size() <= bytes_max && input.get(c);) {
    if (c == '\n') return true;
    line += c;
  }
  return !line.empty();
}

// The invitation in what is handed in: alone, or with all that `staffel invite` prints around it.
// Who types it need not end the input.
Result<std::string> FindToken(std::istream& input, bool is_typed) {
  std::string token;
  std::string only_word;
  std::size_t words = 0;
  std::size_t bytes = 0;
  for (std::string line; ReadLine(input, kInvitationBytesMax - bytes, line);) {
    bytes += line.size() + 1;
    if (bytes > kInvitationBytesMax) {
      return Fail(ErrorCode::kTooLarge,
                  "standard input has more than {} bytes: hand in only the "
                  "invitation",
                  kInvitationBytesMax);
    }
    std::istringstream parts(line);
    for (std::string word; parts >> word; ++words) {
      only_word = word;
      if (!word.starts_with(kTokenPrefix)) continue;
      if (!token.empty() && token != word) {
        return Fail(ErrorCode::kInvalid,
                    "several invitations stand there: hand in the one that is meant");
      }
      token = word;
    }
    if (is_typed && words > 0) break;
  }
  if (!token.empty()) return token;
  // What is wrong with a single word the node says.
  if (words == 1) return only_word;
  return Fail(ErrorCode::kInvalid, "no invitation stands there: it is one word that begins with {}",
              kTokenPrefix);
}

void AddJoin(CLI::App& app, Context& context, Run& run) {
  auto token = std::make_shared<std::string>();
  auto* command =
      app.add_subcommand("join", context.T("Einer Konferenz mit einer Einladung beitreten",
                                           "Join a conference with an invitation"));
  command
      ->add_option(
          "invitation", *token,
          context.T(
              "Die Einladung; - liest sie von der Eingabe, damit sie in keiner Prozessliste steht",
              "The invitation; - reads it from standard input, so that no process list shows it"))
      ->required()
      ->type_name("TEXT");
  command->callback([&context, &run, token] {
    run = [&context, token] {
      const auto found = *token == "-" ? FindToken(std::cin, IsTerminal(STDIN_FILENO))
                                       : Result<std::string>(*token);
      if (!found) return context.Refuse(found.error());
      admin::JoinRequest request;
      request.set_token(*found);
      const auto reply = context.Ask<admin::JoinReply>("Join", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      const std::size_t width = 10;
      Context::Print(context.Line(context.T("Konferenz", "Conference"),
                                  reply->join().conference_name(), width));
      Context::Print(context.Line(context.T("Mitglied", "Member"), reply->join().member(), width));
      Context::Print(
          context.Line(context.T("Stand", "State"), JoinState(context, reply->join()), width));
      return reply->join().state() == "refused" ? kExitRefused : kExitDone;
    };
  });
}

void PrintOvertaken(const Context& context, const admin::Overtaken& overtaken) {
  const auto& proposal = overtaken.proposal();
  const std::size_t width = 14;
  std::string out =
      context.Line(context.T("überholt", "overtaken"), proposal.entry().substr(0, 12), width);
  for (const std::string& change : proposal.changes()) {
    out += context.Line(context.T("Änderung", "Change"), context.Sentence(change), width);
  }
  for (const std::string& detail : proposal.details()) {
    out += context.Line("", context.Sentence(detail), width);
  }
  out += context.Line(context.T("warum", "why"), context.Sentence(overtaken.reason()), width);
  out += context.Line(
      "",
      fmt::format(
          fmt::runtime(context.T(
              "Neu vorschlagen, wenn es noch gewollt ist; erledigt: staffel waiting --drop {}",
              "Propose it again if it is still wanted; done with: staffel waiting --drop "
              "{}")),
          proposal.entry().substr(0, 12)),
      width);
  Context::Print(out + "\n");
}

void AddApproval(CLI::App& app, Context& context, Run& run) {
  auto* waiting =
      app.add_subcommand("waiting", context.T("Was in der Satzung auf Zustimmung wartet",
                                              "Changes of the charter that wait for approval"));
  auto asked = std::make_shared<admin::WaitingRequest>();
  auto* drop = waiting->add_option_function<std::string>(
      "--drop", [asked](const std::string& id) { asked->set_drop(id); },
      context.T("Diese Änderung auf diesem Knoten verbergen: hier stimmt ihr niemand zu",
                "Hide this change on this node: nobody approves it here"));
  drop->type_name("ID");
  auto* keep = waiting->add_option_function<std::string>(
      "--keep", [asked](const std::string& id) { asked->set_keep(id); },
      context.T("Sie wieder zeigen", "Show it again"));
  keep->type_name("ID");
  keep->excludes(drop);
  waiting->add_flag_callback(
      "--all", [asked] { asked->set_all(true); },
      context.T("Auch verworfene", "Also what was dropped"));
  waiting->callback([&context, &run, asked] {
    run = [&context, asked] {
      const auto reply = context.Ask<admin::WaitingReply>("Waiting", *asked);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      if (reply->proposals().empty()) {
        Context::Print(
            context.T("Nichts wartet auf Zustimmung.\n", "Nothing waits for approval.\n"));
      }
      PrintProposals(context, reply->proposals());
      for (const auto& overtaken : reply->overtaken()) PrintOvertaken(context, overtaken);
      return kExitDone;
    };
  });
  auto what = std::make_shared<std::string>();
  auto key_file = std::make_shared<std::string>();
  auto* approve = app.add_subcommand(
      "approve", context.T("Einer Änderung der Satzung zustimmen, etwa einem Beitritt",
                           "Approve a change of the charter, such as a joining"));
  approve
      ->add_option("what", *what,
                   context.T("Ein Mitglied (NW) oder der Anfang einer Eintragskennung",
                             "A member (NW) or the beginning of an entry's id"))
      ->required()
      ->type_name("ID");
  approve
      ->add_option("--recovery-key", *key_file,
                   context.T("Mit diesem Notschlüssel unterschreiben, nicht mit dem des Knotens",
                             "Sign with this recovery key, not with the node's"))
      ->type_name("FILE");
  approve->callback([&context, &run, what, key_file] {
    run = [&context, what, key_file] {
      if (!key_file->empty()) return ApproveWithKey(context, *what, *key_file);
      admin::ApproveRequest request;
      request.set_what(*what);
      const auto reply = context.Ask<admin::ApproveReply>("Approve", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      PrintProposals(context, reply->proposals());
      Context::Print(fmt::format(fmt::runtime(context.T("Zugestimmt; in Kraft: {} von {}.\n",
                                                        "Approved; in force: {} of {}.\n")),
                                 reply->in_force(), reply->proposals_size()));
      return kExitDone;
    };
  });
}

void PrintExchange(const Context& context, const admin::StatusReply& status, std::size_t width) {
  const auto& exchange = status.exchange();
  std::string out;
  const auto line = [&](const char* label, const std::string& text) {
    out += context.Line(label, text, width);
  };
  if (exchange.active()) {
    line(context.T("Austausch mit", "Exchange with"),
         exchange.peer() + (exchange.peer_url().empty() ? "" : " (" + exchange.peer_url() + ")"));
    line(context.T("zuletzt gelungen", "last exchange"),
         exchange.last_success_ms() == 0
             ? context.T("noch nie", "never")
             : context.Time(exchange.last_success_ms()) + " (" +
                   context.Relative(exchange.last_success_ms(), status.now_ms()) + ")");
    if (!exchange.last_error().empty()) {
      line(context.T("zuletzt versucht", "last attempt"), context.Time(exchange.last_attempt_ms()));
      line(context.T("gescheitert, weil", "failed because"),
           context.Sentence(exchange.last_error()));
    }
    line(context.T("nächster Versuch", "next attempt"),
         exchange.phase() == "in-step"
             ? context.T("im Gleichstand; Neues kommt sofort", "in step; news comes at once")
         : exchange.running() ? context.T("läuft gerade", "running now")
                              : context.Relative(exchange.next_attempt_ms(), status.now_ms()));
    if (status.state() == admin::StatusReply::MEMBER) {
      line(context.T("am Ministerium", "at the ministry"),
           exchange.pending_entries() == 0
               ? context.T("alles auch beim Hub", "all of it at the hub, too")
               : fmt::format(fmt::runtime(context.T("{} von uns noch nicht beim Hub",
                                                    "{} of ours not yet at the hub")),
                             context.Count(exchange.pending_entries(), kEntries)));
    }
  } else if (status.is_hub()) {
    line(context.T("Austausch", "Exchange"),
         context.T("dieser Knoten ist der Hub: die anderen rufen ihn",
                   "this node is the hub: the others call it"));
    if (!exchange.last_error().empty()) {
      line(context.T("abgewiesen, weil", "refused because"),
           context.Sentence(exchange.last_error()));
    }
  }
  Context::Print(out);
}

// As the node has it (sync/clock_watch.h).
constexpr std::int64_t kClockWarningMs = 300'000;

// "3 Tage", "12 Minuten": how far apart two clocks are.
std::string Span(const Context& context, std::int64_t milliseconds) {
  const std::int64_t minutes = std::abs(milliseconds) / 60'000;
  const auto count = [&](std::int64_t number, const Noun& noun) {
    return context.Count(static_cast<std::uint64_t>(number), noun);
  };
  if (minutes < 120) return count(minutes, {"Minute", "Minuten", "minute", "minutes"});
  if (minutes < 2 * 1440) return count(minutes / 60, {"Stunde", "Stunden", "hour", "hours"});
  return count(minutes / 1440, {"Tag", "Tage", "day", "days"});
}

void AddStatus(CLI::App& app, Context& context, Run& run) {
  auto* command = app.add_subcommand(
      "status", context.T("Stand des Knotens: Konferenz, Austausch, Konflikte, Prüfsummen",
                          "State of the node: conference, exchange, conflicts, digests"));
  command->callback([&context, &run] {
    run = [&context] {
      const auto reply = context.Ask<admin::StatusReply>("Status", admin::StatusRequest());
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      const admin::StatusReply& status = *reply;
      context.PrintNotice(status.demonstration());
      const std::size_t width = 18;
      const auto line = [&](const char* label, const std::string& text) {
        Context::Print(context.Line(label, text, width));
      };
      switch (status.state()) {
        case admin::StatusReply::JOINING:
          line(context.T("Beitritt", "Joining"), JoinState(context, status.join()));
          line(context.T("nächster Versuch", "next attempt"),
               context.Relative(status.join().next_attempt_ms(), status.now_ms()));
          break;
        case admin::StatusReply::MEMBER:
          line(context.T("Konferenz", "Conference"), status.conference_name());
          line(context.T("Mitglied", "Member"),
               status.member() + " " + status.member_name() +
                   (status.is_hub() ? context.T(" (Hub)", " (hub)") : ""));
          line(context.T("Vorsitz", "Chair"),
               fmt::format("{} ({} {})", status.chair(), context.T("Amtszeit", "term"),
                           status.term()));
          break;
        default:
          line(context.T("Konferenz", "Conference"),
               context.T("keine: staffel found oder staffel join",
                         "none: staffel found or staffel join"));
      }
      PrintHandoverStatus(context, status, width);
      line(context.T("Verzeichnis", "Directory"), status.directory());
      if (!status.replicas_address().empty()) {
        line(context.T("für Knoten", "for replicas"), status.replicas_address());
      }
      if (!status.people_address().empty()) {
        line(context.T("für Menschen", "for people"), status.people_address());
      }
      line(context.T("Schlüssel", "Key"), status.key_fingerprint().substr(0, 32));
      if (status.doubt().in_doubt()) {
        line(
            context.T("IM ZWEIFEL", "IN DOUBT"),
            fmt::format(fmt::runtime(context.T(
                            "seit {}: {}. Der Knoten bedient niemanden, bis er einmal mit einem "
                            "anderen ausgetauscht hat; hier geht die Arbeit weiter. Sonst: staffel "
                            "trust",
                            "since {}: {}. The node serves nobody before it has exchanged with "
                            "another one; work here goes on. Else: staffel trust")),
                        context.Time(status.doubt().since_ms()),
                        context.Sentence(status.doubt().reason())));
      } else if (status.is_hub() && status.doubt().no_acts_until_term() >= status.term()) {
        line(context.T("Amtshandlungen", "Acts"),
             fmt::format(fmt::runtime(context.T(
                             "ruhen bis zur nächsten Amtszeit ('staffel handover propose {}'): "
                             "dieser Knoten war im Zweifel über seine eigene Vergangenheit",
                             "rest until the next term ('staffel handover propose {}'): this node "
                             "was in doubt about its own past")),
                         status.chair()));
      }
      if (status.clock().wrong()) {
        line(context.T("UHR FALSCH", "CLOCK WRONG"),
             fmt::format(
                 fmt::runtime(context.T(
                     "geht {} {} gegen die Mehrheit der anderen: Zeitdienst prüfen. Was hier "
                     "geschrieben wird, ist nach deren Uhren datiert",
                     "is {} {} of most of the others: check the time service. What is written here "
                     "is dated by their clocks")),
                 Span(context, status.clock().ahead_by()),
                 status.clock().ahead_by() < 0 ? context.T("vor", "ahead")
                                               : context.T("nach", "behind")));
      } else if (!status.clock().agreed() && status.clock().hub_heard() &&
                 std::abs(status.clock().hub_ahead_by()) > kClockWarningMs) {
        line(context.T("Uhr", "Clock"),
             fmt::format(
                 fmt::runtime(context.T("weicht um {} von der des Hubs ab; eine von beiden ist "
                                        "falsch: Zeitdienst prüfen",
                                        "differs by {} from the hub's; one of the two is wrong: "
                                        "check the time service")),
                 Span(context, status.clock().hub_ahead_by())));
      }
      PrintExchange(context, status, width);
      const auto& counts = status.counts();
      line(context.T("Bestand", "Holdings"),
           fmt::format(fmt::runtime(context.T("{}, {} ({} eigene)", "{}, {} ({} of ours)")),
                       context.Count(counts.records(), kRecords),
                       context.Count(counts.entries(), kEntries), counts.own_entries()));
      line(context.T("Konflikte", "Conflicts"), counts.conflicts() == 0
                                                    ? context.T("keine", "none")
                                                    : std::to_string(counts.conflicts()));
      PrintReceptions(context, status, width);
      if (counts.opaque_entries() > 0) {
        line(context.T("Neueres Format", "Newer format"),
             fmt::format(
                 fmt::runtime(context.T("{} hier, noch nicht lesbar: diesen Knoten aktualisieren",
                                        "{} here, not readable yet: upgrade this node")),
                 context.Count(counts.opaque_entries(), kEntries)));
      }
      if (status.charter_newer()) {
        line(context.T("SATZUNG", "CHARTER"),
             context.T("ist in einer neueren Version weitergegangen: diesen Knoten aktualisieren",
                       "has gone on in a newer version: upgrade this node"));
      }
      if (status.attachments().here() + status.attachments().wanted() > 0) {
        std::string text = fmt::format(fmt::runtime(context.T("{} hier ({})", "{} here ({})")),
                                       status.attachments().here(),
                                       SizeText(context, status.attachments().bytes()));
        if (status.attachments().wanted() > 0) {
          text += fmt::format(fmt::runtime(context.T(", {} noch nicht", ", {} not yet")),
                              status.attachments().wanted());
        }
        if (!status.attachments().last_error().empty()) {
          text += ": " + Clean(status.attachments().last_error());
        }
        line(context.T("Anlagen", "Attachments"), text);
      }
      PrintErasureState(context, status, width);
      if (status.waiting() > 0) {
        line(context.T("Zustimmung", "Approval"),
             fmt::format(fmt::runtime(context.T("{} wartend, {} davon auf uns: staffel waiting",
                                                "{} waiting, {} of them for us: staffel waiting")),
                         context.Count(status.waiting(), kChanges), status.waiting_for_us()));
      }
      if (status.overtaken() > 0) {
        line(context.T("Zustimmung", "Approval"),
             fmt::format(fmt::runtime(context.T(
                             "{} von hier überholt, neu vorzuschlagen: staffel waiting",
                             "{} from here overtaken, to be proposed again: staffel waiting")),
                         context.Count(status.overtaken(), kChanges)));
      }
      for (const std::string& incident : status.incidents()) {
        line(context.T("VORFALL", "INCIDENT"), context.Sentence(incident));
      }
      for (const auto& audience : status.audiences()) {
        line(context.T("Prüfsumme", "Digest"),
             fmt::format(
                 "{}  {}",
                 Pad(audience.name().empty() ? audience.id().substr(0, 8) : audience.name(), 12),
                 audience.digest().empty() ? "–" : audience.digest().substr(0, 16)));
      }
      return kExitDone;
    };
  });
}

std::string SyncOutcome(const Context& context, const admin::Exchange& sync) {
  if (!sync.peer().empty()) {
    return context.T("Im Gleichstand mit dem Hub.\n", "In step with the hub.\n");
  }
  if (sync.called().empty()) {
    return context.T(
        "Dieser Knoten ist der Hub: die anderen rufen ihn. Er hat niemanden gerufen, denn niemand "
        "sonst hat eine Adresse in der Satzung.\n",
        "This node is the hub: the others call it. It has called nobody, for nobody else has an "
        "address in the charter.\n");
  }
  return fmt::format(fmt::runtime(context.T("Dieser Knoten ist der Hub. Im Gleichstand mit: {}.\n",
                                            "This node is the hub. In step with: {}.\n")),
                     fmt::join(sync.called(), ", "));
}

void AddSync(CLI::App& app, Context& context, Run& run) {
  auto seconds = std::make_shared<std::uint64_t>(60);
  auto* command = app.add_subcommand(
      "sync", context.T("Jetzt mit dem Hub austauschen und das Ergebnis abwarten",
                        "Exchange with the hub now and wait for the outcome"));
  command
      ->add_option(
          "--wait", *seconds,
          context.T("Höchstens so viele Sekunden warten (60)", "Wait at most so many seconds (60)"))
      ->check(CLI::Range(0, 3600))
      ->type_name("N");
  command->callback([&context, &run, seconds] {
    run = [&context, seconds] {
      auto job = context.Ask<admin::Job>("SyncNow", admin::SyncNowRequest());
      if (!job) return kExitRefused;
      Progress progress(context.T("Austausch", "Exchange"));
      // In short calls, so that the progress moves.
      for (std::uint64_t left_ms = *seconds * 1000; !job->finished() && left_ms > 0;) {
        admin::JobRequest request;
        request.set_job(job->id());
        request.set_wait_ms(std::min<std::uint64_t>(left_ms, 500));
        left_ms -= request.wait_ms();
        job = context.Ask<admin::Job>("JobState", request);
        if (!job) return kExitRefused;
        progress.Show(job->done(), job->total());
      }
      progress.Clear();
      if (!job->finished()) {
        return context.Refuse(
            Error{ErrorCode::kUnavailable,
                  "the exchange is still going on; it continues in the background"});
      }
      if (job->has_refusal()) return context.Refuse(job->refusal());
      if (context.PrintedAsJson(*job)) return kExitDone;
      Context::Print(SyncOutcome(context, job->sync()));
      return kExitDone;
    };
  });
}

// What the node calls by stable English names, in German where the run is; "one-of" and the like
// are words of programs.
using Words = std::span<const std::pair<std::string_view, std::string_view>>;
std::string Word(const Context& context, const std::string& name, Words german) {
  if (context.language == Language::kGerman) {
    for (const auto& [english, word] : german) {
      if (english == name) return std::string(word);
    }
  }
  std::string words = name;
  std::replace(words.begin(), words.end(), '-', ' ');
  return words;
}

std::string RuleWord(const Context& context, const std::string& rule) {
  static constexpr std::pair<std::string_view, std::string_view> kGerman[] = {
      {"register", "Wert"},  {"group", "Gruppe"}, {"set", "Menge"}, {"map", "je Mitglied"},
      {"sequence", "Liste"}, {"text", "Text"},    {"part", "Teil"}};
  return Word(context, rule, kGerman);
}

std::string TypeWord(const Context& context, const std::string& type) {
  static constexpr std::pair<std::string_view, std::string_view> kGerman[] = {
      {"text", "Text"},
      {"line", "Zeile"},
      {"date", "Datum"},
      {"date-time", "Datum und Uhrzeit"},
      {"date-or-date-time", "Datum, auch mit Uhrzeit"},
      {"instant", "Zeitpunkt"},
      {"time-zone", "Zeitzone"},
      {"email", "E-Mail-Adresse"},
      {"url", "Internetadresse"},
      {"agenda-number", "TOP-Nummer"},
      {"member", "Mitglied"},
      {"reference", "Verweis"},
      {"phone", "Telefonnummer"},
      {"language", "Sprache"},
      {"position", "Platz in der Reihenfolge"},
      {"sha256", "SHA-256-Prüfsumme"},
      {"media-type", "Dateityp"},
      {"id", "Kennung"},
      {"yes-no", "ja oder nein"},
      {"number", "Zahl"},
      {"one-of", "eines von"},
      {"bytes", "Bytes"},
      {"parts", "Teile"}};
  return Word(context, type, kGerman);
}

std::string OwnerWord(const Context& context, const std::string& owner) {
  static constexpr std::pair<std::string_view, std::string_view> kGerman[] = {
      {"anyone", "alle"}, {"chair", "Vorsitz"}, {"member", "das Mitglied selbst"}};
  return Word(context, owner, kGerman);
}

void AddKinds(CLI::App& app, Context& context, Run& run) {
  auto kind = std::make_shared<std::string>();
  auto* command = app.add_subcommand("kinds", context.T("Arten von Datensätzen und ihre Felder",
                                                        "Kinds of records and their fields"));
  command
      ->add_option("kind", *kind,
                   context.T("Nur diese Art, mit ihren Feldern", "Only this kind, with its fields"))
      ->type_name("KIND");
  command->callback([&context, &run, kind] {
    run = [&context, kind] {
      admin::KindsRequest request;
      request.set_kind(*kind);
      const auto reply = context.Ask<admin::KindsReply>("Kinds", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      if (kind->empty()) {
        Table table({context.T("Art", "Kind"), context.T("Bezeichnung", "Label"),
                     context.T("Felder", "Fields")});
        for (const auto& one : reply->kinds()) {
          std::string fields;
          for (const auto& field : one.fields())
            fields += (fields.empty() ? "" : " ") + field.path();
          table.Add({one.name(), context.Label(one.label_de(), one.label_en()), fields});
        }
        Context::Print(table.Render(context.reading_width()));
        return kExitDone;
      }
      for (const auto& one : reply->kinds()) {
        Context::Print(
            fmt::format("{} – {}\n\n", one.name(), context.Label(one.label_de(), one.label_en())));
        Table table({context.T("Feld", "Field"), context.T("Bezeichnung", "Label"),
                     context.T("Regel", "Rule"), context.T("Inhalt", "Holds"),
                     context.T("schreibt", "written by")});
        for (const auto& field : one.fields()) {
          std::string holds = TypeWord(context, field.type());
          if (!field.values().empty()) holds += ": " + Join(field.values());
          if (field.required()) holds += context.T(" (nötig)", " (required)");
          table.Add({field.path(), context.Label(field.label_de(), field.label_en()),
                     RuleWord(context, field.rule()), holds, OwnerWord(context, field.owner())});
        }
        Context::Print(table.Render(context.reading_width()));
      }
      return kExitDone;
    };
  });
}

}  // namespace

std::string ProposalText(const Context& context, const admin::Proposal& proposal,
                         std::size_t width) {
  std::string out;
  for (const std::string& change : proposal.changes()) {
    out += context.Line(context.T("Änderung", "Change"), context.Sentence(change), width);
  }
  for (const std::string& detail : proposal.details()) {
    out += context.Line("", context.Sentence(detail), width);
  }
  if (!proposal.approved().empty()) {
    out += context.Line(context.T("zugestimmt", "approved"), Join(proposal.approved()), width);
  }
  const char* missing = context.T("es fehlt", "missing");
  if (proposal.lacks().empty()) {
    return out + context.Line(missing, context.T("nichts", "nothing"), width);
  }
  for (const std::string& lack : proposal.lacks()) {
    out += context.Line(missing, context.Sentence(lack), width);
    missing = "";
  }
  return out;
}

void PrintProposals(const Context& context,
                    const google::protobuf::RepeatedPtrField<admin::Proposal>& proposals) {
  for (const auto& proposal : proposals) {
    const std::size_t width = 14;
    std::string out =
        context.Line(context.T("Eintrag", "Entry"), proposal.entry().substr(0, 12), width);
    out += ProposalText(context, proposal, width);
    if (proposal.dropped()) {
      out += context.Line(
          "",
          fmt::format(
              fmt::runtime(context.T("Hier verworfen. Wieder aufnehmen: staffel waiting --keep {}",
                                     "Dropped here. To take it up: staffel waiting --keep {}")),
              proposal.entry().substr(0, 12)),
          width);
    }
    if (proposal.ours_helps() && !proposal.dropped()) {
      out += context.Line("",
                          fmt::format(fmt::runtime(context.T("Zustimmen: staffel approve {}",
                                                             "To approve: staffel approve {}")),
                                      proposal.entry().substr(0, 12)),
                          width);
    }
    Context::Print(out + "\n");
  }
}

void AddNodeCommands(CLI::App& app, Context& context, Run& run) {
  AddFound(app, context, run);
  AddInvite(app, context, run);
  AddJoin(app, context, run);
  AddApproval(app, context, run);
  AddStatus(app, context, run);
  AddSync(app, context, run);
  AddKinds(app, context, run);
}

}  // namespace staffel::cli
