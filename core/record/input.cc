// SPDX-License-Identifier: EUPL-1.2
#include "core/record/input.h"

#include <algorithm>
#include <limits>
#include <map>

#include "core/base/text.h"
#include "core/base/time.h"
#include "core/base/wire.h"
#include "core/record/agenda_number.h"
#include "core/record/marking.h"
#include "core/record/position.h"
#include "core/record/row.h"

namespace staffel::record {
namespace {

constexpr std::size_t kEmailBytesMax = 254;
constexpr std::size_t kQuotedBytesMax = 60;
// What every JSON reader holds exactly, and the last instant that RFC 3339 can write.
constexpr std::uint64_t kNumberMax = (std::uint64_t{1} << 53) - 1;
constexpr std::uint64_t kInstantMsMax = 253'402'300'799'999;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// What was written, cut to a length that leaves a message readable.
std::string Quoted(std::string_view text) {
  if (text.size() <= kQuotedBytesMax) return fmt::format("'{}'", text);
  std::size_t end = kQuotedBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return fmt::format("'{}…'", text.substr(0, end));
}

bool IsEmail(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == 0 || at == std::string_view::npos || text.size() > kEmailBytesMax) return false;
  const std::string_view domain = text.substr(at + 1);
  return domain.find('@') == std::string_view::npos && domain.find('.') != std::string_view::npos &&
         domain.front() != '.' && domain.back() != '.' &&
         text.find_first_of(" \t\n<>,;\"") == std::string_view::npos;
}

bool IsUrl(std::string_view text) {
  const std::size_t scheme = text.starts_with("https://") ? 8 : text.starts_with("http://") ? 7 : 0;
  return scheme != 0 && text.size() > scheme &&
         text.find_first_of(" \t\n<>\"") == std::string_view::npos;
}

bool IsPhone(std::string_view text) {
  const auto digits = std::count_if(text.begin(), text.end(), IsDigit);
  return digits >= 3 && text.find_first_not_of("0123456789 +-/().") == std::string_view::npos;
}

bool IsLanguage(std::string_view text) {
  std::size_t run = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || text[i] == '-') {
      if (run < 2 || run > 8) return false;
      run = 0;
    } else if (IsAlpha(text[i]) || IsDigit(text[i])) {
      ++run;
    } else {
      return false;
    }
  }
  return true;
}

bool IsMediaType(std::string_view text) {
  const std::size_t slash = text.find('/');
  return slash != 0 && slash != std::string_view::npos && slash + 1 < text.size() &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return IsAlpha(c) || IsDigit(c) ||
                  std::string_view("/.+-_;= ").find(c) != std::string_view::npos;
         });
}

bool IsDay(const Field& field, std::string_view text) {
  return field.format == Format::kDate || (field.format == Format::kDayOrTime && text.size() == 10);
}

// "2025-04-23T11:00": one form for one time, so that equal values are equal bytes.
Result<std::string> CanonicalTime(const Field& field, std::string text) {
  if (IsDay(field, text)) {
    if (IsDate(text)) return text;
    return Fail(ErrorCode::kInvalid, "'{}' is no real date; write YYYY-MM-DD", text);
  }
  // Whether the clock ever shows it where it is meant is asked once the zone is known.
  auto parsed = ParseLocalTime(text, "UTC");
  if (!parsed) {
    return Fail(ErrorCode::kInvalid, "{}; write {}local time without offset, as 2025-04-23T11:00",
                parsed.error().message, field.format == Format::kDayOrTime ? "a date or " : "");
  }
  text[10] = 'T';
  if (text.ends_with(".000")) text.resize(text.size() - 4);
  if (text.size() > 16 && std::string_view(text).substr(16) == ":00") text.resize(16);
  return text;
}

// Nothing where the text has its format; else what is wrong with it.
std::string FormatProblem(const Field& field, std::string_view text) {
  const auto unless = [&](bool good, std::string_view want) {
    return good ? std::string() : fmt::format("{} is {}", Quoted(text), want);
  };
  switch (field.format) {
    case Format::kZone:
      return unless(IsKnownZone(text), "no known time zone; write one as Europe/Berlin");
    case Format::kEmail:
      return unless(IsEmail(text), "no e-mail address");
    case Format::kUrl:
      return unless(IsUrl(text), "no address that begins with https:// or http://");
    case Format::kTop:
      return unless(IsAgendaNumber(text), "no agenda number; write one as 2.4a or A1");
    case Format::kMember:
      return unless(MemberId::From(text).has_value(), "no member id; write one as NI");
    case Format::kPhone:
      return unless(IsPhone(text), "no telephone number");
    case Format::kLanguage:
      return unless(IsLanguage(text), "no language; write one as de or de-DE");
    case Format::kPosition:
      return unless(IsPosition(text) && text.size() <= kPositionBytesMax, "no position");
    case Format::kMediaType:
      return unless(IsMediaType(text), "no media type; write one as application/pdf");
    default:
      return "";
  }
}

