/* api_key.c: see api_key.h. */
#include "server/api_key.h"

#include "admin/door.h"
#include "base/err.h"

#include <stdio.h>
#include <string.h>

#define PREFIX "rk_"
#define ID_BYTES 6
#define SECRET_BYTES 32
#define SECRET_LEN 43 /* of so many bytes as base64url */

_Static_assert(sizeof PREFIX - 1 + 2 * ID_BYTES <= STORE_API_KEY_ID_MAX && STORE_API_KEY_ID_MAX == DOOR_KEY_MAX, "an id has room");
_Static_assert(sizeof PREFIX - 1 + 2 * ID_BYTES + 1 + SECRET_LEN <= API_KEY_TOKEN_MAX, "a token has room");

int api_key_hash(struct crypto *crypto, struct view secret, uint8_t out[STORE_API_KEY_HASH_LEN])
{
    return crypto_digest(crypto, CRYPTO_SHA256, &secret, 1, out);
}

int api_key_make(struct crypto *crypto, struct api_key *out)
{
    uint8_t id[ID_BYTES], secret[SECRET_BYTES];
    char hex[2 * ID_BYTES + 1], text[4 * ((SECRET_BYTES + 2) / 3) + 1];
    crypto_random(id, sizeof id);
    crypto_random(secret, sizeof secret);
    crypto_hex(view_of(id, sizeof id), hex);
    const size_t len = crypto_base64url(view_of(secret, sizeof secret), text);
    snprintf(out->id, sizeof out->id, PREFIX "%s", hex);
    snprintf(out->token, sizeof out->token, PREFIX "%s.%.*s", hex, SECRET_LEN, text);
    const int err = api_key_hash(crypto, view_of(text, len), out->hash);
    crypto_wipe(secret, sizeof secret);
    crypto_wipe(text, sizeof text);
    return err;
}

bool api_key_split(const char *token, struct view *id, struct view *secret)
{
    const struct view all = view_text(token);
    const size_t len = strcspn(token, ".");
    *id = view_cut(all, len);
    *secret = view_from(all, len + 1);
    return len > 0 && len <= STORE_API_KEY_ID_MAX && secret->len == SECRET_LEN;
}

/* scope_of: one word; 0: there is none. */
static unsigned scope_of(struct view word)
{
    char known[FIELD_NAME_MAX + 1];
    const char *words = API_KEY_SCOPES;
    for (unsigned bit = DOOR_MINT; (words = field_word(words, known)) != NULL; bit <<= 1)
        if (view_equal(view_text(known), word))
            return bit;
    return 0;
}

bool api_key_scopes(const char *text, unsigned *out)
{
    *out = 0;
    do {
        const size_t len = strcspn(text, ",");
        const unsigned scope = scope_of(view_of(text, len));
        if (!scope)
            return false;
        *out |= scope;
        text += len;
    } while (*text++);
    return true;
}

json_t *api_key_scope_list(const char *text)
{
    json_t *list = json_array();
    for (; *text; text += strcspn(text, ","), text += *text == ',')
        json_array_append_new(list, json_stringn(text, strcspn(text, ",")));
    return list;
}

const char *api_key_scope_text(const json_t *list, char out[STORE_API_KEY_SCOPES_MAX + 1])
{
    struct slab slab = slab_over(out, STORE_API_KEY_SCOPES_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *scope = json_string_value(json_array_get(list, i));
        slab_put_text(&slab, slab.len ? "," : "");
        slab_put_text(&slab, scope ? scope : "");
    }
    out[slab.len] = 0;
    return out;
}
