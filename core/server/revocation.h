/* revocation.h: who may relay no more: what was revoked, as an immutable set that is looked up by digests.
 *
 * A row shuts out a credential (its cid, or a whole username), a tag (the player: the label `tag`, or without one the user), an API key's credentials, a user, or all of
 * a tenant. A key's row stands for good, because whoever holds its K may go on minting. A credential's stands until it expires, where its username or nobody tells when;
 * the others stand for REVOCATION_MS, which no credential of ours outlives.
 *
 * A credential or a key is shut out whenever it was minted. Of a tag, a user or a tenant what was minted before the row's moment is, as a cid of ours tells
 * (minted_issued_ms), so that who gets a new credential may come in again. What tells no time, because somebody minted it by himself, in coturn's form, or because it is a
 * password, is shut out as long as the row stands.
 */
#ifndef RELAY_SERVER_REVOCATION_H
#define RELAY_SERVER_REVOCATION_H

#include "base/table.h"
#include "turn/verdict.h"
#include "wire/minted.h"

#define REVOCATION_MS (MINTED_TTL_MAX_S * INT64_C(1000))
#define REVOCATION_FOREVER INT64_MAX
#define REVOCATION_NO_ORDER 64 /* orders of a round have smaller numbers */
#define REVOCATION_ANY "*" /* tenant: of a credential or a key whose tenant is not said */
#define REVOCATION_NAME_MAX USERNAME_MAX_LEN

/* X(KIND, "kind"): as the table revocations has them */
#define REVOCATION_KINDS(X)                                                                                                                \
    X(CREDENTIAL, "credential")                                                                                                            \
    X(TAG, "tag")                                                                                                                          \
    X(KEY, "key")                                                                                                                          \
    X(USER, "user")                                                                                                                        \
    X(TENANT, "tenant")

enum revocation_kind {
#define X(kind, name) REVOKE_##kind,
    REVOCATION_KINDS(X)
#undef X
        REVOKE_KINDS
};

const char *revocation_name(enum revocation_kind);
enum revocation_kind revocation_find(const char *name); /* REVOKE_KINDS: there is none */

/* revocation_digest: stands for the kind, the tenant and the name ("" of a tenant).  revocation_until: until when a row of now stands; a
 * credential's username may say its expiry. */
uint64_t revocation_digest(const struct hash_key *, enum revocation_kind, const char *tenant, struct view name);
int64_t revocation_until(enum revocation_kind, const char *name, int64_t at_ms);

/* struct revocation_mark: a row of the set. */
struct revocation_mark {
    uint64_t digest;
    int64_t at_ms, until_ms;
    unsigned kind, order; /* order: of the owner of the set */
    const char *reason;   /* that the closed events tell; lives as long as the process */
};

struct revocations;

/* revocations_new: of these rows, which it sorts; NULL without memory. */
struct revocations *revocations_new(const struct hash_key *, struct revocation_mark *, size_t count);
void revocations_free(struct revocations *);

/* revocations_match: the row by which whoever this is is shut out at `unix_ms`; NULL: he is not, or there is no set. Any thread. */
const struct revocation_mark *revocations_match(const struct revocations *, const struct bearer *, int64_t unix_ms);

#endif
