/* api_key.h: what a key of the admin door looks like: "rk_0123456789ab.SECRET", and what is kept of it.
 *
 * The half before the dot is its name, which may be shown; of the other only the SHA-256 is kept.
 */
#ifndef RELAY_SERVER_API_KEY_H
#define RELAY_SERVER_API_KEY_H

#include "base/crypto.h"
#include "store/store.h"

#include <jansson.h>

#define API_KEY_TOKEN_MAX 63
#define API_KEY_SCOPES "mint|usage:read|admin" /* in the order of DOOR_MINT, DOOR_USAGE_READ, DOOR_ADMIN */

struct api_key {
    char id[STORE_API_KEY_ID_MAX + 1], token[API_KEY_TOKEN_MAX + 1];
    uint8_t hash[STORE_API_KEY_HASH_LEN];
};

/* api_key_make: a new one. 0 or ERR_SYSTEM. Whoever has shown the token wipes it. */
int api_key_make(struct crypto *, struct api_key *out);

/* api_key_split: the two halves of a token; false: it has not the form.  api_key_hash: of the second. 0 or ERR_SYSTEM. */
bool api_key_split(const char *token, struct view *id, struct view *secret);
int api_key_hash(struct crypto *, struct view secret, uint8_t out[STORE_API_KEY_HASH_LEN]);

/* api_key_scopes: "mint,admin" as DOOR_ bits; false: one of them is none, or there is none. */
bool api_key_scopes(const char *text, unsigned *out);

/* api_key_scope_list: "mint,admin" as a list of JSON; NULL: out of memory.  api_key_scope_text: the other way. Returns `out`. */
json_t *api_key_scope_list(const char *text);
const char *api_key_scope_text(const json_t *list, char out[STORE_API_KEY_SCOPES_MAX + 1]);

#endif
