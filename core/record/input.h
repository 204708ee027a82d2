// SPDX-License-Identifier: EUPL-1.2
// One value of one field, from JSON to the bytes that a cell or a part holds, with every check that
// input gets: type, format, length, characters, markings. For edit.cc, which knows where values
// belong. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/record/catalog.h"
#include "core/record/edit.h"
#include "core/record/json.h"

namespace staffel::record {

// "line 3, column 14: field 'when.start': …": how every refusal of a value begins.
[[nodiscard]] Error RefuseValue(const InputContext& context, const JsonValue& value,
                                std::string_view path, std::string_view what,
                                ErrorCode code = ErrorCode::kInvalid);

// kInvalid where the context knows the members and this is none of them.
[[nodiscard]] Status CheckMember(std::string_view member, const InputContext& context);

// The wire bytes of a single value under `number` (a map's value has 2, a part its own); empty
// bytes for null and for a default, which is the same as nothing. Not for messages.
[[nodiscard]] Result<Bytes> EncodeScalar(const Field& field, std::uint32_t number,
                                         const JsonValue& value, std::string_view path,
                                         const InputContext& context);

// A message's content from an object: groups, and the elements of sets. `current` is what stands
// there now; parts that the object does not name stay, also those unknown to this version. Parts in
// ascending order.
[[nodiscard]] Result<Bytes> EncodeParts(const Field& field, const JsonValue& object,
                                        ByteView current, std::string_view path,
                                        const InputContext& context);

// "; did you mean 'title'?" or nothing, and what there is instead.
[[nodiscard]] std::string FieldHint(std::string_view name, const std::vector<Field>& fields);

}  // namespace staffel::record
