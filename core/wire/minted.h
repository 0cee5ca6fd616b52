/* minted.h: the username of a credential that was minted for a tenant: until when, by whom, for whom, and what it may do.
 *
 *     1790000000:tacme.k7f3a9:ann:c5e1b2d09f3a4b67:room=match-1:bps=2000000:n=2
 *     |          |     |      |   |                |
 *     |          |     |      |   |                fields, each at most once, in any order
 *     |          |     |      |   cid: names this credential
 *     |          |     |      tag: the player; may be empty
 *     |          |     kid: names the key that its password is made with
 *     |          the tenant
 *     Unix seconds
 *
 * All of it is signed: the password is base64(HMAC-SHA1(K, username)), as of coturn's time-limited names, from which this form differs by its second part
 * and by having four parts at least. In tenant, kid, tag, cid and room a byte may be written %XX; those that part the name (`:` `%`, in tenant and kid also `.`)
 * must be. They are UTF-8 without control characters and commas, so that each can be a tag of an allocation ("k=v,k=v"). A field that is not known is refused: it
 * may have been meant to restrict.
 *
 * The parser is total.
 */
#ifndef RELAY_WIRE_MINTED_H
#define RELAY_WIRE_MINTED_H

#include "base/crypto.h"

#define MINTED_MAX_LEN 508   /* of the username: RFC 8489 section 14.3 */
#define MINTED_NAME_MAX 128  /* of tenant, tag and room */
#define MINTED_KID_MAX 64
#define MINTED_CID_MAX 32
#define MINTED_BPS_MAX UINT64_C(1000000000000000)
#define MINTED_EXPIRY_MAX INT64_C(999999999999)

struct minted {
    int64_t expires_unix_s;
    char tenant[MINTED_NAME_MAX + 1], kid[MINTED_KID_MAX + 1], tag[MINTED_NAME_MAX + 1], cid[MINTED_CID_MAX + 1];
    char room[MINTED_NAME_MAX + 1]; /* "": none */
    uint64_t max_bps;               /* bit/s, each direction, of an allocation; 0: not said */
    uint32_t max_allocations;       /* of the tag, or without one of the credential; 0: not said */
};

/* minted_parse: 0; ERR_NOT_FOUND: the name is of another form; ERR_BAD: of this one, and wrong. */
int minted_parse(struct view username, struct minted *out);

/* minted_print: the username into `out`, NUL at the end; its length, or ERR_RANGE: a part is empty that must not be, has a byte that it may not have, or
 * all of it is too long. */
int minted_print(const struct minted *, char out[MINTED_MAX_LEN + 1]);

/* minted_is_text: whether it may stand in a part: UTF-8, no control characters, no comma, at most `most` bytes. */
bool minted_is_text(const char *text, size_t most);

/* minted_tags: "tag=ann,room=match-1,credential=c5e1,key=k7f3", without those that are empty; returns `out`. */
#define MINTED_TAGS_MAX (3 * MINTED_NAME_MAX)
char *minted_tags(const struct minted *, char out[MINTED_TAGS_MAX]);

/* minted_key: K of the tenant and kid under a master secret: hex(HMAC-SHA256(master, tenant "\0" kid)), of which the digits themselves are the key, as coturn's
 * shared secrets are: whoever holds K mints with any library for those, for that tenant under that kid alone.  minted_password: base64(HMAC-SHA1(K,
 * username)), under any shared secret. 0 or ERR_SYSTEM. */
#define MINTED_KEY_LEN 64
#define MINTED_PASSWORD_LEN 28
int minted_key(struct crypto *, const char *master, const char *tenant, const char *kid, char out[MINTED_KEY_LEN + 1]);
int minted_password(struct crypto *, struct view secret, struct view username, char out[MINTED_PASSWORD_LEN + 1]);

/* minted_cid: of a credential that is minted now: 24 hexadecimal digits: Unix milliseconds, and as many that nobody guesses.  minted_issued_ms: when it was minted, as
 * its cid tells; -1: it tells no time, because somebody minted it by himself. */
#define MINTED_CID_LEN 24
#define MINTED_TTL_MAX_S (48 * 3600)
void minted_cid(int64_t unix_ms, char out[MINTED_CID_LEN + 1]);
int64_t minted_issued_ms(const struct minted *);

/* minted_user: whom quotas count within the tenant: the tag, or without one the cid. */
const char *minted_user(const struct minted *);

#endif
