// SPDX-License-Identifier: EUPL-1.2
#include "core/record/edit.h"

#include <algorithm>
#include <map>

#include "core/base/wire.h"
#include "core/record/input.h"
#include "core/record/position.h"
#include "core/record/row.h"

namespace staffel::record {
namespace {

constexpr std::string_view kDeletedBytes{"\x08\x01", 2};
constexpr std::size_t kShortIdDigitsMin = 6;
constexpr std::size_t kPathStepsMax = 6;

// ---- Dotted names
// ----------------------------------------------------------------------------------

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

JsonValue EmptyObject(const JsonValue& like) {
  JsonValue object;
  object.type = JsonType::kObject;
  object.offset = like.offset;
  object.loose = like.loose;
  return object;
}

// Puts `value` at steps[i…] below `object`, making the objects on the way.
bool Insert(JsonValue& object, const std::vector<std::string>& steps, std::size_t i,
            JsonValue value) {
  for (auto& [name, member] : object.members) {
    if (name != steps[i]) continue;
    if (i + 1 < steps.size()) {
      return member.type == JsonType::kObject && Insert(member, steps, i + 1, std::move(value));
    }
    if (member.type != JsonType::kObject || value.type != JsonType::kObject) return false;
    for (auto& [inner, inner_value] : value.members) {
      if (!Insert(member, {inner}, 0, std::move(inner_value))) return false;
    }
    return true;
  }
  if (i + 1 < steps.size()) {
    JsonValue below = EmptyObject(value);
    if (!Insert(below, steps, i + 1, std::move(value))) return false;
    value = std::move(below);
  }
  object.members.emplace_back(steps[i], std::move(value));
  return true;
}

// {"when.start": …, "when.end": …} becomes {"when": {"start": …, "end": …}}.
Result<JsonValue> ExpandNames(const JsonValue& object, const InputContext& context) {
  JsonValue expanded = EmptyObject(object);
  for (const auto& [name, value] : object.members) {
    const std::vector<std::string> steps = Split(name, '.');
    const bool empty_step =
        std::any_of(steps.begin(), steps.end(), [](const auto& s) { return s.empty(); });
    if (empty_step || steps.size() > kPathStepsMax) {
      return tl::unexpected<Error>(RefuseValue(context, value, name, "is no name of a field"));
    }
    if (!Insert(expanded, steps, 0, value)) {
      return tl::unexpected<Error>(RefuseValue(context, value, name, "is given twice"));
    }
  }
  return expanded;
}

// ---- One edit
// --------------------------------------------------------------------------------------

class Editor {
 public:
  Editor(const Kind& kind, ByteView row, const InputContext& context, bool fresh)
      : kind_(kind), row_(row), context_(context), fresh_(fresh) {
    STAFFEL_ASSERT(context.ids != nullptr);
  }

  Result<std::vector<CellWrite>> Run(const JsonValue& edits) {
    if (edits.type != JsonType::kObject) {
      return Fail(ErrorCode::kInvalid, "an object of fields is wanted, not {}", edits.TypeName());
    }
    STAFFEL_TRY(object, ExpandNames(edits, context_));
    for (const auto& [name, value] : object.members) STAFFEL_CHECK(EditField(name, value));
    if (fresh_) {
      STAFFEL_CHECK(CheckRequired(object));
      std::erase_if(writes_, [](const CellWrite& write) { return !write.value; });
    }
    std::sort(writes_.begin(), writes_.end(),
              [](const CellWrite& a, const CellWrite& b) { return a.cell < b.cell; });
    const auto twice =
        std::adjacent_find(writes_.begin(), writes_.end(),
                           [](const CellWrite& a, const CellWrite& b) { return a.cell == b.cell; });
    if (twice != writes_.end()) {
      return Fail(ErrorCode::kInvalid,
                  "the edit writes one value of the {} twice (cell {}); name it once", kind_.name,
                  ToHex(twice->cell));
    }
    return std::move(writes_);
  }

 private:
  tl::unexpected<Error> Refuse(const JsonValue& value, std::string_view path, std::string_view what,
                               ErrorCode code = ErrorCode::kInvalid) const {
    return tl::unexpected<Error>(RefuseValue(context_, value, path, what, code));
  }

  void Write(Cell cell, Bytes value) {
    if (value.empty()) {
      writes_.push_back({std::move(cell), std::nullopt});
    } else {
      writes_.push_back({std::move(cell), std::move(value)});
    }
  }

