/* credentials.c: users of the configuration, names under a shared secret, users of the database; see credentials.h. */
#include "server/credentials.h"

#include "base/err.h"
#include "wire/integrity.h"

#include <stdio.h>
#include <string.h>

#define SECRET_PASSWORD_MAX 45 /* base64 of an HMAC-SHA256, and its NUL */

static void deny(struct verdict *out, const char *reason)
{
    out->kind = VERDICT_DENY;
    out->code = STUN_UNAUTHENTICATED;
    snprintf(out->reason, sizeof out->reason, "%s", reason);
}

static void fail(struct verdict *out, const char *reason)
{
    out->kind = VERDICT_FAIL;
    out->key_count = 0;
    snprintf(out->reason, sizeof out->reason, "%s", reason);
}

static struct long_term_key *next_key(struct verdict *out)
{
    if (out->key_count == VERDICT_KEYS_MAX)
        return NULL;
    return &out->keys[out->key_count++];
}

static bool has_no_key(struct verdict *out)
{
    deny(out, "no_sha256_key");
    return true;
}

/* password_key: of the kind that the client signs with. */
static int password_key(const struct credentials *from, const struct request *request, struct view password, struct long_term_key *key)
{
    const struct view realm = view_text(request->realm);
    key->len = request->wants_sha256 ? INTEGRITY_KEY_SHA256_LEN : INTEGRITY_KEY_LEN;
    return (request->wants_sha256 ? integrity_key_sha256 : integrity_key)(from->crypto, request->username, realm, password, key->bytes);
}

static bool find_configured(const struct credentials *from, const struct request *request, struct verdict *out)
{
    for (size_t i = 0; i < from->config->user_count; i++) {
        const struct config_user *user = &from->config->users[i];
        if (!view_equal(view_text(user->name), request->username))
            continue;
        if (user->has_key && request->wants_sha256)
            return has_no_key(out);
        struct long_term_key *key = next_key(out);
        if (!key)
            return false;
        if (user->has_key) {
            key->len = INTEGRITY_KEY_LEN;
            memcpy(key->bytes, user->key, INTEGRITY_KEY_LEN);
        } else if (password_key(from, request, view_text(user->password), key) != 0) {
            fail(out, "libcrypto failed");
        }
        return true;
    }
    return false;
}

static bool find_stored(const struct credentials *from, const struct request *request, struct verdict *out)
{
    struct long_term_key key = {.len = INTEGRITY_KEY_LEN};
    if (!from->reader)
        return false;
    const int err = store_reader_key(from->reader, view_text(request->realm), request->username, key.bytes);
    if (err == ERR_NOT_FOUND)
        return false;
    if (err == 0 && request->wants_sha256)
        return has_no_key(out);
    struct long_term_key *place = err == 0 ? next_key(out) : NULL;
    if (place)
        *place = key;
    else
        fail(out, "the users database cannot be read");
    return true;
}

bool credentials_parse_expiry(struct view username, int64_t *expires_unix_s, struct view *id)
{
    int64_t value = 0;
    size_t digits = 0;
    for (; digits < username.len && username.at[digits] >= '0' && username.at[digits] <= '9'; digits++) {
        if (digits == 12)
            return false;
        value = value * 10 + (username.at[digits] - '0');
    }
    if (digits == 0 || (digits < username.len && username.at[digits] != ':'))
        return false;
    *expires_unix_s = value;
    *id = view_from(username, digits + 1);
    return true;
}

/* struct secret_try: a secret becomes the password base64(HMAC-SHA1(secret, username)), and that a key. */
struct secret_try {
    const struct credentials *from;
    const struct request *request;
    struct verdict *out;
};

static void try_secret(void *ctx, struct view secret)
{
    const struct secret_try *try = ctx;
    uint8_t mac[CRYPTO_HASH_MAX];
    char password[SECRET_PASSWORD_MAX];
    struct long_term_key *key = try->out->kind == VERDICT_FAIL ? NULL : next_key(try->out);
    if (!key)
        return;
    int err = crypto_hmac(try->from->crypto, CRYPTO_SHA1, secret, &try->request->username, 1, mac);
    if (err == 0) {
        const size_t len = crypto_base64(view_of(mac, crypto_hash_len(CRYPTO_SHA1)), password);
        err = password_key(try->from, try->request, view_of(password, len), key);
    }
    if (err)
        fail(try->out, "libcrypto failed");
}

static bool find_timed(const struct credentials *from, const struct request *request, int64_t unix_ms, struct verdict *out)
{
    struct secret_try try = {.from = from, .request = request, .out = out};
    struct view id;
    if (!from->config->use_auth_secret || !credentials_parse_expiry(request->username, &out->expires_unix_s, &id))
        return false;
    if (out->expires_unix_s * 1000 < unix_ms) {
        deny(out, "expired");
        return true;
    }
    for (size_t i = 0; i < from->config->secret_count; i++)
        try_secret(&try, view_text(from->config->secrets[i]));
    if (from->reader && store_reader_secrets(from->reader, view_text(request->realm), try_secret, &try) != 0 && out->key_count == 0)
        fail(out, "the users database cannot be read");
    if (id.len)
        view_copy(id, out->user, sizeof out->user);
    return out->kind == VERDICT_FAIL || out->key_count > 0;
}

struct view credentials_unhash(const struct credentials *from, struct view realm, struct view hash)
{
    for (size_t i = 0; i < from->config->user_count; i++) {
        const struct view name = view_text(from->config->users[i].name);
        uint8_t own[INTEGRITY_USERHASH_LEN];
        if (integrity_userhash(from->crypto, name, realm, own) == 0 && crypto_equal(view_of(own, sizeof own), hash))
            return name;
    }
    return view_of(NULL, 0);
}

void credentials_find(const struct credentials *from, const struct request *request, int64_t unix_ms, struct verdict *out)
{
    memset(out, 0, sizeof *out);
    snprintf(out->by, sizeof out->by, "core");
    if (!find_configured(from, request, out) && !find_timed(from, request, unix_ms, out) && !find_stored(from, request, out)) {
        deny(out, "unknown_user");
        return;
    }
    if (out->kind != VERDICT_SILENT)
        return;
    out->kind = VERDICT_KEY;
    if (!out->user[0])
        view_copy(request->username, out->user, sizeof out->user);
}

void credentials_lookup(const struct credentials *from, const struct request *request, const char *tenant, const char *user, struct verdict *out)
{
    char by[sizeof out->by];
    char tenant_copy[sizeof out->tenant], user_copy[sizeof out->user]; /* they may be fields of *out */
    snprintf(by, sizeof by, "%s", out->by);
    snprintf(tenant_copy, sizeof tenant_copy, "%s", tenant);
    snprintf(user_copy, sizeof user_copy, "%s", user);
    memset(out, 0, sizeof *out);
    snprintf(out->by, sizeof out->by, "%s", by);
    if (!find_configured(from, request, out) && !find_stored(from, request, out)) {
        deny(out, "unknown_user");
        return;
    }
    if (out->kind != VERDICT_SILENT)
        return;
    out->kind = VERDICT_KEY;
    snprintf(out->tenant, sizeof out->tenant, "%s", tenant_copy);
    snprintf(out->user, sizeof out->user, "%s", user_copy);
}
