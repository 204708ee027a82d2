/* SPDX-License-Identifier: EUPL-1.2 */
/* clang-format off: it would run the numbered conventions together. */
/* The C interface to a Staffel node on this machine: what `staffel` can do, for programs. It speaks
 * to `staffeld` through the Unix socket in the node's data directory; whoever may open that socket
 * may do everything, so there is no further login. staffel.hpp wraps it for C++.
 *
 * Conventions:
 *
 * (1) A staffel_node is opaque. It holds at most one connection and opens a new one by itself after
 *     the daemon was restarted. Use it from one thread at a time; any number of them may exist.
 * (2) Strings are UTF-8 and end in a zero byte. Those passed in stay the caller's and are not kept.
 *     Those returned are the caller's to release with staffel_free; never with free.
 * (3) Whatever can fail takes `staffel_error** error` as its last argument. NULL means that the
 *     reason is not wanted. Otherwise *error must be NULL at the call; after a failure it points to
 *     an error that the caller releases with staffel_error_free, after a success it is still NULL.
 * (4) Functions that return a pointer return NULL on failure.
 * (5) Replies are JSON in the shapes that `staffel --json` prints (docs/formats/admin.md). Members
 *     may be added in later versions; those that are there keep their name and meaning.
 * (6) Ids may be shortened as long as they stay unique. A record's "version" member names the state
 *     that was shown: passed back as `if_version` it makes the change refused (STAFFEL_CONFLICT)
 *     where the record has changed meanwhile. NULL changes whatever is there.
 * (7) A change returns after it is on this node's disk, fsynced ("at the ministry"). Its way to the
 *     hub is the daemon's business: see staffel_status.
 */
/* clang-format on */
#ifndef STAFFEL_STAFFEL_H_
#define STAFFEL_STAFFEL_H_

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define STAFFEL_EXPORT __attribute__((visibility("default")))
#else
#define STAFFEL_EXPORT
#endif

typedef struct staffel_node staffel_node;
typedef struct staffel_error staffel_error;

/* What a caller can do about a failure; the message says the rest. Numbers are never reused. */
enum staffel_code {
  STAFFEL_INVALID = 1,     /* the input is wrong and will stay wrong */
  STAFFEL_NOT_FOUND = 2,   /* what was named is not here */
  STAFFEL_EXISTS = 3,      /* it is here already, and is something else */
  STAFFEL_DENIED = 4,      /* no right to this */
  STAFFEL_CONFLICT = 5,    /* the state has moved on since the caller looked: look again */
  STAFFEL_TOO_LARGE = 6,   /* beyond a limit */
  STAFFEL_UNSUPPORTED = 7, /* this version cannot do it */
  STAFFEL_UNAVAILABLE = 8, /* not now: the daemon does not run, the network is away, … */
  STAFFEL_STORAGE = 9,     /* disk full, disk error, damaged file */
  STAFFEL_CORRUPT = 10,    /* bytes that do not verify */
  STAFFEL_INTERNAL = 11    /* a bug of ours */
};

/* ---- errors and strings ---- */

STAFFEL_EXPORT enum staffel_code staffel_error_code(const staffel_error* error);
/* A sentence for people. Lives as long as the error. */
STAFFEL_EXPORT const char* staffel_error_message(const staffel_error* error);
STAFFEL_EXPORT void staffel_error_free(staffel_error* error); /* NULL is harmless */
STAFFEL_EXPORT void staffel_free(char* string);               /* NULL is harmless */

/* "0.1.0". Static: not to be released. */
STAFFEL_EXPORT const char* staffel_version(void);

/* ---- the node ---- */

/* `node` is a node's data directory or the path of its socket; NULL takes the environment variable
 * STAFFEL_NODE. Fails with STAFFEL_UNAVAILABLE where no daemon answers. */
STAFFEL_EXPORT staffel_node* staffel_open(const char* node, staffel_error** error);
STAFFEL_EXPORT void staffel_close(staffel_node* node); /* NULL is harmless */

/* The language of error messages and of texts for people in replies: "de" or "en"; anything else,
 * as at first: messages in English, and times as programs want them. Codes, and what a record holds
 * in "fields", are the same in every language. */
STAFFEL_EXPORT void staffel_set_language(staffel_node* node, const char* language);

/* Conference, membership, exchange with the hub, pending entries, conflicts, digests. */
STAFFEL_EXPORT char* staffel_status(staffel_node* node, staffel_error** error);
/* All record kinds with their fields. */
STAFFEL_EXPORT char* staffel_kinds(staffel_node* node, staffel_error** error);

/* ---- records ---- */

/* One page. `kind` NULL: all kinds. `page` NULL: the first; afterwards "next_page" of the reply
 * before, until it is empty. */
STAFFEL_EXPORT char* staffel_list(staffel_node* node, const char* kind, const char* page,
                                  staffel_error** error);
STAFFEL_EXPORT char* staffel_show(staffel_node* node, const char* id, staffel_error** error);
STAFFEL_EXPORT char* staffel_search(staffel_node* node, const char* query, staffel_error** error);
/* The history of a record: who, what, when, from which journal. */
STAFFEL_EXPORT char* staffel_log(staffel_node* node, const char* id, staffel_error** error);

/* `fields` is a JSON object of field edits, as docs/formats/records.md describes them:
 * {"title": "…", "when.start": "2025-04-23T11:00", "originators": {"add": ["BY"]}}. */
STAFFEL_EXPORT char* staffel_add(staffel_node* node, const char* kind, const char* fields,
                                 staffel_error** error);
STAFFEL_EXPORT char* staffel_set(staffel_node* node, const char* id, const char* fields,
                                 const char* if_version, staffel_error** error);
STAFFEL_EXPORT char* staffel_delete(staffel_node* node, const char* id, const char* if_version,
                                    staffel_error** error);
STAFFEL_EXPORT char* staffel_restore(staffel_node* node, const char* id, staffel_error** error);

/* ---- conflicts ---- */

/* One page of all conflicts, or with `id` those of one record. */
STAFFEL_EXPORT char* staffel_conflicts(staffel_node* node, const char* id, const char* page,
                                       staffel_error** error);
/* Decides one by taking what a member wrote (`take`: a member's id, or the beginning of a head's
 * entry id) or by writing something new. `cell` is the conflict's "path" or "cell". `if_version` is
 * the conflict's "version" as it was shown, and never NULL: where another text has come since, the
 * decision is refused (STAFFEL_CONFLICT), so that nothing is decided unseen. */
STAFFEL_EXPORT char* staffel_conflict_take(staffel_node* node, const char* id, const char* cell,
                                           const char* take, const char* if_version,
                                           staffel_error** error);
STAFFEL_EXPORT char* staffel_conflict_write(staffel_node* node, const char* id, const char* cell,
                                            const char* text, const char* if_version,
                                            staffel_error** error);

/* ---- everything else ---- */

/* Any call of the administration by its name, such as "Invite", with its request as JSON (the
 * canonical mapping of protobuf; NULL: empty). */
STAFFEL_EXPORT char* staffel_call(staffel_node* node, const char* method, const char* request,
                                  staffel_error** error);

#ifdef __cplusplus
}
#endif

#endif /* STAFFEL_STAFFEL_H_ */
