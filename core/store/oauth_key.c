/* oauth_key.c: a row of the table oauth_key, which coturn's tools may have written, as a key. */
#include "base/err.h"
#include "store/database.h"

#include <string.h>
#include <strings.h>

#define IKM_MAX 192 /* bytes of 256 characters of Base64 */

static const struct {
    const char *name;
    enum crypto_aead aead;
} algorithms[] = {{"A128GCM", CRYPTO_A128GCM}, {"A256GCM", CRYPTO_A256GCM}};

static int find_algorithm(struct view name, enum crypto_aead *out)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++)
        if (name.len == strlen(algorithms[i].name) && strncasecmp((const char *)name.at, algorithms[i].name, name.len) == 0) {
            *out = algorithms[i].aead;
            return 0;
        }
    return ERR_NOT_FOUND;
}

/* As coturn: of a longer one the first bytes are the key. */
int store_oauth_key(struct view ikm, struct view algorithm, struct store_oauth_key *out)
{
    uint8_t bytes[IKM_MAX];
    size_t len;
    memset(out, 0, sizeof *out);
    if (find_algorithm(algorithm, &out->aead) != 0)
        return ERR_NOT_FOUND;
    const size_t need = crypto_aead_key_len(out->aead);
    const bool is_key = crypto_base64_decode(ikm, bytes, sizeof bytes, &len) == 0 && len >= need;
    if (is_key)
        memcpy(out->key, bytes, need);
    crypto_wipe(bytes, sizeof bytes);
    return is_key ? 0 : ERR_BAD;
}

/* 0: it has no end. A lifetime of less than nothing is over. */
static int64_t expiry(int64_t timestamp_s, int64_t lifetime_s)
{
    if (lifetime_s <= 0)
        return lifetime_s ? 1 : 0;
    return timestamp_s > INT64_MAX - lifetime_s ? INT64_MAX : timestamp_s + lifetime_s;
}

int database_oauth_key(sqlite3_stmt *statement, struct store_oauth_key *out)
{
    const struct view realm = view_text(database_text(statement, 5));
    const int err = store_oauth_key(view_text(database_text(statement, 1)), view_text(database_text(statement, 2)), out);
    if (err)
        return err;
    if (realm.len >= sizeof out->realm)
        return ERR_BAD;
    view_copy(realm, out->realm, sizeof out->realm);
    out->expires_s = expiry(sqlite3_column_int64(statement, 3), sqlite3_column_int64(statement, 4));
    return 0;
}