  Status EditField(const std::string& name, const JsonValue& value) {
    const Field* field = kind_.Find(name);
    if (field == nullptr) {
      return Refuse(
          value, name,
          fmt::format("kind {} has no such field{}", kind_.name, FieldHint(name, kind_.fields)));
    }
    switch (field->rule) {
      case Rule::kRegister:
      case Rule::kText:
        return EditRegister(*field, value);
      case Rule::kGroup:
        return EditGroup(*field, value);
      case Rule::kSet:
        return EditSet(*field, value);
      case Rule::kMap:
        return EditMap(*field, value);
      case Rule::kSequence:
        return EditSequence(*field, value);
      case Rule::kDeleted:
        return Refuse(value, name, "is not edited; delete the record, or restore it");
      case Rule::kNone:
      case Rule::kPart:
        break;
    }
    STAFFEL_ASSERT(false && "a record's field has a rule of its own");
    return {};
  }

  Status CheckRequired(const JsonValue& object) const {
    for (const Field& field : kind_.fields) {
      if (!field.required) continue;
      const bool there = std::any_of(writes_.begin(), writes_.end(), [&](const CellWrite& write) {
        const auto path = ReadCellPath(write.cell);
        return write.value && path && path->field == field.number;
      });
      if (!there) {
        return Refuse(object, field.name,
                      fmt::format("a new {} needs it; it must not be empty", kind_.name));
      }
    }
    return {};
  }

  Status EditRegister(const Field& field, const JsonValue& value) {
    STAFFEL_TRY(wire, EncodeScalar(field, field.number, value, field.name, context_));
    if (wire.empty() && field.required && !fresh_)
      return Refuse(value, field.name, "must not be empty");
    Write(RegisterCell(field), std::move(wire));
    return {};
  }

  Status EditGroup(const Field& field, const JsonValue& value) {
    Bytes content;
    if (value.type != JsonType::kNull) {
      STAFFEL_TRY(parts, EncodeParts(field, value, LastWireField(row_, field.number).bytes,
                                     field.name, context_));
      content = std::move(parts);
    }
    if (content.empty() && field.required && !fresh_) {
      return Refuse(value, field.name, "must not be empty");
    }
    Bytes wire;
    if (!content.empty()) AppendBytesField(wire, field.number, content);
    Write(RegisterCell(field), std::move(wire));
    return {};
  }

  // -- sets --

  // One element as it would be written, without its address.
  struct Element {
    Bytes content;  // members: the id; messages: all parts but the id
    std::optional<ElementId> id;
  };

  static bool IsEmptied(const JsonValue& value) {
    return value.type == JsonType::kNull || (value.type == JsonType::kText && value.text.empty());
  }

  Result<Element> ReadElement(const Field& field, const JsonValue& value, bool removes) const {
    Element element;
    if (field.is_member_set()) {
      // Whoever has left the conference can still be taken off a list.
      InputContext context = context_;
      if (removes) context.members.clear();
      STAFFEL_TRY(wire, EncodeScalar(field, field.number, value, field.name, context));
      element.content = LastWireField(wire, field.number).bytes;
      if (element.content.empty()) return Refuse(value, field.name, "an element must not be empty");
      return element;
    }
    JsonValue object = value;
    // A reference may come as {"ref": …}: that is the main part's business.
    if (value.type != JsonType::kObject || value.Find("ref") != nullptr) {
      object = EmptyObject(value);
      object.members.emplace_back(MainPart(field)->name, value);
    }
    for (auto member = object.members.begin(); member != object.members.end(); ++member) {
      if (member->first != "id") continue;
      element.id = member->second.type == JsonType::kText ? ElementId::FromText(member->second.text)
                                                          : std::nullopt;
      if (!element.id) return Refuse(member->second, field.name + ".id", "is no id of an element");
      object.members.erase(member);
      break;
    }
    STAFFEL_TRY(content, EncodeParts(field, object, {}, field.name, context_));
    element.content = std::move(content);
    return element;
  }

  static Bytes WithoutId(ByteView message) {
    Bytes content;
    for (const WireField& wire : WireFields(message)) {
      if (wire.number != 1) content += wire.whole;
    }
    return content;
  }

  // What stands in the set now: content, and the cells that hold it.
  std::multimap<Bytes, Cell> CurrentSet(const Field& field) const {
    std::multimap<Bytes, Cell> current;
    if (field.is_member_set()) {
      for (const WireField& wire : WireFieldsOf(row_, field.number)) {
        const auto member = MemberId::From(wire.bytes);
        if (member) current.emplace(Bytes(wire.bytes), MemberCell(field, *member));
      }
    } else {
      for (const RowElement& element : RowElements(row_, field)) {
        current.emplace(WithoutId(element.message), ElementCell(field, element.id));
      }
    }
    return current;
  }

