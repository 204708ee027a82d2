// SPDX-License-Identifier: EUPL-1.2
#include "core/journal/cell.h"

#include <utility>

#include "core/base/wire.h"

namespace staffel {
namespace {

constexpr char kStepField = 1;
constexpr char kStepId = 2;
constexpr char kStepMember = 3;
constexpr std::uint64_t kFieldNumberMax = (1u << 29) - 1;

std::optional<MemberId> TakeMember(ByteView& in) {
  if (in.empty()) return std::nullopt;
  const auto size = static_cast<std::uint8_t>(in.front());
  if (in.size() < 1u + size) return std::nullopt;
  auto member = MemberId::From(in.substr(1, size));
  if (member) in.remove_prefix(1u + size);
  return member;
}

std::optional<CellOwner> TakeOwner(ByteView& in) {
  if (in.empty()) return std::nullopt;
  CellOwner owner;
  const auto kind = static_cast<std::uint8_t>(in.front());
  in.remove_prefix(1);
  if (kind > static_cast<std::uint8_t>(OwnerKind::kMember)) return std::nullopt;
  owner.kind = static_cast<OwnerKind>(kind);
  if (owner.kind == OwnerKind::kMember) {
    auto member = TakeMember(in);
    if (!member) return std::nullopt;
    owner.member = std::move(*member);
  }
  return owner;
}

// Gives the next step to `take`, as what it is; false where there is none to read. What is only
// checked is made into nothing: that is done far more often than reading.
template <typename Take>
bool TakeStep(ByteView& in, Take take) {
  if (in.empty()) return false;
  const char type = in.front();
  in.remove_prefix(1);
  switch (type) {
    case kStepField: {
      const auto number = TakeVarint(in);
      if (!number || *number == 0 || *number > kFieldNumberMax) return false;
      take(static_cast<std::uint32_t>(*number));
      return true;
    }
    case kStepId:
      if (in.size() < ElementId::kBytes) return false;
      take(*ElementId::From(in.substr(0, ElementId::kBytes)));
      in.remove_prefix(ElementId::kBytes);
      return true;
    case kStepMember: {
      auto member = TakeMember(in);
      if (!member) return false;
      take(std::move(*member));
      return true;
    }
    default:
      return false;
  }
}

void AppendMember(Bytes& out, const MemberId& member) {
  out.push_back(static_cast<char>(member.text().size()));
  out.append(member.text());
}

}  // namespace

Cell EncodeCell(const CellAddress& address) {
  STAFFEL_ASSERT(!address.steps.empty() &&
                 std::holds_alternative<std::uint32_t>(address.steps.front()));
  Cell cell(1, static_cast<char>(address.owner.kind));
  if (address.owner.kind == OwnerKind::kMember) AppendMember(cell, address.owner.member);
  for (const CellStep& step : address.steps) {
    if (const auto* number = std::get_if<std::uint32_t>(&step)) {
      cell.push_back(kStepField);
      AppendVarint(cell, *number);
    } else if (const auto* id = std::get_if<ElementId>(&step)) {
      cell.push_back(kStepId);
      cell.append(id->bytes());
    } else {
      cell.push_back(kStepMember);
      AppendMember(cell, std::get<MemberId>(step));
    }
  }
  STAFFEL_ASSERT(cell.size() <= kCellBytesMax);
  return cell;
}

Cell FieldCell(std::uint32_t number) { return EncodeCell({CellOwner{}, {number}}); }

Result<CellAddress> DecodeCell(ByteView cell) {
  if (cell.size() > kCellBytesMax) {
    return Fail(ErrorCode::kTooLarge, "a cell address has {} bytes; {} are allowed", cell.size(),
                kCellBytesMax);
  }
  ByteView in = cell;
  auto owner = TakeOwner(in);
  if (!owner) return Fail(ErrorCode::kInvalid, "cell {} has no readable owner", ToHex(cell));
  CellAddress address{std::move(*owner), {}};
  while (!in.empty()) {
    const bool taken = TakeStep(
        in, [&](auto&& step) { address.steps.push_back(std::forward<decltype(step)>(step)); });
    if (!taken) return Fail(ErrorCode::kInvalid, "cell {} has an unreadable step", ToHex(cell));
  }
  if (address.steps.empty() || !std::holds_alternative<std::uint32_t>(address.steps.front())) {
    return Fail(ErrorCode::kInvalid, "cell {} does not begin with a field number", ToHex(cell));
  }
  return address;
}

std::optional<CellOwner> CheckCell(ByteView cell) {
  if (cell.size() > kCellBytesMax) return std::nullopt;
  auto owner = TakeOwner(cell);
  if (!owner || cell.empty() || cell.front() != kStepField) return std::nullopt;
  while (!cell.empty()) {
    if (!TakeStep(cell, [](auto&&) {})) return std::nullopt;
  }
  return owner;
}

const Cell& DeletedCell() {
  static const Cell cell = FieldCell(kDeletedField);
  return cell;
}

}  // namespace staffel