// Lines have one line; of a paragraph the line ends are made one kind.
Result<std::string> CleanText(const Field& field, std::string text) {
  const bool paragraph = field.format == Format::kAny;
  std::string clean;
  clean.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\r' && paragraph && i + 1 < text.size() && text[i + 1] == '\n') continue;
    if (paragraph && (c == '\n' || c == '\t')) {
      clean.push_back(c);
    } else if (c == '\n' || c == '\r') {
      return Fail(ErrorCode::kInvalid, "{} goes over several lines; this field holds one",
                  Quoted(text));
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      return Fail(ErrorCode::kInvalid, "the text contains the control character 0x{:02x}",
                  static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      clean.push_back(c);
    }
  }
  if (!paragraph) {
    const std::size_t begin = clean.find_first_not_of(' ');
    if (begin == std::string::npos) return std::string();
    clean = clean.substr(begin, clean.find_last_not_of(' ') - begin + 1);
  }
  return clean;
}

Result<std::string> TextOf(const Field& field, const JsonValue& value) {
  if (value.type != JsonType::kText) {
    return Fail(ErrorCode::kInvalid, "text is wanted here, not {}", value.TypeName());
  }
  const std::size_t bytes_max = field.format == Format::kAny ? kTextBytesMax : kLineBytesMax;
  if (value.text.size() > bytes_max) {
    return Fail(ErrorCode::kTooLarge, "the text has {} bytes; {} are allowed", value.text.size(),
                bytes_max);
  }
  STAFFEL_TRY(nfc, ToNfc(value.text));
  STAFFEL_TRY(text, CleanText(field, std::move(nfc)));
  if (text.empty()) return text;
  if (const auto marking = FindMarking(text)) {
    return Fail(ErrorCode::kDenied,
                "the text is marked {}: this system is not approved for classified information; "
                "keep it out of here",
                *marking);
  }
  if (field.format == Format::kDate || field.format == Format::kDateTime ||
      field.format == Format::kDayOrTime) {
    return CanonicalTime(field, std::move(text));
  }
  const std::string problem = FormatProblem(field, text);
  if (!problem.empty()) return Fail(ErrorCode::kInvalid, "{}", problem);
  return text;
}

Result<std::uint64_t> NumberOf(const Field& field, const JsonValue& value) {
  if (field.format == Format::kInstant && value.type == JsonType::kText) {
    STAFFEL_TRY(time, ParseTime(value.text));
    return time.value;
  }
  std::uint64_t number = value.integer;
  if (value.type == JsonType::kText && value.loose && !value.text.empty() &&
      value.text.size() < 20 && std::all_of(value.text.begin(), value.text.end(), IsDigit)) {
    number = 0;
    for (char c : value.text) number = number * 10 + static_cast<std::uint64_t>(c - '0');
  } else if (value.type != JsonType::kInteger) {
    return Fail(ErrorCode::kInvalid, "a whole number is wanted here, not {}",
                value.type == JsonType::kText ? Quoted(value.text) : std::string(value.TypeName()));
  }
  const std::uint64_t max = field.format == Format::kInstant ? kInstantMsMax
                            : field.number_bits == 32 ? std::numeric_limits<std::uint32_t>::max()
                                                      : kNumberMax;
  if ((value.negative && number != 0) || number > max) {
    return Fail(ErrorCode::kInvalid, "{}{} is out of range; 0 to {} are allowed",
                value.negative ? "-" : "", number, max);
  }
  return number;
}

Result<std::uint64_t> BoolOf(const JsonValue& value) {
  if (value.type == JsonType::kBool) return value.truth ? 1 : 0;
  if (value.type == JsonType::kText && value.loose) {
    if (value.text == "true" || value.text == "ja" || value.text == "yes") return 1;
    if (value.text == "false" || value.text == "nein" || value.text == "no") return 0;
  }
  return Fail(ErrorCode::kInvalid, "true or false is wanted here, not {}",
              value.type == JsonType::kText ? Quoted(value.text) : std::string(value.TypeName()));
}

