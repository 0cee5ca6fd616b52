/* credentials.c: users of the configuration, minted credentials, names under a shared secret, users of the database, tokens; see credentials.h. */
#include "server/credentials.h"

#include "base/err.h"
#include "base/opaque.h"
#include "turn/password.h"
#include "wire/integrity.h"
#include "wire/minted.h"

#include <stdio.h>
#include <string.h>

#define SKEW_S 60 /* between the clocks of who mints and of who verifies */

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

static void add_key(struct verdict *out, struct view bytes)
{
    if (out->key_count == VERDICT_KEYS_MAX)
        return;
    struct long_term_key *key = &out->keys[out->key_count++];
    key->len = (uint8_t)bytes.len;
    memcpy(key->bytes, bytes.at, bytes.len);
}

static bool has_no_key(struct verdict *out)
{
    deny(out, "no_sha256_key");
    return true;
}

static const struct config_user *configured(const struct config *config, struct view name)
{
    for (size_t i = 0; i < config->user_count; i++)
        if (view_equal(view_text(config->users[i].name), name))
            return &config->users[i];
    return NULL;
}

/* A name that the client did not prepare is the user's all the same; the user counts under the configured name. */
static bool find_configured(const struct credentials *from, const struct request *request, struct verdict *out)
{
    char prepared[OPAQUE_MAX_LEN + 1];
    const struct config_user *user = configured(from->config, opaque_prepared(request->username, prepared));
    const struct login login = password_login(request, "");
    if (!user)
        return false;
    if (user->has_key && request->wants_sha256)
        return has_no_key(out);
    view_copy(view_text(user->name), out->user, sizeof out->user);
    if (user->has_key)
        add_key(out, view_of(user->key, sizeof user->key));
    else if (password_offer(from->crypto, &login, view_text(user->password), out) != 0)
        fail(out, "libcrypto failed");
    return true;
}

static bool find_stored(const struct credentials *from, const struct request *request, struct verdict *out)
{
    struct store_keys keys;
    if (!from->reader)
        return false;
    const int err = store_reader_keys(from->reader, view_text(request->realm), request->username, &keys);
    if (err == ERR_NOT_FOUND)
        return false;
    if (err)
        fail(out, "the users database cannot be read");
    else if (!request->wants_sha256)
        for (size_t i = 0; i < keys.md5_count; i++)
            add_key(out, view_of(keys.md5[i], STORE_KEY_LEN));
    else if (keys.has_sha256)
        add_key(out, view_of(keys.sha256, STORE_KEY_SHA256_LEN));
    else
        has_no_key(out);
    crypto_wipe(&keys, sizeof keys);
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
    char password[MINTED_PASSWORD_LEN + 1];
    if (try->out->kind == VERDICT_FAIL || try->out->key_count == VERDICT_KEYS_MAX)
        return;
    int err = minted_password(try->from->crypto, secret, try->request->username, password);
    if (err == 0) {
        const struct login login = password_login(try->request, "");
        err = password_offer(try->from->crypto, &login, view_of(password, MINTED_PASSWORD_LEN), try->out);
    }
    if (err)
        fail(try->out, "libcrypto failed");
}

/* outlives: what was revoked: a studio that mints by itself says what it likes, and revocations stand as long as credentials may. */
static bool outlives(const struct minted *minted, int64_t unix_ms)
{
    return minted->expires_unix_s * 1000 > unix_ms + (MINTED_TTL_MAX_S + SKEW_S) * INT64_C(1000);
}

/* find_minted: a name that has the form and says nonsense is no other kind of name. */
static bool find_minted(const struct credentials *from, const struct request *request, int64_t unix_ms, struct verdict *out)
{
    char keys[MINT_SECRETS_MAX][MINTED_KEY_LEN + 1];
    struct secret_try try = {.from = from, .request = request, .out = out};
    struct minted minted;
    const int err = from->mint_secrets ? minted_parse(request->username, &minted) : ERR_NOT_FOUND;
    if (err == ERR_NOT_FOUND)
        return false;
    if (err || outlives(&minted, unix_ms)) {
        deny(out, "malformed_credential");
        return true;
    }
    snprintf(out->tenant, sizeof out->tenant, "%s", minted.tenant);
    snprintf(out->user, sizeof out->user, "%s", minted_user(&minted));
    out->expires_unix_s = minted.expires_unix_s;
    out->is_minted = true;
    if (minted.expires_unix_s * 1000 <= unix_ms) {
        deny(out, "credential_expired");
        out->measure.held = unix_ms / 1000 - minted.expires_unix_s;
        return true;
    }
    const int count = mint_secrets_keys(from->mint_secrets, from->crypto, minted.tenant, minted.kid, keys);
    for (int i = 0; i < count; i++)
        try_secret(&try, view_of(keys[i], MINTED_KEY_LEN));
    if (count < 0)
        fail(out, "libcrypto failed");
    crypto_wipe(keys, sizeof keys);
    return true;
}

