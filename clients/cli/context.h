// SPDX-License-Identifier: EUPL-1.2
// What every command of `staffel` shares: which node, which language, how to print. One of it lives
// in main; commands get it by reference.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "clients/cpp/client.h"
#include "core/base/language.h"
#include "core/base/result.h"

namespace staffel::cli {

namespace admin = ::staffel::v1::admin;

inline constexpr int kExitDone = 0;
inline constexpr int kExitRefused = 1;
inline constexpr int kExitUsage = 2;

using staffel::Language;

// What is counted, in its four forms.
struct Noun {
  const char* german_one;
  const char* german_many;
  const char* english_one;
  const char* english_many;
};
inline constexpr Noun kChanges{"Änderung", "Änderungen", "change", "changes"};
inline constexpr Noun kConflicts{"Konflikt", "Konflikte", "conflict", "conflicts"};
inline constexpr Noun kEntries{"Eintrag", "Einträge", "entry", "entries"};
inline constexpr Noun kRecords{"Datensatz", "Datensätze", "record", "records"};

class Context {
 public:
  std::string node;  // as given with --node
  bool json = false;
  Language language = Language::kGerman;
  std::string author;  // of changes: a person, shortened where unique

  // The text in the language of this run.
  [[nodiscard]] const char* T(const char* german, const char* english) const {
    return language == Language::kGerman ? german : english;
  }
  [[nodiscard]] const std::string& Label(const std::string& german,
                                         const std::string& english) const {
    return language == Language::kGerman || english.empty() ? german : english;
  }
  // "1 Datensatz", "2 records".
  [[nodiscard]] std::string Count(std::uint64_t number, const Noun& noun) const;
  // "28.03.2025 09:10" in the conferences' time zone; "–" for 0.
  [[nodiscard]] std::string Time(std::uint64_t time_ms) const;
  // "vor 3 Minuten", "in 20 Sekunden", seen from `now_ms`.
  [[nodiscard]] std::string Relative(std::uint64_t time_ms, std::uint64_t now_ms) const;

  // Columns of standard output; 0: no terminal, nothing is wrapped.
  [[nodiscard]] std::size_t width() const { return width_; }
  // The same for text that is for reading only: 100 where it is no terminal.
  [[nodiscard]] std::size_t reading_width() const { return width_ == 0 ? 100 : width_; }
  [[nodiscard]] bool colour() const { return colour_; }
  void LookAtTerminal();

  // Asks the node; prints the refusal to standard error and gives nothing where it says no.
  template <typename Reply>
  [[nodiscard]] std::optional<Reply> Ask(std::string_view method,
                                         const google::protobuf::Message& request) {
    Reply reply;
    if (!AskAny(method, request, &reply)) return std::nullopt;
    return reply;
  }
  // Prints "staffel: …" in the language of the run, with candidates; returns kExitRefused. With
  // --json the refusal as it is, in English.
  int Refuse(const admin::Refusal& refusal) const;
  int Refuse(const Error& error) const { return Refuse(client::MakeRefusal(error)); }
  // The same where the command line itself is wrong: its code is "usage"; returns kExitUsage.
  int RefuseUsage(const Error& error) const;
  // Whether that was so in an Ask, whose caller only knows that there is no reply.
  [[nodiscard]] bool misused() const { return misused_; }
  // With --json prints the reply and returns true.
  [[nodiscard]] bool PrintedAsJson(const google::protobuf::Message& reply) const;
  // Standard output, whole text at once. The first failure ends it: nothing more is printed then.
  static void Print(std::string_view text);
  // Brings what was printed to where it goes; the errno of the first failure since the start, or 0.
  [[nodiscard]] static int FlushOutput();
  // „Demodaten – keine tatsächlichen Beschlüsse", where the charter says so.
  void PrintNotice(bool demonstration) const;
  // A sentence that came in English, perhaps from another node, in the language of the run.
  [[nodiscard]] std::string Sentence(const std::string& english) const;
  // One of several lines "label  text", the text wrapped under itself; under a label that is too
  // long, on the next line.
  [[nodiscard]] std::string Line(std::string_view label, std::string_view text,
                                 std::size_t label_width) const;

 private:
  [[nodiscard]] bool AskAny(std::string_view method, const google::protobuf::Message& request,
                            google::protobuf::Message* reply);
  std::optional<client::Client> client_;
  bool misused_ = false;
  std::size_t width_ = 0;
  bool colour_ = false;
};

}  // namespace staffel::cli
