-- SPDX-License-Identifier: EUPL-1.2
-- The replica's file, version 1: the latest schema, for new files. Older files are led here by
-- ../migrations/. Ids of 16 and 32 random bytes appear once per row and are referred to by number.

-- What this file is: conference, projection version, revision.
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT;

-- Local matters that are never replicated: invitations, peers, settings.
CREATE TABLE local (
  key TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT;

-- Audiences that any journal here belongs to. `indexed`: up to which change the search index knows its
-- records.
CREATE TABLE audience (
  number INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  indexed INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One row a journal. `reason` is the verdict of the charter in force (charter/judge.h);
-- `current` marks the journals that this replica goes on writing.
CREATE TABLE journal (
  number INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  audience INTEGER NOT NULL REFERENCES audience (number),
  header BLOB NOT NULL,
  reason INTEGER NOT NULL,
  current INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The last entry of each branch of a journal; one, unless it has forked. `time_ms` is the greatest
-- time of its headers (in the chair's lanes), `last_act` the last seq that needs a receipt (0: none does).
CREATE TABLE branch (
  journal INTEGER NOT NULL REFERENCES journal (number),
  entry BLOB NOT NULL,
  seq INTEGER NOT NULL,
  arrival INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  last_act INTEGER NOT NULL,
  PRIMARY KEY (journal, entry)
) STRICT, WITHOUT ROWID;

-- The journal itself, in order of arrival: header and payloads as received. `fork` counts entries of
-- one journal with one seq; `reason` is why the entry has no effect (0: it is valid).
CREATE TABLE entry (
  arrival INTEGER PRIMARY KEY,
  journal INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  fork INTEGER NOT NULL,
  reason INTEGER NOT NULL,
  id BLOB NOT NULL,
  header BLOB NOT NULL,
  payloads BLOB,
  signature BLOB
) STRICT;
CREATE UNIQUE INDEX entry_by_journal ON entry (journal, seq, fork);
CREATE INDEX entry_without_effect ON entry (reason) WHERE reason != 0;
-- Entries of a newer format (charter/judge.h, Reason): asked for at every digest, and hardly ever there.
CREATE INDEX entry_opaque ON entry (journal) WHERE reason = 12;

-- Entries that a client's op made: a repeat is found here.
CREATE TABLE op (
  op BLOB NOT NULL,
  arrival INTEGER NOT NULL,
  PRIMARY KEY (op, arrival)
) STRICT, WITHOUT ROWID;

-- One row for each record of each audience. Until its second entry a record has no state of its own:
-- its heads are all in `first_entry`, and its row is read from there. Every change of a record takes
-- the next number of its audience (`changed`): it tells nothing of what goes on in other audiences.
CREATE TABLE record (
  number INTEGER PRIMARY KEY,
  audience INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  id BLOB NOT NULL,
  first_entry INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  flags INTEGER NOT NULL,
  conflicts INTEGER NOT NULL,
  state BLOB,
  row BLOB
) STRICT;
CREATE UNIQUE INDEX record_by_id ON record (id, kind, audience);
CREATE INDEX record_by_kind ON record (kind);
CREATE UNIQUE INDEX record_by_change ON record (audience, changed);
CREATE INDEX record_in_conflict ON record (number) WHERE conflicts > 0;

-- Every further entry that touches a record (the first stands in `record`).
CREATE TABLE touch (
  record INTEGER NOT NULL,
  arrival INTEGER NOT NULL,
  PRIMARY KEY (record, arrival)
) STRICT, WITHOUT ROWID;

-- Parents named by a record's changes that are not here yet: when one comes, it is covered already.
CREATE TABLE missing (
  parent BLOB NOT NULL,
  record INTEGER NOT NULL,
  PRIMARY KEY (parent, record)
) STRICT, WITHOUT ROWID;

-- The state digest: per audience and first byte of the record id the sum of leaves mod 2^256.
CREATE TABLE digest (
  audience INTEGER NOT NULL,
  bucket INTEGER NOT NULL,
  sum BLOB NOT NULL,
  PRIMARY KEY (audience, bucket)
) STRICT, WITHOUT ROWID;

-- The charter's tree, in order of arrival, and the signatures beside it.
CREATE TABLE charter_entry (
  arrival INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  header BLOB NOT NULL
) STRICT;
CREATE TABLE charter_signature (
  entry BLOB NOT NULL,
  kind INTEGER NOT NULL,
  key BLOB NOT NULL,
  signature BLOB NOT NULL,
  PRIMARY KEY (entry, kind, key)
) STRICT, WITHOUT ROWID;

-- What went on working and still deserves a person's look: forks, digests that differ.
CREATE TABLE incident (
  number INTEGER PRIMARY KEY,
  time_ms INTEGER NOT NULL,
  kind TEXT NOT NULL,
  text TEXT NOT NULL
) STRICT;

-- The chair's receipts, one row an entry, valid or not (that stands in entry.reason). `time_ms` is the
-- greatest time in its journal up to it: its own, or an earlier one that is later.
CREATE TABLE receipt (
  arrival INTEGER PRIMARY KEY,
  audience INTEGER NOT NULL,
  term INTEGER NOT NULL,
  time_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX receipt_by_term ON receipt (audience, term, time_ms);

-- What receipts name, of what is here, by its journal and seq; `receipt` and `named` are arrivals.
-- `counts`: 0 the receipt is void; 1 it decides; 2 another one names as much and comes before it.
CREATE TABLE received (
  journal INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  receipt INTEGER NOT NULL,
  named INTEGER NOT NULL,
  counts INTEGER NOT NULL,
  PRIMARY KEY (journal, seq, receipt, named)
) STRICT, WITHOUT ROWID;
CREATE INDEX received_that_counts ON received (journal, seq) WHERE counts = 1;
CREATE INDEX received_by_receipt ON received (receipt);

-- What receipts name and is not here yet: it is received when it comes.
CREATE TABLE receipt_missing (
  entry BLOB NOT NULL,
  journal BLOB NOT NULL,
  receipt INTEGER NOT NULL,
  PRIMARY KEY (entry, journal, receipt)
) STRICT, WITHOUT ROWID;

-- Payloads that are not in `entry`, a row each. `why` (erasure_index.h, Absence): erased, hidden until
-- the chair decides (then `bytes` has them, where they were here), or missing.
CREATE TABLE absent (
  arrival INTEGER NOT NULL,
  part INTEGER NOT NULL,
  why INTEGER NOT NULL,
  bytes BLOB,
  PRIMARY KEY (arrival, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX absent_missing ON absent (arrival) WHERE why = 3;

-- What entries disclose of what the charter holds as salted hashes (core/charter/hidden.h): heads of
-- hidden cuts, parts of a handover's protocol. By audience: no other audience's entry counts.
CREATE TABLE disclosed (
  audience INTEGER NOT NULL,
  hidden BLOB NOT NULL,
  content BLOB NOT NULL,
  PRIMARY KEY (audience, hidden)
) STRICT, WITHOUT ROWID;

-- Full text, as IndexForm folds it, rowid = record.number. Trigrams find parts of compounds.
CREATE VIRTUAL TABLE search USING fts5 (body, tokenize = 'trigram');

-- Attachments (core/store/blobs.h). Which payload names which, by the entry that holds it: what may
-- be asked for, by whom, and how long it is kept.
CREATE TABLE blob_ref (
  arrival INTEGER NOT NULL,
  part INTEGER NOT NULL,
  id BLOB NOT NULL,
  audience INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  PRIMARY KEY (arrival, part, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_ref_by_id ON blob_ref (id, audience);

-- One attachment as held for one audience, in part or whole: what came for one audience is not given
-- to another. `chunks` lists the SHA-256 values of its pieces; `have` counts those held. Audience 0:
-- an upload that no record names yet, its `id` random.
CREATE TABLE blob (
  number INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  audience INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  chunks BLOB NOT NULL,
  have INTEGER NOT NULL,
  sha256 BLOB
) STRICT;
CREATE UNIQUE INDEX blob_by_id ON blob (id, audience);

-- The pieces themselves, each once, however many attachments hold it; erased with the last of them.
CREATE TABLE chunk (
  number INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  bytes BLOB NOT NULL
) STRICT;
CREATE TABLE blob_chunk (
  blob INTEGER NOT NULL,
  place INTEGER NOT NULL,
  chunk INTEGER NOT NULL,
  PRIMARY KEY (blob, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_chunk_by_chunk ON blob_chunk (chunk);

-- Records that entries of a newer format touch: what is shown of them may be incomplete.
CREATE TABLE opaque_part (
  arrival INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  record BLOB NOT NULL,
  audience INTEGER NOT NULL,
  PRIMARY KEY (arrival, kind, record)
) STRICT, WITHOUT ROWID;
CREATE INDEX opaque_part_by_record ON opaque_part (record);