  void AddElement(const Field& field, const Element& element) {
    Bytes wire;
    if (field.is_member_set()) {
      AppendBytesField(wire, field.number, element.content);
      Write(MemberCell(field, *MemberId::From(element.content)), std::move(wire));
      return;
    }
    const ElementId id = element.id ? *element.id : context_.ids->Next(field.name);
    Bytes message;
    AppendBytesField(message, 1, id.bytes());
    message += element.content;
    AppendBytesField(wire, field.number, message);
    Write(ElementCell(field, id), std::move(wire));
  }

  Result<std::vector<Element>> ReadElements(const Field& field, const JsonValue& list,
                                            bool removes = false) const {
    if (list.type != JsonType::kArray) {
      return Refuse(list, field.name,
                    fmt::format("a list is wanted here, not {}", list.TypeName()));
    }
    if (list.items.size() > kElementsMax) {
      return Refuse(list, field.name,
                    fmt::format("{} elements; {} are allowed", list.items.size(), kElementsMax),
                    ErrorCode::kTooLarge);
    }
    std::vector<Element> elements;
    for (const JsonValue& item : list.items) {
      STAFFEL_TRY(element, ReadElement(field, item, removes));
      for (const Element& other : elements) {
        // Two people may have added the same: an export tells the two by their ids.
        const bool told_apart = element.id && other.id && *element.id != *other.id;
        if (other.content == element.content && !told_apart)
          return Refuse(item, field.name, "the same element stands there twice");
      }
      elements.push_back(std::move(element));
    }
    return elements;
  }

  Status EditSet(const Field& field, const JsonValue& value) {
    const auto current = CurrentSet(field);
    if (value.type == JsonType::kNull) {
      for (const auto& [content, cell] : current) Write(cell, {});
      return {};
    }
    if (value.type == JsonType::kArray) {
      STAFFEL_TRY(wanted, ReadElements(field, value));
      for (const Element& element : wanted) {
        if (!current.contains(element.content)) AddElement(field, element);
      }
      for (const auto& [content, cell] : current) {
        const bool stays = std::any_of(wanted.begin(), wanted.end(),
                                       [&c = content](const Element& e) { return e.content == c; });
        if (!stays) Write(cell, {});
      }
      return {};
    }
    if (value.type != JsonType::kObject) {
      return Refuse(
          value, field.name,
          fmt::format("a list is wanted here, or {{\"add\": […], \"remove\": […]}}, not {}",
                      value.TypeName()));
    }
    for (const auto& [name, list] : value.members) {
      if (name != "add" && name != "remove") {
        return Refuse(list, field.name + "." + name, "a set knows \"add\" and \"remove\"");
      }
      STAFFEL_TRY(elements, ReadElements(field, list, name == "remove"));
      for (const Element& element : elements) {
        const auto [begin, end] = current.equal_range(element.content);
        if (name == "add") {
          if (begin == end) AddElement(field, element);
          continue;
        }
        // By its main part alone too: an address goes, whatever its type says.
        std::vector<Cell> cells;
        for (auto it = begin; it != end; ++it) {
          // Of two that are alike the id tells which one is meant.
          if (!element.id || it->second == ElementCell(field, *element.id)) {
            cells.push_back(it->second);
          }
        }
        if (cells.empty() && !element.id) cells = CellsWithMainPart(field, element);
        if (cells.empty()) {
          return Refuse(list, field.name, "what is to be removed is not there; look again",
                        ErrorCode::kConflict);
        }
        for (Cell& cell : cells) Write(std::move(cell), {});
      }
    }
    return {};
  }

  std::vector<Cell> CellsWithMainPart(const Field& field, const Element& element) const {
    std::vector<Cell> cells;
    if (field.is_member_set()) return cells;
    const std::uint32_t main = MainPart(field)->number;
    const Bytes wanted(LastWireField(element.content, main).whole);
    if (WireFields(element.content).size() != 1) return cells;
    for (const RowElement& existing : RowElements(row_, field)) {
      if (LastWireField(existing.message, main).whole == wanted) {
        cells.push_back(ElementCell(field, existing.id));
      }
    }
    return cells;
  }

  // -- maps --