Result<std::uint64_t> EnumOf(const Field& field, const JsonValue& value) {
  std::string all;
  if (value.type == JsonType::kText) {
    if (value.text.empty()) return 0;
    auto nfc = ToNfc(value.text);
    for (const EnumValue& known : field.values) {
      // As it is stored, or as it is shown.
      if (nfc && (*nfc == known.text || *nfc == known.label_de || *nfc == known.label_en)) {
        return known.number;
      }
      all += (all.empty() ? "" : ", ") + known.text;
    }
  }
  return Fail(ErrorCode::kInvalid, "{} is not one of: {}",
              value.type == JsonType::kText ? Quoted(value.text) : std::string(value.TypeName()),
              all);
}

Result<Bytes> HexOf(const JsonValue& value, std::size_t size, std::string_view what) {
  const auto bytes = value.type == JsonType::kText ? FromHex(value.text) : std::nullopt;
  if (!bytes || (size != 0 && bytes->size() != size)) {
    return Fail(ErrorCode::kInvalid, "{} is not {}",
                value.type == JsonType::kText ? Quoted(value.text) : std::string(value.TypeName()),
                what);
  }
  return *bytes;
}

Result<Bytes> ReferenceOf(const Field& field, const JsonValue& value, const InputContext& context) {
  std::string_view name = value.text;
  if (value.type == JsonType::kObject && value.members.size() == 1) {
    const JsonValue* ref = value.Find("ref");
    if (ref != nullptr && ref->type == JsonType::kText) name = ref->text;
  } else if (value.type == JsonType::kText) {
    if (const auto id = RecordId::FromText(name)) {
      if (context.check_reference) {
        STAFFEL_CHECK(context.check_reference(field.refers_to, *id));
      }
      return Bytes(id->bytes());
    }
  }
  if (name.starts_with('@')) name.remove_prefix(1);
  if (name.empty() || !context.find_reference) {
    return Fail(ErrorCode::kInvalid,
                "{} is no reference; write the record's id, 32 hexadecimal digits",
                value.type == JsonType::kText ? Quoted(value.text) : std::string(value.TypeName()));
  }
  STAFFEL_TRY(id, context.find_reference(field.refers_to, name));
  return Bytes(id.bytes());
}

Result<Bytes> BytesOf(const Field& field, const JsonValue& value, const InputContext& context) {
  if (value.type == JsonType::kText && value.text.empty()) return Bytes();
  switch (field.format) {
    case Format::kReference:
      return ReferenceOf(field, value, context);
    case Format::kElement:
      return HexOf(value, ElementId::kBytes, "the id of an element, 32 hexadecimal digits");
    case Format::kSha256:
      return HexOf(value, Hash::kBytes, "a SHA-256 value, 64 hexadecimal digits");
    case Format::kBlob:
      return HexOf(value, Hash::kBytes, "the id of an attachment, 64 hexadecimal digits");
    default:
      return HexOf(value, 0, "hexadecimal");
  }
}

Result<Bytes> Encode(const Field& field, std::uint32_t number, const JsonValue& value,
                     const InputContext& context) {
  Bytes out;
  if (value.type == JsonType::kNull) return out;
  if (field.type == Type::kText || field.type == Type::kBytes) {
    auto content = field.type == Type::kText ? Result<Bytes>(TextOf(field, value))
                                             : BytesOf(field, value, context);
    if (!content) return Forward(content);
    if (field.format == Format::kMember && field.rule != Rule::kMap && !content->empty()) {
      STAFFEL_CHECK(CheckMember(*content, context));
    }
    if (!content->empty() || field.presence) AppendBytesField(out, number, *content);
    return out;
  }
  auto content = field.type == Type::kBool   ? BoolOf(value)
                 : field.type == Type::kEnum ? EnumOf(field, value)
                                             : NumberOf(field, value);
  if (!content) return Forward(content);
  if (*content != 0 || field.presence) AppendVarintField(out, number, *content);
  return out;
}

