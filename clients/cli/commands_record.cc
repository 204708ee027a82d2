// SPDX-License-Identifier: EUPL-1.2
// Commands about records: list, show, add, set, delete, restore, search, log.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include "clients/cli/commands.h"
#include "clients/cli/terminal.h"
#include "core/base/bytes.h"
#include "core/crypto/system_random.h"

namespace staffel::cli {

namespace {

inline constexpr std::size_t kFieldsBytesMax = std::size_t{1} << 20;

// Which of a record's copies is meant, where it lives in several audiences.
void AddAudience(CLI::App* command, Context& context, std::string& audience) {
  command
      ->add_option("--audience", audience,
                   context.T("In diesem Kreis (sonst im engsten, in dem er ist)",
                             "In this audience (else in the narrowest that it is in)"))
      ->type_name("NAME");
}

// The JSON of --from: a file's, or with "-" what comes on standard input.
Result<std::string> ReadFields(const std::string& file) {
  std::ifstream opened;
  if (file != "-") {
    struct stat status {};
    if (::stat(file.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
      return Fail(ErrorCode::kInvalid, "{} is a directory: name a file with a JSON object", file);
    }
    opened.open(file, std::ios::binary);
    if (!opened) {
      return Fail(ErrorCode::kNotFound, "{} cannot be read: {}", file, std::strerror(errno));
    }
  }
  std::istream& input = file == "-" ? std::cin : opened;
  std::string text(kFieldsBytesMax + 1, '\0');
  input.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(input.gcount()));
  if (text.size() > kFieldsBytesMax) {
    return Fail(ErrorCode::kTooLarge, "{} has more than {} bytes", file, kFieldsBytesMax);
  }
  if (input.bad())
    return Fail(ErrorCode::kStorage, "{} cannot be read: {}", file, std::strerror(errno));
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
    return Fail(ErrorCode::kInvalid, "{} is empty: a JSON object of fields is wanted there",
                file == "-" ? "standard input" : file);
  }
  return text;
}

std::string Mark(const Context& context, const admin::Record& record) {
  if (record.incomplete()) return context.T(" [unvollständig]", " [incomplete]");
  if (record.erased()) return context.T(" [gelöscht nach Art. 17]", " [erased]");
  if (record.deleted()) return context.T(" [gelöscht]", " [deleted]");
  if (record.conflicts() > 0) {
    return fmt::format(" [{}]", context.Count(record.conflicts(), kConflicts));
  }
  return {};
}

// An audience without a name that is known here is shown by the beginning of its id.
std::string AudienceOf(const admin::Record& record) {
  constexpr std::size_t kIdLength = 32;
  constexpr std::size_t kIdDigits = 8;
  const std::string& name = record.audience();
  const bool is_id =
      name.size() == kIdLength && name.find_first_not_of("0123456789abcdef") == std::string::npos;
  return is_id ? name.substr(0, kIdDigits) : Clean(name);
}

void PrintRecords(const Context& context, const admin::ListReply& reply) {
  std::vector<std::string> heading = {context.T("Kennung", "Id"), context.T("Kreis", "Audience")};
  if (reply.columns().empty()) {
    heading.emplace_back(context.T("Art", "Kind"));
    heading.emplace_back(context.T("Titel", "Title"));
  }
  for (const auto& column : reply.columns()) {
    heading.push_back(context.Label(column.label_de(), column.label_en()));
  }
  // Where all is received, as it mostly is, a column would only take room.
  const bool shows_reception =
      std::any_of(reply.records().begin(), reply.records().end(),
                  [](const admin::Record& record) { return record.reception() != "received"; });
  if (shows_reception) heading.emplace_back(context.T("Eingang", "received"));
  Table table(std::move(heading));
  for (const auto& record : reply.records()) {
    std::vector<std::string> cells = {record.short_id(), AudienceOf(record)};
    if (reply.columns().empty()) {
      cells.push_back(record.kind());
      cells.push_back(record.title() + Mark(context, record));
    } else {
      for (const std::string& text : record.columns()) cells.push_back(text);
      // Only the first line of long texts: a list is for finding.
      const std::string mark = Mark(context, record);
      if (!mark.empty()) cells.back() += mark;
    }
    if (shows_reception) {
      cells.emplace_back(record.reception() == "received" ? context.T("eingegangen", "received")
                         : record.reception() == "no-chair"
                             ? context.T("kein Vorsitz", "no chair")
                             : context.T("am Ministerium", "at the ministry"));
    }
    table.Add(std::move(cells));
  }
  Context::Print(table.Render(context.width()));
}

void AddList(CLI::App& app, Context& context, Run& run) {
  struct Options {
    std::string kind, audience;
    bool deleted = false;
    std::uint64_t limit = 0;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("list", context.T("Datensätze auflisten", "List records"));
  command
      ->add_option("kind", options->kind,
                   context.T("Art, etwa resolution (siehe staffel kinds)",
                             "Kind, such as resolution (see staffel kinds)"))
      ->type_name("KIND");
  command->add_flag("--deleted", options->deleted,
                    context.T("Auch Gelöschtes", "Deleted ones, too"));
  command
      ->add_option("--audience", options->audience,
                   context.T("Nur dieser Kreis, etwa laender oder land:NI",
                             "Only this audience, such as laender or land:NI"))
      ->type_name("NAME");
  command->add_option("--limit", options->limit, context.T("Höchstens so viele", "At most so many"))
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N");
  command->callback([&context, &run, options] {
    run = [&context, options] {
      admin::ListReply all;
      admin::ListRequest request;
      request.set_kind(options->kind);
      request.set_audience(options->audience);
      request.set_with_deleted(options->deleted);
      do {
        const auto have = static_cast<std::uint64_t>(all.records_size());
        request.set_limit(options->limit == 0 ? 0
                                              : static_cast<std::uint32_t>(std::min<std::uint64_t>(
                                                    options->limit - have, 500)));
        auto reply = context.Ask<admin::ListReply>("List", request);
        if (!reply) return kExitRefused;
        request.set_page(reply->next_page());
        all.MergeFrom(*reply);
        if (have > 0)
          all.mutable_columns()->DeleteSubrange(reply->columns_size(),
                                                all.columns_size() - reply->columns_size());
        all.set_next_page(reply->next_page());
      } while (
          !request.page().empty() &&
          (options->limit == 0 || static_cast<std::uint64_t>(all.records_size()) < options->limit));
      if (context.PrintedAsJson(all)) return kExitDone;
      context.PrintNotice(all.demonstration());
      if (all.records().empty()) {
        Context::Print(context.T("Nichts da.\n", "Nothing there.\n"));
        return kExitDone;
      }
      PrintRecords(context, all);
      Context::Print(fmt::format(fmt::runtime(context.T("\n{} von {}\n", "\n{} of {}\n")),
                                 all.records_size(), all.total()));
      return kExitDone;
    };
  });
}

void AddShow(CLI::App& app, Context& context, Run& run) {
  auto id = std::make_shared<std::string>();
  auto audience = std::make_shared<std::string>();
  auto* command = app.add_subcommand("show", context.T("Einen Datensatz zeigen", "Show a record"));
  command
      ->add_option("id", *id,
                   context.T("Kennung, gekürzt wo eindeutig", "Id, shortened where unique"))
      ->required()
      ->type_name("ID");
  AddAudience(command, context, *audience);
  command->callback([&context, &run, id, audience] {
    run = [&context, id, audience] {
      admin::ShowRequest request;
      request.set_id(*id);
      request.set_audience(*audience);
      const auto reply = context.Ask<admin::ShowReply>("Show", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      const auto& record = reply->record();
      context.PrintNotice(reply->demonstration());
      Context::Print(Clean(record.title()) + Mark(context, record) + "\n\n");
      const auto label_of = [&](const admin::ShownField& field) {
        return context.Label(field.label_de(), field.label_en()) + (field.conflict() ? " ⚠" : "");
      };
      constexpr std::size_t kLabelColumnsMax = 32;
      std::size_t width = 10;
      for (const auto& field : reply->fields()) {
        const std::size_t columns = DisplayWidth(label_of(field));
        if (columns <= kLabelColumnsMax) width = std::max(width, columns);
      }
      for (const auto& field : reply->fields()) {
        Context::Print(context.Line(label_of(field), field.text(), width));
      }
      Context::Print("\n");
      Context::Print(context.Line(context.T("Kennung", "Id"),
                                  record.id() + " (" + record.kind() + ")", width));
      Context::Print(context.Line(context.T("Kreis", "Audience"), AudienceOf(record), width));
      PrintReleases(context, *reply, width);
      Context::Print(
          context.Line(context.T("geändert", "changed"), context.Time(record.changed_ms()), width));
      Context::Print(context.Line(context.T("Eingang", "received"),
                                  ReceptionText(context, record.reception(), record.received_ms()),
                                  width));
      Context::Print(context.Line(context.T("Fassung", "Version"), record.version(), width));
      if (record.incomplete()) {
        Context::Print(context.T(
            "⚠ Änderungen aus einer neueren Version sind hier, aber noch nicht lesbar: was hier "
            "steht, kann veraltet sein. Diesen Knoten aktualisieren.\n",
            "⚠ Changes of a newer version are here and cannot be read yet: what is shown may be "
            "out "
            "of date. Upgrade this node.\n"));
      }
      if (record.read_only()) {
        Context::Print(context.T(
            "⚠ Diese Art wird nur noch von neueren Versionen geschrieben: hier nur lesbar.\n",
            "⚠ This kind is written by newer versions only: read-only here.\n"));
      }
      for (const auto& conflict : reply->conflicts()) {
        Context::Print(
            fmt::format("⚠ {}: {} {} {}\n", context.Label(conflict.label_de(), conflict.label_en()),
                        conflict.heads_size(), context.T("Fassungen:", "versions:"),
                        "staffel conflicts show " + record.short_id() + " " + conflict.path()));
      }
      return kExitDone;
    };
  });
}

struct ChangeOptions {
  std::string target;  // kind or id
  std::vector<std::string> assignments;
  std::string from, audience, if_version;
};

void AddFields(CLI::App* command, Context& context, const std::shared_ptr<ChangeOptions>& options) {
  command
      ->add_option("fields", options->assignments,
                   context.T("feld=wert …; gruppe.teil=wert, items.2.text=wert, menge+=wert, "
                             "menge-=wert; feld= leert",
                             "field=value …; group.part=value, items.2.text=value, set+=value, "
                             "set-=value; field= empties"))
      ->type_name("FIELD=VALUE");
  command
      ->add_option("--from", options->from,
                   context.T("Felder als JSON-Objekt aus einer Datei; - von der Eingabe",
                             "Fields as a JSON object from a file; - from standard input"))
      ->type_name("FILE");
}

// What is no assignment is so whatever the node says.
void CheckAssignments(const std::vector<std::string>& assignments) {
  for (const std::string& assignment : assignments) {
    const auto equals = assignment.find('=');
    if (equals != std::string::npos && equals != 0) continue;
    throw CLI::ParseError(fmt::format("'{}' is no assignment; write field=value", assignment),
                          CLI::ExitCodes::BaseClass);
  }
}

void AddAdd(CLI::App& app, Context& context, Run& run) {
  auto options = std::make_shared<ChangeOptions>();
  auto* command = app.add_subcommand("add", context.T("Einen Datensatz anlegen", "Add a record"));
  command
      ->add_option("kind", options->target,
                   context.T("Art (siehe staffel kinds)", "Kind (see staffel kinds)"))
      ->required()
      ->type_name("KIND");
  AddFields(command, context, options);
  command
      ->add_option("--audience", options->audience,
                   context.T("Kreis, der ihn sieht (sonst laender; Notizen: das eigene Land)",
                             "Audience that sees it (else laender; notes: the own Land)"))
      ->type_name("NAME");
  command->callback([&context, &run, options] {
    CheckAssignments(options->assignments);
    run = [&context, options] {
      admin::AddRequest request;
      request.set_kind(options->target);
      request.set_audience(options->audience);
      request.set_author(context.author);
      request.set_op(RandomOp());
      if (!options->from.empty()) {
        auto fields = ReadFields(options->from);
        if (!fields) return context.Refuse(fields.error());
        request.set_json(std::move(*fields));
      }
      for (const std::string& assignment : options->assignments)
        request.add_assignments(assignment);
      const auto reply = context.Ask<admin::ChangeReply>("Add", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      PrintChange(context, *reply, context.T("Angelegt", "Added"));
      return kExitDone;
    };
  });
}

void AddSet(CLI::App& app, Context& context, Run& run) {
  auto options = std::make_shared<ChangeOptions>();
  auto* command = app.add_subcommand(
      "set", context.T("Felder eines Datensatzes ändern", "Change fields of a record"));
  command
      ->add_option("id", options->target,
                   context.T("Kennung, gekürzt wo eindeutig", "Id, shortened where unique"))
      ->required()
      ->type_name("ID");
  AddFields(command, context, options);
  command
      ->add_option("--if-version", options->if_version,
                   context.T("Nur, wenn der Datensatz noch diese Fassung hat",
                             "Only if the record still has this version"))
      ->type_name("TOKEN");
  AddAudience(command, context, options->audience);
  command->callback([&context, &run, options, command] {
    if (options->assignments.empty() && options->from.empty()) {
      throw CLI::RequiredError(command->get_name() + ": FIELD=VALUE, --from");
    }
    CheckAssignments(options->assignments);
    run = [&context, options] {
      admin::SetRequest request;
      request.set_id(options->target);
      request.set_audience(options->audience);
      request.set_if_version(options->if_version);
      request.set_author(context.author);
      request.set_op(RandomOp());
      if (!options->from.empty()) {
        auto fields = ReadFields(options->from);
        if (!fields) return context.Refuse(fields.error());
        request.set_json(std::move(*fields));
      }
      for (const std::string& assignment : options->assignments)
        request.add_assignments(assignment);
      const auto reply = context.Ask<admin::ChangeReply>("Set", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      PrintChange(context, *reply, context.T("Geändert", "Changed"));
      return kExitDone;
    };
  });
}

void AddDelete(CLI::App& app, Context& context, Run& run) {
  auto options = std::make_shared<ChangeOptions>();
  auto* remove = app.add_subcommand("delete", context.T("Einen Datensatz löschen (umkehrbar)",
                                                        "Delete a record (can be restored)"));
  remove
      ->add_option("id", options->target,
                   context.T("Kennung, gekürzt wo eindeutig", "Id, shortened where unique"))
      ->required()
      ->type_name("ID");
  remove
      ->add_option("--if-version", options->if_version,
                   context.T("Nur, wenn der Datensatz noch diese Fassung hat",
                             "Only if the record still has this version"))
      ->type_name("TOKEN");
  AddAudience(remove, context, options->audience);
  remove->callback([&context, &run, options] {
    run = [&context, options] {
      admin::DeleteRequest request;
      request.set_id(options->target);
      request.set_audience(options->audience);
      request.set_if_version(options->if_version);
      request.set_author(context.author);
      request.set_op(RandomOp());
      const auto reply = context.Ask<admin::ChangeReply>("Delete", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      PrintChange(context, *reply, context.T("Gelöscht", "Deleted"));
      return kExitDone;
    };
  });
  auto id = std::make_shared<std::string>();
  auto config = std::make_shared<std::string>();
  auto* restore = app.add_subcommand(
      "restore", context.T("Einen gelöschten Datensatz wiederherstellen; mit --config einen ganzen "
                           "Knoten aus einer Sicherung",
                           "Restore a deleted record; with --config a whole node from a backup"));
  restore
      ->add_option("id", *id,
                   context.T("Kennung, gekürzt wo eindeutig; mit --config die Sicherungsdatei",
                             "Id, shortened where unique; with --config the backup's file"))
      ->required()
      ->type_name("ID|FILE");
  restore
      ->add_option("--config", *config,
                   context.T("Konfiguration des Knotens, der dazu nicht laufen darf",
                             "Configuration of the node, which must not run meanwhile"))
      ->type_name("FILE");
  auto audience = std::make_shared<std::string>();
  AddAudience(restore, context, *audience);
  restore->callback([&context, &run, id, config, audience] {
    run = [&context, id, config, audience] {
      if (!config->empty()) return RestoreNode(context, *id, *config);
      if (id->find_first_of("./") != std::string::npos) {
        return context.Refuse(
            Error{ErrorCode::kInvalid,
                  fmt::format("{} is no id but a file: a node is restored from it with 'staffel "
                              "restore {} --config staffel.toml'",
                              *id, *id)});
      }
      admin::RestoreRequest request;
      request.set_id(*id);
      request.set_audience(*audience);
      request.set_author(context.author);
      request.set_op(RandomOp());
      const auto reply = context.Ask<admin::ChangeReply>("Restore", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      PrintChange(context, *reply, context.T("Wiederhergestellt", "Restored"));
      return kExitDone;
    };
  });
}

void AddSearch(CLI::App& app, Context& context, Run& run) {
  struct Options {
    std::vector<std::string> words;
    std::string kind, audience;
    std::uint32_t limit = 50;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "search", context.T("Suchen: Wörter und Wortteile, ohne Rücksicht auf Akzente",
                          "Search: words and parts of words, accents ignored"));
  command->add_option("words", options->words, context.T("Suchwörter", "Words"))
      ->required()
      ->type_name("WORD");
  command->add_option("--kind", options->kind, context.T("Nur diese Art", "Only this kind"))
      ->type_name("KIND");
  command
      ->add_option("--audience", options->audience,
                   context.T("Nur dieser Kreis", "Only this audience"))
      ->type_name("NAME");
  command
      ->add_option("--limit", options->limit,
                   context.T("Höchstens so viele (50)", "At most so many (50)"))
      ->check(CLI::Range(1, 500))
      ->type_name("N");
  command->callback([&context, &run, options] {
    run = [&context, options] {
      admin::SearchRequest request;
      std::string query;
      for (const std::string& word : options->words) query += (query.empty() ? "" : " ") + word;
      request.set_query(query);
      request.set_kind(options->kind);
      request.set_audience(options->audience);
      request.set_limit(options->limit);
      const auto reply = context.Ask<admin::SearchReply>("Search", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      context.PrintNotice(reply->demonstration());
      if (reply->hits().empty()) {
        Context::Print(context.T("Nichts gefunden.\n", "Nothing found.\n"));
      } else {
        Table table({context.T("Kennung", "Id"), context.T("Art", "Kind"),
                     context.T("Kreis", "Audience"), context.T("Titel", "Title"),
                     context.T("Fundstelle", "Found in")});
        for (const auto& hit : reply->hits()) {
          std::string snippet = hit.snippet();
          std::replace(snippet.begin(), snippet.end(), '\n', ' ');
          table.Add({hit.record().short_id(), hit.record().kind(), AudienceOf(hit.record()),
                     hit.record().title() + Mark(context, hit.record()), snippet});
        }
        Context::Print(table.Render(context.width()));
        if (reply->more())
          Context::Print(context.T("\nEs gibt weitere Treffer.\n", "\nThere are more.\n"));
      }
      if (reply->not_yet_indexed() > 0) {
        Context::Print(fmt::format(fmt::runtime(context.T("\nNoch nicht im Suchverzeichnis: {}.\n",
                                                          "\nNot in the index yet: {}.\n")),
                                   context.Count(reply->not_yet_indexed(), kRecords)));
      }
      return kExitDone;
    };
  });
}

void AddLog(CLI::App& app, Context& context, Run& run) {
  auto id = std::make_shared<std::string>();
  auto audience = std::make_shared<std::string>();
  auto* command = app.add_subcommand(
      "log", context.T("Geschichte eines Datensatzes: wer, was, wann, aus welchem Journal",
                       "History of a record: who, what, when, from which journal"));
  command
      ->add_option("id", *id,
                   context.T("Kennung, gekürzt wo eindeutig", "Id, shortened where unique"))
      ->required()
      ->type_name("ID");
  AddAudience(command, context, *audience);
  command->callback([&context, &run, id, audience] {
    run = [&context, id, audience] {
      admin::LogRequest request;
      request.set_id(*id);
      request.set_audience(*audience);
      const auto reply = context.Ask<admin::LogReply>("Log", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      context.PrintNotice(reply->demonstration());
      Context::Print(Clean(reply->record().title()) + "\n" + context.T("Kreis ", "Audience ") +
                     AudienceOf(reply->record()) + "\n");
      for (const auto& item : reply->items()) {
        std::string who = item.member();
        if (item.term() > 0)
          who +=
              fmt::format(" ({} {})", context.T("Vorsitz, Amtszeit", "chair, term"), item.term());
        if (!item.author().empty()) who += ", " + item.author();
        Context::Print(fmt::format("\n{}  {}  {} {} {} {}\n", context.Time(item.time_ms()),
                                   Clean(who), context.T("Eintrag", "entry"),
                                   item.entry().substr(0, 12),
                                   context.T("aus Journal", "of journal"),
                                   fmt::format("{} {} {}", item.journal().substr(0, 12),
                                               context.T("Nr.", "no."), item.number())));
        if (!item.valid()) {
          Context::Print(context.Line("  ",
                                      std::string(context.T("ohne Wirkung: ", "without effect: ")) +
                                          ReasonText(context, item.reason(), item.invalid_reason()),
                                      2));
          if (item.own()) {
            Context::Print(context.Line("  ", AdviceText(context, item.reason()), 2));
          }
        }
        std::string reception = ReceptionText(context, item.reception(), item.received_ms());
        if (!item.receipt().empty()) {
          reception += fmt::format(", {} {} ({} {})", context.T("Vermerk", "receipt"),
                                   item.receipt().substr(0, 12), context.T("Amtszeit", "term"),
                                   item.receipt_term());
        }
        Context::Print("    " + reception + "\n");
        if (!item.clock().empty()) {
          Context::Print(context.Line(
              "  ",
              item.clock() == "ahead"
                  ? context.T("Uhr: ging vor; die Zeit liegt nach dem Eingang oder in der Zukunft",
                              "clock: was ahead; the time lies after the receipt or in the future")
                  : context.T("Uhr: ging nach; die Zeit liegt vor dem, worauf der Eintrag aufbaut",
                              "clock: was behind; the time lies before what the entry builds on"),
              2));
        }
        if (item.erased())
          Context::Print(
              context.T("    Inhalt gelöscht (Art. 17 DSGVO)\n", "    content erased\n"));
        for (const auto& change : item.changes()) {
          std::string text;
          if (change.has_before()) text = change.before() + "  →  ";
          text += change.has_after() ? change.after() : context.T("(geleert)", "(emptied)");
          Context::Print(
              context.Line("  " + context.Label(change.label_de(), change.label_en()), text, 24));
        }
      }
      return kExitDone;
    };
  });
}

}  // namespace

std::string RandomOp() { return ToHex(crypto::SystemRandom().Draw(16)); }

void PrintChange(const Context& context, const admin::ChangeReply& reply, const char* done) {
  const auto& record = reply.record();
  if (reply.unchanged()) {
    Context::Print(fmt::format(
        "{}  {}\n{}\n", record.short_id(), Clean(record.title()),
        context.T("Nichts zu tun: es stand schon so da.", "Nothing to do: it stood so already.")));
    return;
  }
  Context::Print(
      fmt::format("{}: {}  {}\n{} {} ({} {})\n", done, record.short_id(), Clean(record.title()),
                  context.T("Am Ministerium gesichert, Eintrag", "Saved at the ministry, entry"),
                  reply.entry().substr(0, 12), context.T("Fassung", "version"), record.version()));
  for (const auto& removed : reply.removed()) {
    Context::Print(fmt::format(
        "{} {}\n", context.Label(removed.label_de(), removed.label_en()),
        removed.renumbers()
            ? context.T("entfernt; die folgenden rücken auf.", "removed; those behind it move up.")
            : context.T("entfernt.", "removed.")));
  }
  if (reply.conflicts_deleted() > 0) {
    Context::Print(fmt::format(
        fmt::runtime(context.T("Unentschieden mit gelöscht: {}; zurück mit: staffel restore {}\n",
                               "Deleted with it, undecided: {}; back with: staffel restore {}\n")),
        context.Count(reply.conflicts_deleted(), kConflicts), record.short_id()));
  }
  if (reply.conflicts_left() > 0) {
    Context::Print(fmt::format(fmt::runtime(context.T("Noch {}: staffel conflicts list\n",
                                                      "{} left: staffel conflicts list\n")),
                               context.Count(reply.conflicts_left(), kConflicts)));
  }
}

void AddRecordCommands(CLI::App& app, Context& context, Run& run) {
  AddList(app, context, run);
  AddShow(app, context, run);
  AddAdd(app, context, run);
  AddSet(app, context, run);
  AddDelete(app, context, run);
  AddSearch(app, context, run);
  AddLog(app, context, run);
}

}  // namespace staffel::cli
