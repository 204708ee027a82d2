// SPDX-License-Identifier: EUPL-1.2
// What a change of the charter is made from, within one transaction of the writer: the charter in
// force, the journals held, and ways to cut them and to disclose what the charter only hashes. Made
// by Store::Propose and handed to its function; does not outlive that call.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/base/id.h"
#include "core/base/result.h"
#include "core/charter/authority.h"
#include "core/charter/content.h"
#include "core/charter/hidden.h"
#include "core/crypto/key.h"
#include "core/journal/entry.h"

namespace staffel {

class Writer;

class CharterDraft {
 public:
  // The charter that the change stands on.
  [[nodiscard]] const charter::Authority& authority() const { return authority_; }
  // Whose change it is.
  [[nodiscard]] const MemberId& member() const { return member_; }

  // A journal as it is held here.
  struct HeldJournal {
    JournalId journal;
    AudienceId audience;
    crypto::PublicKey key;
    MemberId member;
    Lane lane;
    std::vector<charter::CutHead> heads;  // of every branch
  };
  // All of them, in no particular order.
  [[nodiscard]] std::vector<HeldJournal> journals() const;
  // "This journal is valid up to these heads" (all that is held where none are given). In an
  // audience that is not open the heads are hidden, and disclosed there. kDenied: an audience that
  // this replica does not read.
  [[nodiscard]] Result<charter::Cut> CutOf(const HeldJournal& journal,
                                           std::optional<std::vector<charter::CutHead>> heads = {});
  // Has an entry of our own in that audience disclose the content, and gives its hash.
  [[nodiscard]] Result<Hash> Disclose(const AudienceId& audience, Bytes content);
  // The handover's protocol for one audience: all heads held now, and what follows from them.
  [[nodiscard]] Result<charter::HandoverPart> ProtocolOf(const AudienceId& audience);

 private:
  friend class Writer;
  CharterDraft(Writer& writer, const charter::Authority& authority, MemberId member)
      : writer_(writer), authority_(authority), member_(std::move(member)) {}
  [[nodiscard]] Status Reads(const AudienceId& audience) const;

  Writer& writer_;
  const charter::Authority& authority_;
  MemberId member_;
  std::map<AudienceId, std::vector<DisclosureBody::Item>> disclosures_;
};

}  // namespace staffel
