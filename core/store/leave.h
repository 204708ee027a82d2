// SPDX-License-Identifier: EUPL-1.2
// A replica whose member was taken out of an audience: what it had written there and nobody has yet
// is handed over, then its copy is deleted, and that is confirmed by a signed statement, which the
// exchange carries to those who are in it. docs/formats/exchange.md, "Taken out". Part of store.h.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/base/time.h"
#include "core/crypto/key.h"

namespace staffel {

// "The copy of this audience is deleted here."
struct CopyDeleted {
  AudienceId audience;
  EntryId charter;  // in force when it was deleted: there the member is not in the audience
  TimeMs time;      // of the replica's clock
  crypto::PublicKey key;
  Bytes signature;
  friend bool operator==(const CopyDeleted&, const CopyDeleted&) = default;
};
[[nodiscard]] CopyDeleted SignCopyDeleted(const AudienceId& audience, const EntryId& charter,
                                          TimeMs time, const crypto::KeyPair& key);
[[nodiscard]] bool VerifyCopyDeleted(const CopyDeleted& statement);
// For keeping it; nothing where the bytes are no such statement.
[[nodiscard]] Bytes PackCopyDeleted(const CopyDeleted& statement);
[[nodiscard]] std::optional<CopyDeleted> UnpackCopyDeleted(ByteView bytes);

// A journal of ours in an audience that our member is no longer in.
struct LeftJournal {
  JournalId journal;
  AudienceId audience;
  std::uint64_t last_seq = 0;
};

}  // namespace staffel
