/* credentials.h: the built-in way to a key: users of the configuration, time-limited names under a shared secret, users of the database, access tokens.
 *
 * Asked when no policy has an opinion. The answer is a verdict: KEY with the quota identity, DENY 401 when nobody knows the name or it has expired, FAIL
 * when the database cannot be read (an outage is not a 401). Passwords and secrets make the kind of key that the request wants; 0xKEY is MD5 alone, and so is a
 * user of the database who was added with a key or before there were others. A name under a secret is taken as it was sent: it is what the HMAC is over.
 *
 * Where there are master secrets, a name of wire/minted.h is a minted credential's and nothing else: no shared secret signs it. The tenant is the one in the
 * name, whatever realm the client was challenged with; whom quotas count is its tag, or without one the credential itself.
 *
 * A request with an access token (RFC 7635) is judged by that alone: USERNAME is the kid, which names a key of the database; the token says with which key
 * the client signs, and until when. The kid is whom it counts for, and the key's realm the tenant: who the client is, only the authorization server
 * knows. A kid that nobody knows costs what a forged token costs.
 */
#ifndef RELAY_SERVER_CREDENTIALS_H
#define RELAY_SERVER_CREDENTIALS_H

#include "base/crypto.h"
#include "server/mint_secret.h"
#include "store/store.h"
#include "turn/verdict.h"

struct credentials {
    const struct config *config;
    struct crypto *crypto;
    struct store_reader *reader; /* NULL: no database */
    struct mint_secrets *mint_secrets; /* NULL: no minted credentials */
};

void credentials_find(const struct credentials *, const struct request *, int64_t unix_ms, struct verdict *out);

/* credentials_lookup: relay.lookup(user, {tenant}), which are in *out: the key that the client signs with is MD5(username as sent : realm of the challenge : password), so the row of
 * (realm, username) is looked for; it counts as (tenant, user). Static users of the configuration are known too, and tokens. */
void credentials_lookup(const struct credentials *, const struct request *, int64_t unix_ms, struct verdict *out);

/* credentials_unhash: the user of the configuration or the database whose name and `realm` make the USERHASH. 0, ERR_NOT_FOUND, ERR_SYSTEM. */
int credentials_unhash(const struct credentials *, struct view realm, struct view hash, char name[STORE_NAME_MAX + 1]);

/* credentials_parse_expiry: draft-uberti names `expiry[:id]`: false if `username` is none. `id` is empty for a bare expiry. */
bool credentials_parse_expiry(struct view username, int64_t *expires_unix_s, struct view *id);

#endif