  Status EditMap(const Field& field, const JsonValue& value) {
    if (value.type == JsonType::kNull) {
      for (const WireField& wire : WireFieldsOf(row_, field.number)) {
        const auto member = MemberId::From(LastWireField(wire.bytes, 1).bytes);
        if (member) Write(MemberCell(field, *member), {});
      }
      return {};
    }
    if (value.type != JsonType::kObject) {
      return Refuse(
          value, field.name,
          fmt::format("an object is wanted here, as {{\"NI\": …}}, not {}", value.TypeName()));
    }
    for (const auto& [name, entry] : value.members) {
      const std::string path = field.name + "." + name;
      const auto member = MemberId::From(name);
      if (!member) return Refuse(entry, path, "is no member id; write one as NI");
      if (const auto known = CheckMember(name, context_); !known && !IsEmptied(entry)) {
        return Refuse(entry, path, known.error().message);
      }
      STAFFEL_TRY(content, EncodeScalar(field, 2, entry, path, context_));
      Bytes wire;
      if (!content.empty()) {
        Bytes pair;
        AppendBytesField(pair, 1, name);
        pair += content;
        AppendBytesField(wire, field.number, pair);
      }
      Write(MemberCell(field, *member), std::move(wire));
    }
    return {};
  }

  // -- sequences --

  // An element as it stands while the edit is worked out.
  struct Placed {
    ElementId id;
    std::string position;
    bool is_new = false;
  };

  Status EditSequence(const Field& field, const JsonValue& value) {
    const std::vector<RowElement> current = RowElements(row_, field);
    if (value.type == JsonType::kNull) {
      for (const RowElement& element : current) RemoveElement(field, element);
      return {};
    }
    std::vector<Placed> order;
    for (const RowElement& element : current) {
      order.push_back({element.id, std::string(element.position), false});
    }
    if (value.type == JsonType::kArray) return WriteWhole(field, value, current.empty());
    if (value.type != JsonType::kObject) {
      return Refuse(value, field.name,
                    fmt::format("a list is wanted here, not {}", value.TypeName()));
    }
    // Numbers mean the record as it was shown: whatever else the edit does, "2" is the same
    // element.
    for (const auto& [name, change] : value.members) {
      if (name == "insert" || name == "move") continue;
      if (name == "remove") {
        if (change.type != JsonType::kArray)
          return Refuse(change, field.name + ".remove", "a list is wanted here");
        for (const JsonValue& item : change.items) {
          STAFFEL_TRY(index, Resolve(field, current, item));
          RemoveElement(field, current[index]);
        }
        continue;
      }
      STAFFEL_TRY(index, ResolveName(field, current, name, change));
      STAFFEL_CHECK(EditElement(field, current[index], field.name + "." + name, change));
    }
    for (const auto& [name, change] : value.members) {
      if (name != "insert" && name != "move") continue;
      const std::string path = field.name + "." + name;
      if (change.type != JsonType::kArray) return Refuse(change, path, "a list is wanted here");
      for (const JsonValue& item : change.items) {
        STAFFEL_CHECK(name == "insert" ? InsertElement(field, current, order, item, path)
                                       : MoveElement(field, current, order, item, path));
      }
    }
    return {};
  }

  // A new sequence as a whole: positions evenly spread, unless an export brings its own.
  Status WriteWhole(const Field& field, const JsonValue& list, bool is_empty) {
    if (!is_empty) {
      return Refuse(list, field.name,
                    "it has elements already, and a whole list would hide what changed; name the "
                    "element, as " +
                        field.name + ".2, or use insert, move, remove");
    }
    if (list.items.size() > kElementsMax) {
      return Refuse(list, field.name,
                    fmt::format("{} elements; {} are allowed", list.items.size(), kElementsMax),
                    ErrorCode::kTooLarge);
    }
    const std::vector<std::string> positions = EvenPositions(list.items.size());
    std::size_t own_positions = 0;
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      const JsonValue* own = list.items[i].Find("position");
      own_positions += own != nullptr ? 1 : 0;
      STAFFEL_CHECK(WriteElement(field, list.items[i], fmt::format("{}.{}", field.name, i + 1),
                                 own != nullptr ? std::string() : positions[i], nullptr));
    }
    if (own_positions != 0 && own_positions != list.items.size()) {
      return Refuse(list, field.name, "either every element has its position or none");
    }
    return {};
  }

