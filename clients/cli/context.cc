// SPDX-License-Identifier: EUPL-1.2
#include "clients/cli/context.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <unistd.h>

#include "clients/cli/terminal.h"
#include "core/base/german.h"
#include "core/base/time.h"

namespace staffel::cli {

namespace {

// The conferences live by this zone, wherever the person who asks is.
constexpr std::string_view kZone = "Europe/Berlin";

// Of the process's standard output, which forgets the reason when it goes on after a failure.
int& OutputError() {
  static int error = 0;
  return error;
}

}  // namespace

std::string Context::Count(std::uint64_t number, const Noun& noun) const {
  return fmt::format(
      "{} {}", number,
      number == 1 ? T(noun.german_one, noun.english_one) : T(noun.german_many, noun.english_many));
}

std::string Context::Time(std::uint64_t time_ms) const {
  if (time_ms == 0) return "–";
  std::string text = FormatTimeIn(TimeMs{time_ms}, kZone);  // 2025-03-28 09:10:00
  if (language == Language::kGerman && text.size() >= 16) {
    return text.substr(8, 2) + "." + text.substr(5, 2) + "." + text.substr(0, 4) +
           text.substr(10, 6);
  }
  return text.size() >= 16 ? text.substr(0, 16) : text;
}

std::string Context::Relative(std::uint64_t time_ms, std::uint64_t now_ms) const {
  if (time_ms == 0) return "–";
  const bool past = time_ms <= now_ms;
  const std::uint64_t seconds = (past ? now_ms - time_ms : time_ms - now_ms) / 1000;
  if (seconds < 2) return T("jetzt", "now");
  std::string span;
  if (seconds < 120) {
    span = fmt::format("{} {}", seconds, T("Sekunden", "seconds"));
  } else if (seconds < 7200) {
    span = fmt::format("{} {}", seconds / 60, T("Minuten", "minutes"));
  } else if (seconds < 2 * 86400) {
    span = fmt::format("{} {}", seconds / 3600, T("Stunden", "hours"));
  } else {
    span = fmt::format("{} {}", seconds / 86400, T("Tagen", "days"));
  }
  if (language == Language::kGerman) return (past ? "vor " : "in ") + span;
  return past ? span + " ago" : "in " + span;
}

void Context::LookAtTerminal() {
  width_ = TerminalWidth(STDOUT_FILENO);
  colour_ = width_ > 0 && std::getenv("NO_COLOR") == nullptr;  // NOLINT(concurrency-mt-unsafe)
}

bool Context::AskAny(std::string_view method, const google::protobuf::Message& request,
                     google::protobuf::Message* reply) {
  if (!client_) {
    auto path = client::FindSocket(node);
    if (!path) {
      RefuseUsage(path.error());
      misused_ = true;
      return false;
    }
    client_.emplace(std::move(*path));
    // What programs read is the same in every language.
    if (!json) client_->set_language(T("de", "en"));
  }
  const auto asked = client_->CallAny(method, request, reply);
  if (!asked) {
    Refuse(asked.error());
    return false;
  }
  return true;
}

int Context::Refuse(const admin::Refusal& refusal) const {
  if (json) {
    fmt::print(stderr, "{}\n", client::ToJson(refusal, /*indented=*/true));
    return kExitRefused;
  }
  fmt::print(stderr, "staffel: {}\n", Clean(Sentence(refusal.message())));
  for (const admin::Record& candidate : refusal.candidates()) {
    fmt::print(stderr, "  {}  {}  {}\n", candidate.short_id(), candidate.kind(),
               Clean(candidate.title()));
  }
  return kExitRefused;
}

int Context::RefuseUsage(const Error& error) const {
  admin::Refusal refusal = client::MakeRefusal(error);
  refusal.set_code("usage");
  (void)Refuse(refusal);
  return kExitUsage;
}

std::string Context::Sentence(const std::string& english) const {
  return language == Language::kGerman ? InGerman(english) : english;
}

bool Context::PrintedAsJson(const google::protobuf::Message& reply) const {
  if (!json) return false;
  Print(client::ToJson(reply, /*indented=*/true) + "\n");
  return true;
}

void Context::Print(std::string_view text) {
  int& error = OutputError();
  if (error == 0 && std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) error = errno;
}

int Context::FlushOutput() {
  int& error = OutputError();
  if (error == 0 && std::fflush(stdout) != 0) error = errno;
  return error;
}

void Context::PrintNotice(bool demonstration) const {
  if (!demonstration) return;
  Print(T(
      "Demodaten – keine tatsächlichen Beschlüsse\n\n",
      "Demodaten – keine tatsächlichen Beschlüsse (demonstration data, no real resolutions)\n\n"));
}

std::string Context::Line(std::string_view label, std::string_view text,
                          std::size_t label_width) const {
  const std::size_t indent = label_width + 2;
  const std::size_t room = width_ > indent + 20 ? width_ - indent : 0;
  std::string out;
  bool first = true;
  if (DisplayWidth(label) > label_width) {
    out = std::string(label) + "\n";
    first = false;
  }
  for (const std::string& line : Wrap(Clean(text), room)) {
    std::string whole =
        first ? Pad(label, label_width) + "  " + line : std::string(indent, ' ') + line;
    whole.erase(whole.find_last_not_of(' ') + 1);
    out += whole + "\n";
    first = false;
  }
  return out;
}

}  // namespace staffel::cli