// What the parts of a group say together: times of one form, in a zone that has them, in order.
std::string GroupProblem(const Field& field, ByteView message) {
  const Field* zone_field = nullptr;
  for (const Field& part : field.parts) {
    if (part.format == Format::kZone) zone_field = &part;
  }
  const std::string_view zone =
      zone_field == nullptr ? std::string_view() : LastWireField(message, zone_field->number).bytes;
  std::string_view before;
  std::uint64_t before_ms = 0;
  bool times = false;
  for (const Field& part : field.parts) {
    if (part.format != Format::kDate && part.format != Format::kDayOrTime) continue;
    const std::string_view text = LastWireField(message, part.number).bytes;
    if (text.empty()) continue;
    if (!before.empty() && (before.size() == 10) != (text.size() == 10)) {
      return fmt::format("{} and {} must both be dates or both be times", Quoted(before),
                         Quoted(text));
    }
    std::uint64_t ms = 0;
    if (text.size() != 10) {
      times = true;
      if (zone.empty())
        return fmt::format("{} needs its time zone; add zone Europe/Berlin", Quoted(text));
      const auto parsed = ParseLocalTime(text, zone);
      if (!parsed) return parsed.error().message;
      ms = parsed->value;
    }
    if (!before.empty() && (text.size() == 10 ? text < before : ms < before_ms)) {
      return fmt::format("it ends ({}) before it begins ({})", text, before);
    }
    before = text;
    before_ms = ms;
  }
  if (!zone.empty() && !times) return "a time zone without a time; leave it out for whole days";
  return "";
}

}  // namespace

Status CheckMember(std::string_view member, const InputContext& context) {
  const auto& members = context.members;
  if (members.empty() || std::find(members.begin(), members.end(), member) != members.end()) {
    return {};
  }
  return Fail(ErrorCode::kInvalid, "{} is no member of this conference; there are: {}",
              Quoted(member), fmt::join(members, ", "));
}

Error RefuseValue(const InputContext& context, const JsonValue& value, std::string_view path,
                  std::string_view what, ErrorCode code) {
  std::string message;
  if (!context.source.empty() && !value.loose)
    message = JsonPlace(context.source, value.offset) + ": ";
  return {code, fmt::format("{}field '{}': {}", message, path, what)};
}

Result<Bytes> EncodeScalar(const Field& field, std::uint32_t number, const JsonValue& value,
                           std::string_view path, const InputContext& context) {
  auto encoded = Encode(field, number, value, context);
  if (encoded) return encoded;
  return tl::unexpected<Error>(
      RefuseValue(context, value, path, encoded.error().message, encoded.error().code));
}

Result<Bytes> EncodeParts(const Field& field, const JsonValue& object, ByteView current,
                          std::string_view path, const InputContext& context) {
  const auto refuse = [&](const JsonValue& value, std::string_view where, std::string_view what) {
    return tl::unexpected<Error>(RefuseValue(context, value, where, what));
  };
  if (object.type != JsonType::kObject) {
    return refuse(object, path,
                  fmt::format("an object is wanted here, as {{\"{}\": …}}, not {}",
                              field.parts.back().name, object.TypeName()));
  }
  std::map<std::uint32_t, Bytes> parts;
  for (const WireField& wire : WireFields(current)) parts[wire.number] += wire.whole;
  for (const auto& [name, value] : object.members) {
    const std::string where = fmt::format("{}.{}", path, name);
    const Field* part = field.FindPart(name);
    if (part == nullptr) {
      return refuse(value, where, "there is no such part" + FieldHint(name, field.parts));
    }
    if (part->type == Type::kMessage) {
      STAFFEL_TRY(content, EncodeParts(*part, value, LastWireField(current, part->number).bytes,
                                       where, context));
      Bytes wire;
      if (!content.empty()) AppendBytesField(wire, part->number, content);
      parts[part->number] = std::move(wire);
    } else {
      STAFFEL_TRY(wire, EncodeScalar(*part, part->number, value, where, context));
      parts[part->number] = std::move(wire);
    }
  }
  Bytes message;
  for (const auto& [number, wire] : parts) message += wire;
  for (const Field& part : field.parts) {
    if (part.required && LastWireField(message, part.number).number == 0) {
      return refuse(object, fmt::format("{}.{}", path, part.name), "must not be empty");
    }
  }
  if (field.rule == Rule::kGroup) {
    const std::string problem = GroupProblem(field, message);
    if (!problem.empty()) return refuse(object, path, problem);
  }
  return message;
}

std::string FieldHint(std::string_view name, const std::vector<Field>& fields) {
  std::vector<std::string_view> names;
  std::string all;
  for (const Field& field : fields) {
    if (field.rule == Rule::kDeleted || (field.number == 1 && field.format == Format::kElement))
      continue;
    names.push_back(field.name);
    all += (all.empty() ? "" : ", ") + field.name;
  }
  const std::string near = NearestName(name, names);
  return (near.empty() ? "" : fmt::format("; did you mean '{}'?", near)) + " (there are: " + all +
         ")";
}

}  // namespace staffel::record