static bool find_timed(const struct credentials *from, const struct request *request, int64_t unix_ms, struct verdict *out)
{
    struct secret_try try = {.from = from, .request = request, .out = out};
    struct view id;
    if (!from->config->use_auth_secret || !credentials_parse_expiry(request->username, &out->expires_unix_s, &id))
        return false;
    if (out->expires_unix_s * 1000 < unix_ms) {
        deny(out, "expired");
        out->measure.held = unix_ms / 1000 - out->expires_unix_s;
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

/* token_key: the key that the kid names. Of a kid that is unknown or over there is one all the same, so that opening the token takes as long. */
static int token_key(const struct credentials *from, const struct request *request, int64_t unix_ms, struct store_oauth_key *out)
{
    memset(out, 0, sizeof *out);
    const int err = from->reader ? store_reader_oauth_key(from->reader, request->username, out) : ERR_NOT_FOUND;
    if (err)
        return err;
    return out->expires_s && out->expires_s <= unix_ms / 1000 ? ERR_NOT_FOUND : 0;
}

static void take_token(const struct token *token, int64_t unix_ms, struct verdict *out)
{
    const int64_t left_ms = token_left_ms(token, unix_ms);
    if (left_ms <= 0) {
        deny(out, "expired");
        return;
    }
    verdict_take_token(out, view_of(token->mac_key, token->mac_key_len));
    out->expires_unix_s = (unix_ms + left_ms) / 1000;
}

/* find_token: false if there is none. */
static bool find_token(const struct credentials *from, const struct request *request, int64_t unix_ms, struct verdict *out)
{
    struct store_oauth_key row;
    struct token_key key;
    struct token token;
    if (!request->access_token.at)
        return false;
    const int unknown = token_key(from, request, unix_ms, &row);
    key.aead = row.aead;
    memcpy(key.bytes, row.key, sizeof key.bytes);
    const int forged = token_open(from->crypto, &key, view_text(request->server_name), request->access_token, &token);
    if (unknown && unknown != ERR_NOT_FOUND)
        fail(out, "the users database cannot be read");
    else if (unknown || forged)
        deny(out, unknown ? "unknown_kid" : "bad_token");
    else
        take_token(&token, unix_ms, out);
    view_copy(view_text(row.realm), out->tenant, sizeof out->tenant);
    crypto_wipe(&row, sizeof row);
    crypto_wipe(&key, sizeof key);
    crypto_wipe(&token, sizeof token);
    return true;
}

int credentials_unhash(const struct credentials *from, struct view realm, struct view hash, char name[STORE_NAME_MAX + 1])
{
    for (size_t i = 0; i < from->config->user_count; i++) {
        const struct view own = view_text(from->config->users[i].name);
        if (!integrity_is_userhash(from->crypto, own, realm, hash))
            continue;
        view_copy(own, name, STORE_NAME_MAX + 1);
        return 0;
    }
    return from->reader ? store_reader_unhash(from->reader, realm, hash, name) : ERR_NOT_FOUND;
}

void credentials_find(const struct credentials *from, const struct request *request, int64_t unix_ms, struct verdict *out)
{
    memset(out, 0, sizeof *out);
    view_copy(view_text("core"), out->by, sizeof out->by);
    if (!find_token(from, request, unix_ms, out) && !find_configured(from, request, out) &&
        !find_minted(from, request, unix_ms, out) && !find_timed(from, request, unix_ms, out) &&
        !find_stored(from, request, out)) {
        deny(out, "unknown_user");
        return;
    }
    if (out->kind != VERDICT_SILENT)
        return;
    out->kind = VERDICT_KEY;
    if (!out->user[0])
        view_copy(request->username, out->user, sizeof out->user);
}

void credentials_lookup(const struct credentials *from, const struct request *request, int64_t unix_ms, struct verdict *out)
{
    char by[sizeof out->by];
    char tenant_copy[sizeof out->tenant], user_copy[sizeof out->user];
    snprintf(by, sizeof by, "%s", out->by);
    snprintf(tenant_copy, sizeof tenant_copy, "%s", out->tenant);
    snprintf(user_copy, sizeof user_copy, "%s", out->user);
    memset(out, 0, sizeof *out);
    snprintf(out->by, sizeof out->by, "%s", by);
    if (!find_token(from, request, unix_ms, out) && !find_configured(from, request, out) && !find_stored(from, request, out)) {
        deny(out, "unknown_user");
        return;
    }
    if (out->kind != VERDICT_SILENT)
        return;
    out->kind = VERDICT_KEY;
    snprintf(out->tenant, sizeof out->tenant, "%s", tenant_copy);
    snprintf(out->user, sizeof out->user, "%s", user_copy);
}
