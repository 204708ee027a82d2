// SPDX-License-Identifier: EUPL-1.2
#include "core/record/blob_field.h"

#include <algorithm>

#include "core/base/wire.h"

namespace staffel::record {
namespace {

const Field* PartOf(const Field& field, Format format) {
  const auto found = std::find_if(field.parts.begin(), field.parts.end(),
                                  [&](const Field& part) { return part.format == format; });
  return found == field.parts.end() ? nullptr : &*found;
}

bool HoldsBlob(const Field& field) { return PartOf(field, Format::kBlob) != nullptr; }

}  // namespace

const Field* BlobFieldOf(const Kind& kind) {
  const auto found = std::find_if(kind.fields.begin(), kind.fields.end(), [](const Field& field) {
    return field.rule == Rule::kGroup && HoldsBlob(field);
  });
  return found == kind.fields.end() ? nullptr : &*found;
}

bool NamesBlobs(std::uint32_t kind) {
  static const std::vector<std::uint32_t> kinds = [] {
    std::vector<std::uint32_t> found;
    for (const Kind& one : Kinds().kinds()) {
      const bool names = std::any_of(one.fields.begin(), one.fields.end(), [](const Field& field) {
        return HoldsBlob(field) || std::any_of(field.parts.begin(), field.parts.end(), HoldsBlob);
      });
      if (names) found.push_back(one.number);
    }
    return found;
  }();
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

std::optional<BlobReference> BlobNamedBy(const Kind& kind, ByteView cell, ByteView value) {
  const auto path = ReadCellPath(cell);
  if (!path) return std::nullopt;
  const Field* field = kind.Find(path->field);
  if (field != nullptr && path->part != 0) field = field->FindPart(path->part);
  if (field == nullptr || !HoldsBlob(*field)) return std::nullopt;
  WireReader outer(value);
  const auto message = outer.Next();
  if (!message || message->type != WireType::kBytes) return std::nullopt;
  BlobReference reference;
  WireReader reader(message->bytes);
  while (const auto one = reader.Next()) {
    const Field* part = field->FindPart(one->number);
    if (part == nullptr) continue;
    if (part->name == "size_bytes" && one->type == WireType::kVarint) {
      reference.size_bytes = one->number_value;
    }
    if (one->type != WireType::kBytes) continue;
    if (part->format == Format::kBlob) reference.blob = Hash::From(one->bytes).value_or(Hash());
    if (part->format == Format::kSha256) reference.sha256 = Hash::From(one->bytes);
    if (part->format == Format::kMediaType) reference.media_type = one->bytes;
    if (part->name == "name") reference.name = one->bytes;
  }
  if (!reader.ok() || reference.blob.is_zero()) return std::nullopt;
  return reference;
}

CellWrite NameBlob(const Kind& kind, const BlobReference& reference) {
  const Field* field = BlobFieldOf(kind);
  STAFFEL_ASSERT(field != nullptr);
  Bytes message;
  for (const Field& part : field->parts) {  // by number: the one form of the value
    if (part.name == "size_bytes" && reference.size_bytes != 0) {
      AppendVarintField(message, part.number, reference.size_bytes);
    } else if (part.format == Format::kSha256 && reference.sha256) {
      AppendBytesField(message, part.number, reference.sha256->bytes());
    } else if (part.format == Format::kBlob) {
      AppendBytesField(message, part.number, reference.blob.bytes());
    } else if (part.format == Format::kMediaType && !reference.media_type.empty()) {
      AppendBytesField(message, part.number, reference.media_type);
    } else if (part.name == "name" && !reference.name.empty()) {
      AppendBytesField(message, part.number, reference.name);
    }
  }
  CellWrite write{RegisterCell(*field), Bytes()};
  AppendBytesField(*write.value, field->number, message);
  return write;
}

}  // namespace staffel::record
