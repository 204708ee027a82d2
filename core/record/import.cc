// SPDX-License-Identifier: EUPL-1.2
#include "core/record/import.h"

#include <map>
#include <unordered_map>
#include <unordered_set>

#include "core/base/text.h"
#include "core/record/catalog.h"
#include "core/record/json.h"
#include "core/record/marking.h"
#include "core/record/record_id.h"

namespace staffel::record {
namespace {

constexpr std::uint64_t kImportVersion = 1;
constexpr std::size_t kNoticeBytesMax = 500;

// Letters, digits, and "-_.": nothing that would look like a path or need quoting.
bool IsKey(std::string_view text) {
  if (text.empty() || text.size() > kImportKeyBytesMax) return false;
  return text.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") ==
         std::string_view::npos;
}

Error AtLine(std::uint32_t line, Error error) {
  // What stands in one line was read as if it were line 1.
  constexpr std::string_view kFirstLine = "line 1, ";
  std::string_view rest = error.message;
  if (rest.starts_with(kFirstLine)) {
    rest.remove_prefix(kFirstLine.size());
    error.message = fmt::format("line {}, {}", line, rest);
  } else {
    error.message = fmt::format("line {}: {}", line, rest);
  }
  return error;
}

tl::unexpected<Error> At(std::string_view text, const JsonValue& value, ErrorCode code,
                         std::string_view what) {
  return Fail(code, "{}: {}", JsonPlace(text, value.offset), what);
}

Result<std::string> TextMember(std::string_view text, const JsonValue& object,
                               std::string_view name) {
  const JsonValue* member = object.Find(name);
  if (member == nullptr || member->type != JsonType::kText) {
    return At(text, object, ErrorCode::kInvalid,
              fmt::format("\"{}\" is missing, or is no text", name));
  }
  return member->text;
}

JsonValue WithoutNames(JsonValue object) {
  std::erase_if(object.members, [](const auto& member) {
    return member.first == "kind" || member.first == "key" || member.first == "audience";
  });
  return object;
}

}  // namespace

Status ImportReader::Refuse(Error error) {
  refused_.push_back(std::move(error));
  pending_.clear();
  lines_.clear();
  return tl::unexpected<Error>(refused_.front());
}

Status ImportReader::Feed(std::string_view piece) {
  if (!refused_.empty()) return tl::unexpected<Error>(refused_.front());
  bytes_ += piece.size();
  if (bytes_ > kImportBytesMax) {
    return Refuse(
        {ErrorCode::kTooLarge, fmt::format("line {}: the file has more than {} bytes; split it",
                                           line_number_ + 1, kImportBytesMax)});
  }
  while (!piece.empty()) {
    const std::size_t end = piece.find('\n');
    const std::string_view part = piece.substr(0, end);
    if (pending_.size() + part.size() > kImportLineBytesMax) {
      return Refuse({ErrorCode::kTooLarge,
                     fmt::format("line {}: the line has more than {} bytes; one record is one line",
                                 line_number_ + 1, kImportLineBytesMax)});
    }
    pending_.append(part);
    if (end == std::string_view::npos) return {};
    piece.remove_prefix(end + 1);
    const std::string line = std::move(pending_);
    pending_.clear();
    ++line_number_;
    if (auto taken = TakeLine(line); !taken) {
      return Refuse(AtLine(line_number_, std::move(taken.error())));
    }
  }
  return {};
}

Status ImportReader::TakeLine(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.find_first_not_of(" \t") == std::string_view::npos) return {};
  if (!header_seen_) return TakeHeader(line);
  if (lines_.size() >= kImportRecordsMax) {
    return Fail(ErrorCode::kTooLarge, "more than {} records; split the file", kImportRecordsMax);
  }
  STAFFEL_TRY(object, ParseJson(line));
  if (object.type != JsonType::kObject) {
    return At(line, object, ErrorCode::kInvalid,
              "a record is an object, as {\"kind\": \"person\", …}");
  }
  STAFFEL_TRY(kind_name, TextMember(line, object, "kind"));
  STAFFEL_TRY(key, TextMember(line, object, "key"));
  const auto kind = Kinds().Named(kind_name);
  if (!kind) return At(line, *object.Find("kind"), ErrorCode::kInvalid, kind.error().message);
  if (!IsKey(key)) {
    return At(line, *object.Find("key"), ErrorCode::kInvalid,
              fmt::format("a key has 1 to {} letters, digits, '-', '_', '.'", kImportKeyBytesMax));
  }
  if (keys_are_ids_ && !RecordId::FromText(key)) {
    return At(line, *object.Find("key"), ErrorCode::kInvalid,
              "the keys of this data set are ids: 32 hexadecimal digits");
  }
  std::string audience;
  if (object.Find("audience") != nullptr) {
    STAFFEL_TRY(named, TextMember(line, object, "audience"));
    audience = std::move(named);
  }
  lines_.push_back(
      {line_number_, (*kind)->number, std::move(key), std::move(audience), std::string(line)});
  return {};
}