  // All cells of one new element. `position` empty: the object brings it.
  Status WriteElement(const Field& field, const JsonValue& value, const std::string& path,
                      const std::string& position, ElementId* id_out) {
    JsonValue object = value;
    if (value.type != JsonType::kObject) {
      const Field* main = MainPart(field);
      if (main == nullptr) {
        return Refuse(value, path,
                      fmt::format("an object is wanted here, not {}", value.TypeName()));
      }
      object = EmptyObject(value);
      object.members.emplace_back(main->name, value);
    }
    ElementId id;
    if (const JsonValue* own = object.Find("id")) {
      const auto read =
          own->type == JsonType::kText ? ElementId::FromText(own->text) : std::nullopt;
      if (!read) return Refuse(*own, path + ".id", "is no id of an element");
      id = *read;
    } else {
      id = context_.ids->Next(field.name);
    }
    if (id_out != nullptr) *id_out = id;
    if (!position.empty()) {
      Bytes wire;
      AppendBytesField(wire, 2, position);
      Write(PartCell(field, id, *field.FindPart(2u)), std::move(wire));
    }
    const std::size_t before = writes_.size();
    for (const auto& [name, part_value] : object.members) {
      if (name == "id") continue;
      STAFFEL_CHECK(EditPart(field, id, {}, path, name, part_value));
    }
    const bool content = std::any_of(writes_.begin() + static_cast<std::ptrdiff_t>(before),
                                     writes_.end(), [](const CellWrite& write) {
                                       const auto cell = ReadCellPath(write.cell);
                                       return write.value && cell && cell->part > 2;
                                     });
    if (!content) return Refuse(value, path, "a new element must not be empty");
    return {};
  }

  Status EditPart(const Field& field, const ElementId& id, ByteView current,
                  const std::string& path, const std::string& name, const JsonValue& value) {
    const std::string where = path + "." + name;
    const Field* part = field.FindPart(name);
    if (part == nullptr || part->number == 1) {
      return Refuse(value, where, "there is no such field" + FieldHint(name, field.parts));
    }
    Bytes wire;
    if (part->type == Type::kMessage) {
      if (value.type != JsonType::kNull) {
        STAFFEL_TRY(content, EncodeParts(*part, value, LastWireField(current, part->number).bytes,
                                         where, context_));
        if (!content.empty()) AppendBytesField(wire, part->number, content);
      }
    } else {
      STAFFEL_TRY(scalar, EncodeScalar(*part, part->number, value, where, context_));
      wire = std::move(scalar);
    }
    if (part->number == 2 && wire.empty()) {
      return Refuse(value, where,
                    "must not be empty; to remove the element, set it to null as a whole");
    }
    Write(PartCell(field, id, *part), std::move(wire));
    return {};
  }

  Status EditElement(const Field& field, const RowElement& element, const std::string& path,
                     const JsonValue& value) {
    if (value.type == JsonType::kNull) {
      RemoveElement(field, element);
      return {};
    }
    if (value.type != JsonType::kObject) {
      const Field* main = MainPart(field);
      if (main == nullptr) {
        return Refuse(value, path,
                      fmt::format("an object is wanted here, not {}", value.TypeName()));
      }
      return EditPart(field, element.id, element.message, path, main->name, value);
    }
    for (const auto& [name, part_value] : value.members) {
      STAFFEL_CHECK(EditPart(field, element.id, element.message, path, name, part_value));
    }
    return {};
  }

  // Empties every cell that the element has, its position too: what somebody writes meanwhile into
  // one of them meets the removal in that cell (docs/formats/records.md, "Sequences").
  void RemoveElement(const Field& field, const RowElement& element) {
    for (const Field& part : field.parts) {
      if (part.number == 1 || LastWireField(element.message, part.number).number == 0) continue;
      Write(PartCell(field, element.id, part), {});
    }
  }

  // The index of the element that a number from 1 or an id, perhaps shortened, names.
  Result<std::size_t> ResolveName(const Field& field, const std::vector<RowElement>& current,
                                  std::string_view name, const JsonValue& value) const {
    const std::string path = fmt::format("{}.{}", field.name, name);
    const bool number =
        !name.empty() && name.size() <= 4 &&
        std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (number) {
      std::size_t index = 0;
      for (char c : name) index = index * 10 + static_cast<std::size_t>(c - '0');
      if (index >= 1 && index <= current.size()) return index - 1;
      return Refuse(value, path,
                    fmt::format("there are {} elements, from 1 on; look again", current.size()),
                    ErrorCode::kConflict);
    }
    if (name.size() < kShortIdDigitsMin ||
        name.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
      return Refuse(value, path,
                    fmt::format("name an element by its number or its id ({} digits at least), or "
                                "use insert, move, remove",
                                kShortIdDigitsMin));
    }
    std::optional<std::size_t> found;
    for (std::size_t i = 0; i < current.size(); ++i) {
      if (!current[i].id.Hex().starts_with(name)) continue;
      if (found) return Refuse(value, path, "several elements begin so; write more of the id");
      found = i;
    }
    if (!found)
      return Refuse(value, path, "no element has this id; look again", ErrorCode::kConflict);
    return *found;
  }

