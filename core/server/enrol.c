/* enrol.c: see enrol.h. */
#include "server/enrol.h"

#include "base/crypto.h"
#include "base/err.h"
#include "turn/password.h"
#include "wire/integrity.h"

#include <stdio.h>
#include <string.h>

/* make_keys: MD5 keys as each kind of client makes them, and a SHA-256 key of the prepared password. */
static int make_keys(struct crypto *crypto, const struct desk_user *user, struct view password, struct store_keys *out)
{
    struct long_term_key keys[PASSWORD_KEYS_MAX];
    struct login login = {.username = view_text(user->name), .realm = view_text(user->realm)};
    const int count = password_keys(crypto, &login, password, keys);
    for (int i = 0; i < count; i++)
        memcpy(out->md5[out->md5_count++], keys[i].bytes, STORE_KEY_LEN);
    login.sha256 = true;
    const int strong = count > 0 ? password_keys(crypto, &login, password, keys) : count;
    memcpy(out->sha256, keys[0].bytes, STORE_KEY_SHA256_LEN);
    out->has_sha256 = strong > 0;
    crypto_wipe(keys, sizeof keys);
    return strong > 0 ? 0 : ERR_SYSTEM;
}

static int take_password(struct crypto *crypto, struct desk_user *user, const char *password, char why[OPAQUE_WHY_MAX])
{
    char prepared[OPAQUE_MAX_LEN + 1];
    size_t len = 0;
    if (strlen(password) >= ENROL_PASSWORD_MAX) {
        snprintf(why, OPAQUE_WHY_MAX, "is too long");
        return ERR_BAD;
    }
    const int wrong = opaque_enforce(view_text(password), prepared, &len, why);
    crypto_wipe(prepared, sizeof prepared);
    return wrong ? ERR_BAD : make_keys(crypto, user, view_text(password), &user->keys);
}

static int take_key(struct desk_user *user, const char *key, char why[OPAQUE_WHY_MAX])
{
    const bool digits = strncmp(key, "0x", 2) == 0 && strlen(key) == 2 + 2 * STORE_KEY_LEN;
    user->keys.md5_count = 1;
    if (digits && crypto_hex_decode(view_text(key + 2), user->keys.md5[0], STORE_KEY_LEN) == 0)
        return 0;
    snprintf(why, OPAQUE_WHY_MAX, "is 0x and 32 hex digits");
    return ERR_BAD;
}

int enrol(struct desk_user *user, const struct enrolment *from, char why[OPAQUE_WHY_MAX])
{
    struct crypto *crypto = crypto_new();
    int err = crypto ? integrity_userhash(crypto, view_text(user->name), view_text(user->realm), user->userhash) : ERR_SYSTEM;
    memset(&user->keys, 0, sizeof user->keys);
    why[0] = 0;
    if (err == 0)
        err = from->key ? take_key(user, from->key, why) : take_password(crypto, user, from->password, why);
    else
        err = ERR_SYSTEM;
    crypto_free(crypto);
    return err;
}
