// SPDX-License-Identifier: EUPL-1.2
#include "core/store/state.h"

#include "core/base/wire.h"
#include "core/store/digest.h"

namespace staffel {

fold::RecordHeads StoredState::ToHeads() const {
  fold::RecordHeads heads;
  heads.reserve(cells.size());
  for (const CellHeads& cell : cells) {
    auto& out = heads.emplace_back(fold::CellHeads{cell.cell, {}});
    for (std::uint32_t index : cell.heads) out.heads.push_back(sources[index].entry);
  }
  return heads;
}

Hash StoredState::Leaf(const AudienceId& audience, std::uint32_t kind,
                       const RecordId& record) const {
  LeafBuilder leaf(audience, kind, record);
  for (const CellHeads& cell : cells) {
    leaf.BeginCell(cell.cell, cell.heads.size());
    for (std::uint32_t index : cell.heads)
      leaf.AddHead(sources[index].entry, sources[index].erased);
  }
  return leaf.Finish();
}

Bytes EncodeState(const StoredState& state) {
  Bytes out;
  AppendVarint(out, state.created.value);
  AppendVarint(out, state.changed.value);
  AppendVarint(out, state.sources.size());
  for (const auto& source : state.sources) {
    out.append(source.entry.bytes());
    AppendVarint(out, source.arrival << 1 | (source.erased ? 1 : 0));
  }
  AppendVarint(out, state.cells.size());
  for (const auto& cell : state.cells) {
    AppendVarint(out, cell.cell.size());
    out.append(cell.cell);
    AppendVarint(out, cell.heads.size());
    for (std::uint32_t index : cell.heads) AppendVarint(out, index);
  }
  return out;
}

Result<StoredState> DecodeState(ByteView bytes) {
  const auto damaged = [] {
    return Fail(ErrorCode::kCorrupt, "a stored record state is damaged: run 'staffel verify'");
  };
  StoredState state;
  const auto created = TakeVarint(bytes);
  const auto changed = created ? TakeVarint(bytes) : std::nullopt;
  const auto sources = changed ? TakeVarint(bytes) : std::nullopt;
  if (!sources || *sources > bytes.size()) return damaged();
  state.created.value = *created;
  state.changed.value = *changed;
  state.sources.reserve(*sources);
  for (std::uint64_t i = 0; i < *sources; ++i) {
    if (bytes.size() < EntryId::kBytes) return damaged();
    StoredState::Source source;
    source.entry = *EntryId::From(bytes.substr(0, EntryId::kBytes));
    bytes.remove_prefix(EntryId::kBytes);
    const auto arrival = TakeVarint(bytes);
    if (!arrival) return damaged();
    source.arrival = *arrival >> 1;
    source.erased = (*arrival & 1) != 0;
    state.sources.push_back(source);
  }
  const auto cells = TakeVarint(bytes);
  if (!cells || *cells > bytes.size()) return damaged();
  state.cells.reserve(*cells);
  for (std::uint64_t i = 0; i < *cells; ++i) {
    const auto size = TakeVarint(bytes);
    if (!size || *size > bytes.size()) return damaged();
    StoredState::CellHeads cell;
    cell.cell = bytes.substr(0, *size);
    bytes.remove_prefix(*size);
    const auto heads = TakeVarint(bytes);
    if (!heads || *heads > bytes.size()) return damaged();
    for (std::uint64_t j = 0; j < *heads; ++j) {
      const auto index = TakeVarint(bytes);
      if (!index || *index >= state.sources.size()) return damaged();
      cell.heads.push_back(static_cast<std::uint32_t>(*index));
    }
    state.cells.push_back(std::move(cell));
  }
  return state;
}

RecordSlice SliceOf(const WriteBody& write, std::uint32_t kind, const RecordId& record) {
  RecordSlice slice;
  for (std::size_t part = 0; part < write.records.size(); ++part) {
    if (write.records[part].kind != kind || write.records[part].record != record) continue;
    slice.parts.push_back(part);
    const auto& changes = write.records[part].changes;
    for (std::size_t i = 0; i < changes.size(); ++i)
      slice.changes.push_back({&changes[i], part, i});
  }
  return slice;
}

}  // namespace staffel