  Result<std::size_t> Resolve(const Field& field, const std::vector<RowElement>& current,
                              const JsonValue& value) const {
    if (value.type == JsonType::kInteger && !value.negative) {
      return ResolveName(field, current, std::to_string(value.integer), value);
    }
    if (value.type == JsonType::kText) return ResolveName(field, current, value.text, value);
    return Refuse(value, field.name, "name an element by its number or its id");
  }

  // Takes "after" and "before" off an operation and gives the place in `order` to insert at.
  Result<std::size_t> TakePlace(const Field& field, const std::vector<RowElement>& current,
                                const std::vector<Placed>& order, JsonValue& item) const {
    std::optional<std::size_t> place;
    for (std::size_t i = 0; i < item.members.size();) {
      const bool after = item.members[i].first == "after";
      if (!after && item.members[i].first != "before") {
        ++i;
        continue;
      }
      const JsonValue target = std::move(item.members[i].second);
      item.members.erase(item.members.begin() + static_cast<std::ptrdiff_t>(i));
      if (place) return Refuse(target, field.name, "say \"after\" or \"before\", not both");
      STAFFEL_TRY(index, Resolve(field, current, target));
      const auto at = std::find_if(order.begin(), order.end(),
                                   [&](const Placed& p) { return p.id == current[index].id; });
      if (at == order.end())
        return Refuse(target, field.name, "an element cannot stand beside itself");
      place = static_cast<std::size_t>(at - order.begin()) + (after ? 1 : 0);
    }
    return place.value_or(order.size());
  }

  static std::string PositionAt(const std::vector<Placed>& order, std::size_t place) {
    // An element that lost its position stands last and gives no bound.
    std::size_t before = place;
    while (before > 0 && order[before - 1].position.empty()) --before;
    return PositionBetween(before == 0 ? "" : order[before - 1].position,
                           place == order.size() ? "" : order[place].position);
  }

  Status InsertElement(const Field& field, const std::vector<RowElement>& current,
                       std::vector<Placed>& order, JsonValue item, const std::string& path) {
    if (order.size() >= kElementsMax) {
      return Refuse(item, path, fmt::format("{} elements are allowed", kElementsMax),
                    ErrorCode::kTooLarge);
    }
    STAFFEL_TRY(place, TakePlace(field, current, order, item));
    Placed placed{{}, PositionAt(order, place), true};
    STAFFEL_CHECK(WriteElement(field, item, path, placed.position, &placed.id));
    order.insert(order.begin() + static_cast<std::ptrdiff_t>(place), std::move(placed));
    return {};
  }

  Status MoveElement(const Field& field, const std::vector<RowElement>& current,
                     std::vector<Placed>& order, JsonValue item, const std::string& path) {
    const JsonValue* which = item.Find("item");
    if (item.type != JsonType::kObject || which == nullptr || item.members.size() != 2) {
      return Refuse(item, path, "write {\"item\": \"3\", \"before\": \"1\"}, or with \"after\"");
    }
    STAFFEL_TRY(index, Resolve(field, current, *which));
    std::erase_if(order, [&](const Placed& p) { return p.id == current[index].id; });
    STAFFEL_TRY(place, TakePlace(field, current, order, item));
    Placed placed{current[index].id, PositionAt(order, place), false};
    Bytes wire;
    AppendBytesField(wire, 2, placed.position);
    Write(PartCell(field, placed.id, *field.FindPart(2u)), std::move(wire));
    order.insert(order.begin() + static_cast<std::ptrdiff_t>(place), std::move(placed));
    return {};
  }

