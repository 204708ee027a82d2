// SPDX-License-Identifier: EUPL-1.2
#include "clients/cli/usage.h"

#include <memory>

#include "clients/cli/terminal.h"
#include "core/base/german.h"
#include "core/base/text.h"

namespace staffel::cli {

namespace {

constexpr std::size_t kNameColumns = 34;

// As CLI11 writes it, but filled up by columns: "(nötig)" has seven, and eight bytes.
class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    return Entry(make_option_name(option, is_positional) + make_option_opts(option),
                 make_option_desc(option));
  }
  std::string make_subcommand(const CLI::App* command) const override {
    return Entry(command->get_display_name(true), command->get_description());
  }

 private:
  static std::string Entry(const std::string& name, const std::string& description) {
    std::string out = "  " + name;
    if (description.empty()) return out + "\n";
    if (DisplayWidth(out) >= kNameColumns) out += "\n" + std::string(kNameColumns, ' ');
    return (out.back() == ' ' ? out : Pad(out, kNameColumns)) + description + "\n";
  }
};

void ForEach(CLI::App& app, const std::function<void(CLI::App&)>& visit) {
  visit(app);
  for (CLI::App* command : app.get_subcommands({})) ForEach(*command, visit);
}

// "conflicts take", the command that the arguments named as far as it was understood.
std::string NamedCommand(const CLI::App& app) {
  std::string name;
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    name += " " + at->get_name();
  }
  return name;
}

const CLI::App& Innermost(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  return *at;
}

std::string UsageSentence(const CLI::App& app, const CLI::ParseError& error,
                          const Context& context) {
  const std::string command = NamedCommand(app);
  if (const auto unknown = UnknownCommand(app)) {
    return fmt::format(fmt::runtime(context.T("„{}“ ist kein Befehl von staffel{}",
                                              "'{}' is no command of staffel{}")),
                       *unknown, command);
  }
  if (error.get_name() == "RequiredError" && std::string_view(error.what()).starts_with("A sub")) {
    return fmt::format(fmt::runtime(context.T("es fehlt der Befehl: staffel{} BEFEHL",
                                              "the command is missing: staffel{} COMMAND")),
                       command);
  }
  std::string sentence = error.what();
  // CLI11 sometimes puts a line of its own behind.
  sentence = sentence.substr(0, sentence.find('\n'));
  return context.language == Language::kGerman ? InGerman(sentence) : sentence;
}

}  // namespace

std::optional<std::string> UnknownCommand(const CLI::App& app) {
  if (Innermost(app).get_subcommands({}).empty()) return std::nullopt;
  const std::vector<std::string> left = app.remaining(/*recurse=*/true);
  if (left.empty() || left.front().starts_with('-')) return std::nullopt;
  return left.front();
}

void SpeakHelp(CLI::App& app, const Context& context) {
  auto formatter = std::make_shared<HelpFormatter>();
  formatter->column_width(kNameColumns);
  formatter->label("Usage", context.T("Aufruf", "Usage"));
  formatter->label("OPTIONS", context.T("OPTIONEN", "OPTIONS"));
  formatter->label("SUBCOMMAND", context.T("BEFEHL", "COMMAND"));
  formatter->label("REQUIRED", context.T("(nötig)", "(required)"));
  formatter->label("Positionals", context.T("Angaben", "Positionals"));
  formatter->label("Excludes", context.T("nicht mit", "not with"));
  formatter->label("Needs", context.T("nur mit", "only with"));
  formatter->label("Env", context.T("Umgebung", "Env"));
  app.formatter(formatter);
}

void NameGroups(CLI::App& app, const Context& context) {
  if (context.language != Language::kGerman) return;
  ForEach(app, [](CLI::App& command) {
    if (command.get_group() == "Subcommands") command.group("Befehle");
    for (CLI::Option* option : command.get_options()) {
      if (option->get_group() == "Options") option->group("Optionen");
    }
  });
}

int RefuseUsage(const CLI::App& app, const CLI::ParseError& error, const Context& context) {
  if (context.json) {
    // What programs read is the same in every language.
    Context english = Context();
    english.language = Language::kEnglish;
    return context.RefuseUsage(Error{ErrorCode::kInvalid, UsageSentence(app, error, english)});
  }
  fmt::print(stderr, "staffel: {}\n", Clean(UsageSentence(app, error, context)));
  fmt::print(
      stderr,
      fmt::runtime(context.T("Mehr dazu: staffel{} --help\n", "More about it: staffel{} --help\n")),
      NamedCommand(app));
  return kExitUsage;
}

std::string ArgumentProblem(int argc, const char* const* argv, const Context& context) {
  for (int i = 1; i < argc; ++i) {
    if (IsUtf8(argv[i])) continue;
    return fmt::format(
        fmt::runtime(context.T("das {}. Argument („{}“) ist kein gültiges UTF-8: bitte in dieser "
                               "Kodierung schreiben",
                               "argument {} ('{}') is not valid UTF-8: write it in that encoding")),
        i, Clean(argv[i]));
  }
  return {};
}

}  // namespace staffel::cli