Status ImportReader::TakeHeader(std::string_view line) {
  STAFFEL_TRY(object, ParseJson(line));
  const JsonValue* what = object.Find("staffel");
  if (object.type != JsonType::kObject || what == nullptr || what->text != "import") {
    return At(
        line, object, ErrorCode::kInvalid,
        "this is no data set: the first line must be {\"staffel\": \"import\", \"version\": 1, "
        "\"dataset\": \"…\", \"notice\": \"…\"}");
  }
  for (const auto& [name, value] : object.members) {
    if (name != "staffel" && name != "version" && name != "dataset" && name != "notice" &&
        name != "keys") {
      return At(line, value, ErrorCode::kInvalid, fmt::format("the header knows no \"{}\"", name));
    }
  }
  const JsonValue* version = object.Find("version");
  if (version == nullptr || version->type != JsonType::kInteger || version->negative) {
    return At(line, object, ErrorCode::kInvalid, "\"version\" is missing, or is no number");
  }
  if (version->integer != kImportVersion) {
    return At(line, *version, ErrorCode::kUnsupported,
              fmt::format("version {} of the format is unknown here; this program reads version {}",
                          version->integer, kImportVersion));
  }
  if (const JsonValue* keys = object.Find("keys"); keys != nullptr) {
    if (keys->type != JsonType::kText || keys->text != "ids") {
      return At(
          line, *keys, ErrorCode::kInvalid,
          "\"keys\" can only be \"ids\": the keys are the records' ids, as export writes them");
    }
    keys_are_ids_ = true;
  }
  STAFFEL_TRY(dataset, TextMember(line, object, "dataset"));
  if (!IsKey(dataset)) {
    return At(
        line, object, ErrorCode::kInvalid,
        fmt::format("\"dataset\" has 1 to {} letters, digits, '-', '_', '.'", kImportKeyBytesMax));
  }
  if (object.Find("notice") != nullptr) {
    STAFFEL_TRY(notice, TextMember(line, object, "notice"));
    if (notice.size() > kNoticeBytesMax) {
      return At(line, object, ErrorCode::kTooLarge,
                fmt::format("\"notice\" has more than {} bytes", kNoticeBytesMax));
    }
    STAFFEL_TRY(normal, ToNfc(notice));
    if (const auto marking = FindMarking(normal)) {
      return At(line, object, ErrorCode::kDenied,
                fmt::format("the data set is marked {}", *marking));
    }
    plan_.notice = std::move(normal);
  }
  plan_.dataset = std::move(dataset);
  header_seen_ = true;
  return {};
}

Result<ImportPlan> ImportReader::Finish(const CheckReference& check) {
  if (refused_.empty() && !pending_.empty()) {
    // The last line may lack its end.
    (void)Feed("\n");
  }
  if (!refused_.empty()) return tl::unexpected<Error>(refused_.front());
  if (!header_seen_) {
    const auto refused =
        Refuse({ErrorCode::kInvalid, "line 1: the file is empty: there is no data set in it"});
    return tl::unexpected<Error>(refused.error());
  }
  struct Target {
    std::uint32_t kind;
    RecordId record;
  };
  std::unordered_map<std::string_view, Target> keys;
  std::map<RecordId, std::string_view> key_of;
  for (const Line& line : lines_) {
    const Target target{line.kind, keys_are_ids_ ? *RecordId::FromText(line.key)
                                                 : RecordIdFromSeed(plan_.dataset, line.key)};
    if (!keys.emplace(line.key, target).second) {
      const auto refused =
          Refuse({ErrorCode::kInvalid, fmt::format("line {}: the key '{}' stands there twice; "
                                                   "keys are unique in a data set",
                                                   line.number, line.key)});
      return tl::unexpected<Error>(refused.error());
    }
    key_of.emplace(target.record, line.key);
  }
  const FindReference find = [&](std::uint32_t kind, std::string_view name) -> Result<RecordId> {
    const auto found = keys.find(name);
    if (found == keys.end()) {
      return Fail(ErrorCode::kInvalid, "no record of this file has the key '{}'", name);
    }
    if (kind != 0 && found->second.kind != kind) {
      return Fail(ErrorCode::kInvalid, "'{}' is of kind {}; kind {} is wanted here", name,
                  Kinds().Find(found->second.kind)->name, Kinds().Find(kind)->name);
    }
    return found->second.record;
  };
  // Ids of the file's own records count as there.
  const CheckReference check_id = [&](std::uint32_t kind, const RecordId& record) -> Status {
    const auto own = key_of.find(record);
    if (own == key_of.end()) return check ? check(kind, record) : Status();
    const auto found = find(kind, own->second);
    if (!found) return Forward(found);
    return {};
  };
  ImportPlan plan = plan_;
  for (const Line& line : lines_) {
    SeededElementIds ids(plan.dataset, line.key);
    const InputContext context{&ids, find, line.text, check_id};
    auto object = ParseJson(line.text);
    STAFFEL_ASSERT(object.has_value());  // it was read before
    auto writes =
        CellsOfRecord(*Kinds().Find(line.kind), WithoutNames(std::move(*object)), context);
    if (!writes) {
      const auto refused = Refuse(AtLine(line.number, std::move(writes.error())));
      return tl::unexpected<Error>(refused.error());
    }
    plan.records.push_back({line.kind, keys.at(line.key).record, line.key, line.audience,
                            line.number, std::move(*writes)});
  }
  *this = ImportReader();
  return plan;
}

Result<ImportPlan> ImportReader::Read(std::string_view bytes) {
  ImportReader reader;
  STAFFEL_CHECK(reader.Feed(bytes));
  return reader.Finish();
}

}  // namespace staffel::record