  const Kind& kind_;
  ByteView row_;
  const InputContext& context_;
  bool fresh_;
  std::vector<CellWrite> writes_;
};

// ---- Assignments
// -----------------------------------------------------------------------------------

JsonValue ListOf(JsonValue item) {
  JsonValue list;
  list.type = JsonType::kArray;
  list.loose = true;
  list.items.push_back(std::move(item));
  return list;
}

// Puts an element onto object[field][operation], a list.
void Append(JsonValue& object, const std::string& field, const std::string& operation,
            JsonValue item) {
  for (auto& [name, operations] : object.members) {
    if (name != field || operations.type != JsonType::kObject) continue;
    for (auto& [known, list] : operations.members) {
      if (known != operation || list.type != JsonType::kArray) continue;
      list.items.push_back(std::move(item));
      return;
    }
    operations.members.emplace_back(operation, ListOf(std::move(item)));
    return;
  }
  JsonValue operations;
  operations.type = JsonType::kObject;
  operations.loose = true;
  operations.members.emplace_back(operation, ListOf(std::move(item)));
  object.members.emplace_back(field, std::move(operations));
}

void MakeLoose(JsonValue& value) {
  value.loose = true;
  for (JsonValue& item : value.items) MakeLoose(item);
  for (auto& [name, member] : value.members) MakeLoose(member);
}

// What stands behind the '=': nothing empties; lists and objects are JSON; the members of a set may
// be parted by commas; all else is text.
Result<JsonValue> AssignedValue(const Field* field, std::string_view name, std::string_view text) {
  JsonValue value;
  value.loose = true;
  if (text.empty()) return value;
  const bool json = field != nullptr && (text.front() == '{' || text.front() == '[') &&
                    field->rule != Rule::kRegister && field->rule != Rule::kText;
  if (json) {
    auto parsed = ParseJson(text);
    if (!parsed) return Fail(ErrorCode::kInvalid, "field '{}': {}", name, parsed.error().message);
    MakeLoose(*parsed);
    return parsed;
  }
  if (field != nullptr && field->rule == Rule::kSet && name == field->name) {
    value.type = JsonType::kArray;
    if (field->is_member_set()) {
      for (const std::string& member : Split(text, ','))
        value.items.push_back(JsonText(member, true));
    } else {
      value.items.push_back(JsonText(std::string(text), true));
    }
    return value;
  }
  return JsonText(std::string(text), true);
}

}  // namespace

Result<std::vector<CellWrite>> CellsOfRecord(const Kind& kind, const JsonValue& object,
                                             const InputContext& context) {
  return Editor(kind, {}, context, /*fresh=*/true).Run(object);
}

Result<std::vector<CellWrite>> EditsOf(const Kind& kind, const JsonValue& edits, ByteView row,
                                       const InputContext& context) {
  return Editor(kind, row, context, /*fresh=*/false).Run(edits);
}

Result<JsonValue> ParseAssignments(const Kind& kind, std::span<const std::string> assignments) {
  JsonValue object;
  object.type = JsonType::kObject;
  object.loose = true;
  for (const std::string& assignment : assignments) {
    const std::size_t equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Fail(ErrorCode::kInvalid, "'{}' is no assignment; write field=value", assignment);
    }
    const char sign = assignment[equals - 1];
    const bool operation = sign == '+' || sign == '-';
    const std::string name = assignment.substr(0, equals - (operation ? 1 : 0));
    const std::string_view text = std::string_view(assignment).substr(equals + 1);
    const Field* field = kind.Find(std::string_view(name).substr(0, name.find('.')));
    if (!operation) {
      if (field != nullptr && field->rule == Rule::kSet && field->name != name) {
        return Fail(ErrorCode::kInvalid,
                    "field '{}': the elements of a set have no number; write {}+=… to add one and "
                    "{}-=… to remove it",
                    name, field->name, field->name);
      }
      STAFFEL_TRY(value, AssignedValue(field, name, text));
      for (const auto& [other, unused] : object.members) {
        if (other == name) return Fail(ErrorCode::kInvalid, "field '{}': is given twice", name);
      }
      object.members.emplace_back(name, std::move(value));
      continue;
    }
    if (field == nullptr) {
      return Fail(ErrorCode::kInvalid, "field '{}': kind {} has no such field{}", name, kind.name,
                  FieldHint(name, kind.fields));
    }
    if (field->name != name || (field->rule != Rule::kSet && field->rule != Rule::kSequence)) {
      return Fail(ErrorCode::kInvalid, "field '{}': {}= is for sets and lists; write {}=…", name,
                  sign, name);
    }
    if (text.empty())
      return Fail(ErrorCode::kInvalid, "field '{}': nothing stands behind {}=", name, sign);
    const bool set = field->rule == Rule::kSet;
    JsonValue item = JsonText(std::string(text), true);
    if ((sign == '+' || set) && text.front() == '{') {
      auto parsed = ParseJson(text);
      if (!parsed) return Fail(ErrorCode::kInvalid, "field '{}': {}", name, parsed.error().message);
      MakeLoose(*parsed);
      item = std::move(*parsed);
    }
    Append(object, name, sign == '-' ? "remove" : set ? "add" : "insert", std::move(item));
  }
  return object;
}

CellWrite DeletionWrite() { return {DeletedCell(), Bytes(kDeletedBytes)}; }
CellWrite UndeletionWrite() { return {DeletedCell(), std::nullopt}; }

Result<CellWrite> ValueForCell(const Kind& kind, const Cell& cell, std::string_view text,
                               const InputContext& context) {
  const auto path = ReadCellPath(cell);
  const Field* field = path ? kind.Find(path->field) : nullptr;
  if (field == nullptr || !CellFits(*field, *path)) {
    return Fail(ErrorCode::kUnsupported,
                "cell {} of kind {} is unknown to this version; upgrade to write it", ToHex(cell),
                kind.name);
  }
  const auto emptied = [&]() -> Result<CellWrite> {
    if (field->required) {
      return Fail(ErrorCode::kInvalid, "field '{}': must not be empty", field->name);
    }
    return CellWrite{cell, std::nullopt};
  };
  if (text.empty()) return emptied();
  const Field* value_field = field;
  std::uint32_t number = field->number;
  if (path->part != 0) {
    value_field = field->FindPart(path->part);
    number = path->part;
    if (value_field == nullptr) {
      return Fail(ErrorCode::kUnsupported,
                  "cell {} of kind {} is unknown to this version; upgrade to write it", ToHex(cell),
                  kind.name);
    }
  }
  JsonValue value = JsonText(std::string(text), /*loose=*/true);
  const auto object_of = [&]() -> Result<JsonValue> {
    auto parsed = ParseJson(text);
    if (!parsed)
      return Fail(ErrorCode::kInvalid, "field '{}': {}", value_field->name, parsed.error().message);
    MakeLoose(*parsed);
    return parsed;
  };
  Bytes wire;
  if (field->rule == Rule::kDeleted) {
    if (text != "true" && text != "false") {
      return Fail(ErrorCode::kInvalid, "field 'deleted': true or false is wanted here, not '{}'",
                  text);
    }
    return text == "true" ? DeletionWrite() : UndeletionWrite();
  }
  if (field->is_member_set()) {
    if (text != path->element) {
      return Fail(ErrorCode::kInvalid, "field '{}': this element is {}; it can stay or go",
                  field->name, path->element);
    }
    AppendBytesField(wire, number, text);
  } else if (field->rule == Rule::kSet) {
    if (text.front() == '{') {
      STAFFEL_TRY(object, object_of());
      value = std::move(object);
    } else {
      JsonValue object = EmptyObject(value);
      object.members.emplace_back(MainPart(*field)->name, std::move(value));
      value = std::move(object);
    }
    Bytes message;
    AppendBytesField(message, 1, path->element);
    STAFFEL_TRY(content, EncodeParts(*field, value, {}, field->name, context));
    message += content;
    AppendBytesField(wire, number, message);
  } else if (field->rule == Rule::kMap) {
    STAFFEL_TRY(content, EncodeScalar(*field, 2, value, field->name, context));
    Bytes pair;
    AppendBytesField(pair, 1, path->element);
    pair += content;
    if (!content.empty()) AppendBytesField(wire, number, pair);
  } else if (value_field->type == Type::kMessage) {
    STAFFEL_TRY(object, object_of());
    STAFFEL_TRY(content, EncodeParts(*value_field, object, {}, value_field->name, context));
    if (!content.empty()) AppendBytesField(wire, number, content);
  } else {
    STAFFEL_TRY(scalar, EncodeScalar(*value_field, number, value, value_field->name, context));
    wire = std::move(scalar);
  }
  if (wire.empty()) return emptied();
  return CellWrite{cell, std::move(wire)};
}

WritesByOwner SplitByOwner(std::vector<CellWrite> writes) {
  WritesByOwner split;
  for (CellWrite& write : writes) {
    CellOwner owner = OwnerOf(write.cell);
    switch (owner.kind) {
      case OwnerKind::kAnyone:
        split.anyone.push_back(std::move(write));
        break;
      case OwnerKind::kChair:
        split.chair.push_back(std::move(write));
        break;
      case OwnerKind::kMember: {
        auto at = std::find_if(split.members.begin(), split.members.end(),
                               [&](const auto& member) { return member.first == owner.member; });
        if (at == split.members.end()) {
          split.members.emplace_back(owner.member, std::vector<CellWrite>());
          at = split.members.end() - 1;
        }
        at->second.push_back(std::move(write));
        break;
      }
    }
  }
  std::sort(split.members.begin(), split.members.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return split;
}

}  // namespace staffel::record
